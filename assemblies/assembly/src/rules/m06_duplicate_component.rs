//! M06: a component stands in the task twice.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M06",
    title: "a component stands in the task twice",
    explanation: "Containers of a task have unique names, and a container is named after its component.",
    source: "assemblies/README.md",
    hint: "name it once",
    passing: "\
name: shop
app: web
sidecars: [otel]
service: {}
",
    failing: "\
name: shop
app: web
sidecars: [otel, otel]
service: {}
",
};

/// A component that is named again.
pub(crate) fn duplicate(place: Place, name: &str) -> Finding {
    RULE.error(
        place,
        format!("`{name}` already stands in this task"),
        "take one of the two away",
    )
}
