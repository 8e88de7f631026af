//! Rules about ports.

use crate::rules::Rule;

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

/// The rules of group P.
pub(super) static RULES: &[Rule] = &[
    p01_invalid_port::RULE,
    p02_host_port_differs::RULE,
    p03_duplicate_port::RULE,
    p04_invalid_port_range::RULE,
    p05_invalid_port_name::RULE,
    p06_unknown_protocol::RULE,
    p07_unknown_target::RULE,
    p08_container_hostname::RULE,
    p09_bypassable_proxy::RULE,
    p10_reserved_firelens_port::RULE,
    p11_listen_conflict::RULE,
];
