//! M22: inner hop listens on a public address.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M22.
pub(crate) const RULE: Rule = Rule {
    id: "M22",
    name: "exposed-inner-hop",
    title: "inner hop listens on a public address",
    explanation: "On Fargate every open port is reachable at the address of the task, whatever the port mappings are. A client could bypass the filters in front of an inner hop on 0.0.0.0, and reach an admin address. The rule checks the finished definition, so `overrides:` and `patch:` are covered.",
    source: "ECS developer guide: Amazon ECS task networking options for Fargate",
    hint: "listen on 127.0.0.1",
    passing: "\
name: shop
app: web
ingress: [tls]
settings:
  web: { listen: '127.0.0.1:9000' }
service: {}
",
    // Clients could connect to `web` directly and bypass `tls`.
    failing: Failing::Change(
        "web: { listen: '127.0.0.1:9000' }",
        "web: { listen: '0.0.0.0:9000' }",
    ),
    suppressible: true,
    guard: true,
    ..MANIFEST
};

/// Reports an inner hop that is reachable from outside the task.
pub(crate) fn public_inner_hop(location: Location, name: &str, address: &str) -> Finding {
    RULE.finding(
        location,
        format!(
            "`{name}` would listen on {address}, where clients can bypass the hops in front of it"
        ),
        "write `127.0.0.1:PORT`",
    )
}

/// Reports an admin address that is reachable from outside the task.
pub(crate) fn public_admin(location: Location, name: &str, address: &str) -> Finding {
    RULE.finding(
        location,
        format!(
            "the admin port of `{name}` would listen on {address}, outside the loopback interface"
        ),
        "write `127.0.0.1:PORT`",
    )
}

/// Reports an address that is a secret.
pub(crate) fn secret_address(location: Location, name: &str, variable: &str) -> Finding {
    RULE.finding(
        location,
        format!("`{variable}` is a secret, so the address of `{name}` cannot be checked"),
        "write `127.0.0.1:PORT` under `settings:`; an address is not a secret",
    )
}

/// Reports an address variable that an override or a patch has removed.
pub(crate) fn missing_address(location: Location, name: &str, variable: &str) -> Finding {
    RULE.finding(
        location,
        format!("`{variable}` was removed, so the address of `{name}` is not defined"),
        "keep the variable, or change it under `settings:`",
    )
}
