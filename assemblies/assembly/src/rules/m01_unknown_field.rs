//! M01: a field has an unknown name.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M01",
    title: "a field has an unknown name",
    explanation: "A field nobody reads is a wish nobody hears, and most often a slip of the finger. So an unknown name is an error wherever it stands.",
    source: "assemblies/README.md",
    hint: "correct the name, or take the field away",
    passing: "\
name: shop
app: web
service: {}
",
    failing: "\
name: shop
app: web
service: {}
ingres: [tls]
",
};

/// A name that no field has.
pub(crate) fn unknown_field(place: Place, path: &str, hint: &str) -> Finding {
    RULE.error(place, format!("there is no field `{path}`"), hint)
}
