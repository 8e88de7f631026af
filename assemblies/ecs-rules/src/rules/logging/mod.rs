//! Rules about log configurations.

crate::rule_modules! {
    mod l01_unsupported_log_driver;
    mod l02_awslogs_missing_option;
    mod l03_awslogs_missing_prefix;
    mod l04_unknown_awslogs_option;
    mod l05_missing_log_permission;
    mod l06_splunk_missing_option;
    mod l07_firelens_router;
    mod l08_unknown_router_option;
    mod l09_log_router_not_essential;
}
