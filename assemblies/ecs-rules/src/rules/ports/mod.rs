//! Rules about ports.

crate::rule_modules! {
    mod p01_invalid_port;
    mod p02_host_port_differs;
    mod p03_duplicate_port;
    mod p04_invalid_port_range;
    mod p05_invalid_port_name;
    mod p06_unknown_protocol;
    mod p07_unknown_target;
    mod p08_container_hostname;
    mod p09_bypassable_proxy;
    mod p10_reserved_firelens_port;
    mod p11_listen_conflict;
}
