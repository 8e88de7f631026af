//! Rules about CPU and memory of containers.

crate::rule_modules! {
    mod r01_cpu_exceeds_task;
    mod r02_reservations_exceed_task;
    mod r03_memory_exceeds_task;
    mod r04_memory_below_reservation;
    mod r05_memory_too_small;
    mod r06_unlimited_sidecar;
    mod r07_missing_memory;
}
