//! Rules about the task itself.

crate::rule_modules! {
    mod t01_invalid_family;
    mod t02_container_count;
    mod t03_no_essential_container;
    mod t04_unsupported_network_mode;
    mod t05_missing_size;
    mod t06_unsupported_size;
    mod t07_ephemeral_storage;
    mod t08_unsupported_pid_mode;
    mod t09_unsupported_ipc_mode;
    mod t10_placement_constraints;
    mod t11_accelerator;
    mod t12_unknown_platform;
    mod t13_too_large;
    mod t14_missing_execution_role;
    mod t15_fault_injection_network;
    mod t16_invalid_tags;
    mod t17_missing_task_role;
    mod t18_trusted_execution;
    mod t19_unknown_mode;
}
