//! M01: unknown field.

use task_definition::{Finding, Location};

use super::Rule;

/// The description of M01.
pub(crate) const RULE: Rule = Rule {
    id: "M01",
    name: "unknown-field",
    title: "unknown field",
    explanation: "A field that no program reads has no effect, and is usually a typing error. An unknown name is therefore an error at every level of the file.",
    source: "assemblies/README.md",
    hint: "correct the name, or remove the field",
    passing: "\
name: shop
app: web
service: {}
",
    // `ingres` is a typing error for `ingress`.
    failing: "\
name: shop
app: web
service: {}
ingres: [tls]
",
};

/// Reports a field name that the schema does not have.
pub(crate) fn unknown_field(location: Location, path: &str, hint: &str) -> Finding {
    RULE.error(location, format!("there is no field `{path}`"), hint)
}
