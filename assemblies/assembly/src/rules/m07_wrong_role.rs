//! M07: component kind does not fit this role.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M07.
pub(crate) const RULE: Rule = Rule {
    id: "M07",
    name: "wrong-role",
    title: "component kind does not fit this role",
    explanation: "The app is the purpose of the task, `ingress` lists proxies, and `init` lists programs that end. `sidecars` may contain sidecars and other apps.",
    source: "docs/manifest.md",
    hint: "move it to the list for its kind",
    passing: "\
name: shop
app: web
ingress: [tls]
service: {}
",
    // `otel` is a sidecar, and `ingress` is for proxies.
    failing: Failing::Document(
        "\
name: shop
app: web
ingress: [otel]
service: {}
",
    ),
    ..MANIFEST
};

/// Reports a component in the wrong list.
pub(crate) fn wrong_role(location: Location, name: &str, kind: &str, expected: &str) -> Finding {
    RULE.finding(
        location,
        format!("`{name}` is {kind} and cannot be used here"),
        format!("name {expected}, or put `{name}` where {kind} belongs"),
    )
}
