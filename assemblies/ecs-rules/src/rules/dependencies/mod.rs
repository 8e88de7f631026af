//! Rules about dependencies between containers.

crate::rule_modules! {
    mod d01_unknown_dependency;
    mod d02_dependency_cycle;
    mod d03_healthy_without_check;
    mod d04_essential_dependency_exits;
    mod d05_unknown_condition;
    mod d06_startup_too_short;
    mod d07_healthy_without_timeout;
    mod d08_proxy_without_dependency;
    mod d09_essential_telemetry;
}
