//! M21: port assigned twice.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M21.
pub(crate) const RULE: Rule = Rule {
    id: "M21",
    name: "port-conflict",
    title: "port assigned twice",
    explanation: "The containers of a task share one network namespace, so only one of them can listen on a port.",
    source: "ECS developer guide: Amazon ECS task networking options for Fargate",
    hint: "assign another port to one of them",
    passing: "\
name: shop
app: web
ingress: [tls]
settings:
  tls: { listen: '0.0.0.0:9443' }
service: {}
",
    // Both containers would listen on port 9000.
    failing: Failing::Change(
        "tls: { listen: '0.0.0.0:9443' }",
        "tls: { listen: '0.0.0.0:9000' }\n  web: { listen: '127.0.0.1:9000' }",
    ),
    ..MANIFEST
};

/// Reports a port that another container already uses.
pub(crate) fn port_conflict(location: Location, port: u16, name: &str, holder: &str) -> Finding {
    RULE.finding(
        location,
        format!("port {port} of `{name}` is already used by `{holder}`"),
        "choose another port; containers of a task share one network namespace",
    )
}

/// Reports a text that is not a socket address.
pub(crate) fn invalid_address(location: Location, text: &str) -> Finding {
    // A name has to be looked up, and may be ::1 on one host and 127.0.0.1 on another.
    let hint = match text.strip_prefix("localhost:") {
        Some(port) => format!("write `127.0.0.1:{port}`"),
        None => "write `127.0.0.1:PORT`, or `0.0.0.0:PORT` for the outermost hop".to_owned(),
    };
    RULE.finding(
        location,
        format!("`{text}` is not an address to listen on"),
        hint,
    )
}
