//! Rules about Linux parameters and the host.

crate::rule_modules! {
    mod x01_host_feature;
    mod x02_unsupported_capability;
    mod x04_unsupported_sysctl;
    mod x05_invalid_ulimit;
    mod x06_app_mesh;
    mod x07_invalid_tmpfs;
}
