//! M06: component used twice in one task.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M06.
pub(crate) const RULE: Rule = Rule {
    id: "M06",
    name: "duplicate-component",
    title: "component used twice in one task",
    explanation: "Container names are unique within a task, and a container has the name of its component.",
    source: "ECS API, ContainerDefinition: name",
    hint: "name it once",
    passing: "\
name: shop
app: web
sidecars: [otel]
service: {}
",
    // The second `otel` would be a second container of that name.
    failing: Failing::Document(
        "\
name: shop
app: web
sidecars: [otel, otel]
service: {}
",
    ),
    ..MANIFEST
};

/// Reports the second use of a component.
pub(crate) fn duplicate(location: Location, name: &str) -> Finding {
    RULE.finding(
        location,
        format!("`{name}` is already in this task"),
        "remove one of the two",
    )
}
