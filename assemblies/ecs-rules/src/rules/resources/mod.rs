//! Rules about CPU and memory of containers.

use crate::rules::Rule;

mod r01_cpu_exceeds_task;
mod r02_reservations_exceed_task;
mod r03_memory_exceeds_task;
mod r04_memory_below_reservation;
mod r05_memory_too_small;
mod r06_unlimited_sidecar;
mod r07_missing_memory;

/// The rules of group R.
pub(super) static RULES: &[Rule] = &[
    r01_cpu_exceeds_task::RULE,
    r02_reservations_exceed_task::RULE,
    r03_memory_exceeds_task::RULE,
    r04_memory_below_reservation::RULE,
    r05_memory_too_small::RULE,
    r06_unlimited_sidecar::RULE,
    r07_missing_memory::RULE,
];
