//! Rules about start and stop.

crate::rule_modules! {
    mod f01_healthy_dependency_may_exit;
    mod f02_slow_health_interval;
    mod f03_stop_timeout_too_short;
    mod f04_shell_swallows_sigterm;
    mod f05_restart_without_period;
    mod f06_telemetry_order;
    mod f07_unused_start_timeout;
    mod f08_waits_for_server_exit;
    mod f09_shell_in_cmd;
    mod f10_log_buffer_mode;
}
