//! Rules about log configurations.

use crate::rules::Rule;

mod l01_unsupported_log_driver;
mod l02_awslogs_missing_option;
mod l03_awslogs_missing_prefix;
mod l04_unknown_awslogs_option;
mod l05_missing_log_permission;
mod l06_splunk_missing_option;
mod l07_firelens_router;
mod l08_unknown_router_option;
mod l09_log_router_not_essential;

/// The rules of group L.
pub(super) static RULES: &[Rule] = &[
    l01_unsupported_log_driver::RULE,
    l02_awslogs_missing_option::RULE,
    l03_awslogs_missing_prefix::RULE,
    l04_unknown_awslogs_option::RULE,
    l05_missing_log_permission::RULE,
    l06_splunk_missing_option::RULE,
    l07_firelens_router::RULE,
    l08_unknown_router_option::RULE,
    l09_log_router_not_essential::RULE,
];
