//! Rules about Linux parameters and the host.

use crate::rules::Rule;

mod x01_host_feature;
mod x02_unsupported_capability;
mod x04_unsupported_sysctl;
mod x05_invalid_ulimit;
mod x06_app_mesh;
mod x07_invalid_tmpfs;

/// The rules of group X.
pub(super) static RULES: &[Rule] = &[
    x01_host_feature::RULE,
    x02_unsupported_capability::RULE,
    x04_unsupported_sysctl::RULE,
    x05_invalid_ulimit::RULE,
    x06_app_mesh::RULE,
    x07_invalid_tmpfs::RULE,
];
