//! M22: an inner hop would listen to the world.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M22",
    title: "an inner hop would listen to the world",
    explanation: "On Fargate every port that is listened on can be reached on the address of the task, whatever the port mappings say. An inner hop on 0.0.0.0 could be reached around the filters in front of it, and an admin address by everybody. The finished definition is judged, so `overrides:` and `patch:` are no way around.",
    source: "assemblies/README.md",
    hint: "listen on 127.0.0.1",
    passing: "\
name: shop
app: web
ingress: [tls]
settings:
  web: { listen: '127.0.0.1:9000' }
service: {}
",
    failing: "\
name: shop
app: web
ingress: [tls]
settings:
  web: { listen: '0.0.0.0:9000' }
service: {}
",
};

/// An inner hop that anybody can reach.
pub(crate) fn public_inner_hop(place: Place, name: &str, address: &str) -> Finding {
    RULE.error(place,
        format!(
            "`{name}` would listen on {address}, where it can be reached around the hops in front of it"
        ),
        "write `127.0.0.1:PORT`",
    )
}

/// An admin address that anybody can reach.
pub(crate) fn public_admin(place: Place, name: &str, address: &str) -> Finding {
    RULE.error(
        place,
        format!("`{name}` would answer on {address} what is for the task alone"),
        "write `127.0.0.1:PORT`",
    )
}

/// An address that comes from where nobody can see it.
pub(crate) fn secret_address(place: Place, name: &str, variable: &str) -> Finding {
    RULE.error(
        place,
        format!("`{variable}` is a secret, so nobody can see where `{name}` would listen"),
        "write `127.0.0.1:PORT` under `settings:`; an address is no secret",
    )
}

/// An address that was taken away.
pub(crate) fn missing_address(place: Place, name: &str, variable: &str) -> Finding {
    RULE.error(
        place,
        format!("`{variable}` was taken away, so nothing says where `{name}` listens"),
        "leave the variable in, or change it under `settings:`",
    )
}
