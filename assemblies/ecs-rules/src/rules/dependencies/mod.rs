//! Rules about dependencies between containers.

use crate::rules::Rule;

mod d01_unknown_dependency;
mod d02_dependency_cycle;
mod d03_healthy_without_check;
mod d04_essential_dependency_exits;
mod d05_unknown_condition;
mod d06_startup_too_short;
mod d07_healthy_without_timeout;
mod d08_proxy_without_dependency;
mod d09_essential_telemetry;

/// The rules of group D.
pub(super) static RULES: &[Rule] = &[
    d01_unknown_dependency::RULE,
    d02_dependency_cycle::RULE,
    d03_healthy_without_check::RULE,
    d04_essential_dependency_exits::RULE,
    d05_unknown_condition::RULE,
    d06_startup_too_short::RULE,
    d07_healthy_without_timeout::RULE,
    d08_proxy_without_dependency::RULE,
    d09_essential_telemetry::RULE,
];
