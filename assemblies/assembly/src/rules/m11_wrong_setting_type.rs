//! M11: a setting has a value of the wrong kind.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M11",
    title: "a setting has a value of the wrong kind",
    explanation: "The kind of every setting is known from the component; a wrong one would stop the program when it starts.",
    source: "assemblies/README.md",
    hint: "write the kind of value that the setting wants",
    passing: "\
name: shop
app: web
settings:
  web: { workers: 4 }
service: {}
",
    failing: "\
name: shop
app: web
settings:
  web: { workers: many }
service: {}
",
};

/// A setting of another kind.
pub(crate) fn wrong_kind(
    place: Place,
    name: &str,
    setting: &str,
    wanted: &str,
    found: &str,
) -> Finding {
    RULE.error(
        place,
        format!("`{setting}` of `{name}` must be {wanted}, but this is {found}"),
        format!("write {wanted}"),
    )
}
