//! M07: a component stands where its kind cannot.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M07",
    title: "a component stands where its kind cannot",
    explanation: "The app is what the task exists for, ingress is made of proxies, init of programs that end. Beside the app can stand sidecars and other apps.",
    source: "assemblies/README.md",
    hint: "put it where its kind belongs",
    passing: "\
name: shop
app: web
ingress: [tls]
service: {}
",
    failing: "\
name: shop
app: web
ingress: [otel]
service: {}
",
};

/// A component in the wrong list.
pub(crate) fn wrong_role(place: Place, name: &str, kind: &str, wanted: &str) -> Finding {
    RULE.error(
        place,
        format!("`{name}` is {kind} and cannot stand here"),
        format!("name {wanted}, or put `{name}` where {kind} belongs"),
    )
}
