//! M03: missing required field.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M03.
pub(crate) const RULE: Rule = Rule {
    id: "M03",
    name: "missing-field",
    title: "missing required field",
    explanation: "Some facts cannot be derived: the name of the assembly, and its app.",
    source: "docs/manifest.md",
    hint: "add the field",
    passing: "\
name: shop
app: web
service: {}
",
    // Without `app` there is nothing to derive.
    failing: Failing::Document(
        "\
name: shop
service: {}
",
    ),
    ..MANIFEST
};

/// Reports a required field that is missing.
pub(crate) fn missing_field(location: Location, path: &str) -> Finding {
    RULE.finding(
        location,
        format!("the field `{path}` is missing"),
        format!("add `{path}: …`"),
    )
}
