//! Rules about health checks and container timeouts.

crate::rule_modules! {
    mod h01_invalid_health_command;
    mod h02_health_check_range;
    mod h03_probe_overlap;
    mod h04_no_shell_in_image;
    mod h05_container_timeout_range;
    mod h06_stop_chain_too_long;
}
