//! M21: a port is given twice.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M21",
    title: "a port is given twice",
    explanation: "Containers of a task share one network: a port can be listened on once.",
    source: "assemblies/README.md",
    hint: "give one of them another port",
    passing: "\
name: shop
app: web
ingress: [tls]
settings:
  tls: { listen: '0.0.0.0:9443' }
service: {}
",
    failing: "\
name: shop
app: web
ingress: [tls]
settings:
  tls: { listen: '0.0.0.0:9000' }
  web: { listen: '127.0.0.1:9000' }
service: {}
",
};

/// A port two containers want.
pub(crate) fn port_conflict(place: Place, port: u16, name: &str, holder: &str) -> Finding {
    RULE.error(
        place,
        format!("port {port} of `{name}` is taken by `{holder}`"),
        "choose another port; containers of a task share one network",
    )
}

/// Something that is not an address.
pub(crate) fn invalid_address(place: Place, text: &str) -> Finding {
    // A name has to be looked up, and may be ::1 on one machine and 127.0.0.1 on the next.
    let hint = match text.strip_prefix("localhost:") {
        Some(port) => format!("write `127.0.0.1:{port}`"),
        None => "write `127.0.0.1:PORT`, or `0.0.0.0:PORT` for the outermost hop".to_owned(),
    };
    RULE.error(place, format!("`{text}` is no address to listen on"), hint)
}
