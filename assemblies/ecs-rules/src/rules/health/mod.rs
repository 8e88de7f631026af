//! Rules about health checks and container timeouts.

use crate::rules::Rule;

mod h01_invalid_health_command;
mod h02_health_check_range;
mod h03_probe_overlap;
mod h04_no_shell_in_image;
mod h05_container_timeout_range;
mod h06_stop_chain_too_long;

/// The rules of group H.
pub(super) static RULES: &[Rule] = &[
    h01_invalid_health_command::RULE,
    h02_health_check_range::RULE,
    h03_probe_overlap::RULE,
    h04_no_shell_in_image::RULE,
    h05_container_timeout_range::RULE,
    h06_stop_chain_too_long::RULE,
];
