//! M03: a field is missing.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M03",
    title: "a field is missing",
    explanation: "Some things cannot be guessed: what the assembly is called, and which app it is for.",
    source: "assemblies/README.md",
    hint: "add the field",
    passing: "\
name: shop
app: web
service: {}
",
    failing: "\
name: shop
service: {}
",
};

/// A field that must be there.
pub(crate) fn missing_field(place: Place, path: &str) -> Finding {
    RULE.error(
        place,
        format!("the field `{path}` is missing"),
        format!("add `{path}: …`"),
    )
}
