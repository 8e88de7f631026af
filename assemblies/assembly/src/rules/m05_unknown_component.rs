//! M05: a component does not exist.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M05",
    title: "a component does not exist",
    explanation: "A component is a folder under `sidecars/` or `apps/`, or a file under `assemblies/components/`, with a `component.yaml`.",
    source: "assemblies/README.md",
    hint: "name a component that exists",
    passing: "\
name: shop
app: web
service: {}
",
    failing: "\
name: shop
app: wbe
service: {}
",
};

/// A component nobody has.
pub(crate) fn unknown_component(place: Place, name: &str, hint: &str) -> Finding {
    RULE.error(place, format!("there is no component `{name}`"), hint)
}
