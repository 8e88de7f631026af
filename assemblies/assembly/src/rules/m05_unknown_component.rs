//! M05: unknown component.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M05.
pub(crate) const RULE: Rule = Rule {
    id: "M05",
    name: "unknown-component",
    title: "unknown component",
    explanation: "A component is a folder under `sidecars/` or `apps/`, or a folder under `assemblies/components/`, with a `component.yaml`.",
    source: "docs/manifest.md",
    hint: "name an existing component",
    passing: "\
name: shop
app: web
service: {}
",
    // `wbe` is a typing error for `web`.
    failing: Failing::Document(
        "\
name: shop
app: wbe
service: {}
",
    ),
    ..MANIFEST
};

/// Reports a component name that is not in the catalog.
pub(crate) fn unknown_component(location: Location, name: &str, hint: &str) -> Finding {
    RULE.finding(location, format!("there is no component `{name}`"), hint)
}
