//! M01: unknown field.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M01.
pub(crate) const RULE: Rule = Rule {
    id: "M01",
    name: "unknown-field",
    title: "unknown field",
    explanation: "A field that no program reads has no effect, and is usually a typing error. An unknown name is therefore an error at every level of the file.",
    source: "docs/manifest.md",
    hint: "correct the name, or remove the field",
    passing: "\
name: shop
app: web
service: {}
",
    // `ingres` is a typing error for `ingress`.
    failing: Failing::Document(
        "\
name: shop
app: web
service: {}
ingres: [tls]
",
    ),
    ..MANIFEST
};

/// Reports a field name that the schema does not have.
pub(crate) fn unknown_field(location: Location, path: &str, hint: &str) -> Finding {
    RULE.finding(location, format!("there is no field `{path}`"), hint)
}
