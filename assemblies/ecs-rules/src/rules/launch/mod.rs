//! Rules about services and RunTask requests.

use crate::rules::Rule;

mod q01_run_task_limits;
mod q02_launch_conflict;
mod q03_invalid_service_connect;
mod q04_invalid_network;
mod q05_unknown_launch_value;
mod q06_unconfigured_volume;
mod q07_no_deployment_headroom;
mod q08_no_circuit_breaker;
mod q09_all_spot;
mod q10_conflicting_settings;

/// The rules of group Q.
pub(super) static RULES: &[Rule] = &[
    q01_run_task_limits::RULE,
    q02_launch_conflict::RULE,
    q03_invalid_service_connect::RULE,
    q04_invalid_network::RULE,
    q05_unknown_launch_value::RULE,
    q06_unconfigured_volume::RULE,
    q07_no_deployment_headroom::RULE,
    q08_no_circuit_breaker::RULE,
    q09_all_spot::RULE,
    q10_conflicting_settings::RULE,
];
