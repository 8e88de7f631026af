//! M11: wrong setting type.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M11.
pub(crate) const RULE: Rule = Rule {
    id: "M11",
    name: "wrong-setting-type",
    title: "wrong setting type",
    explanation: "The component declares the type of every setting. A value of another type would stop the program when it starts.",
    source: "docs/manifest.md",
    hint: "write a value of the type that the setting has",
    passing: "\
name: shop
app: web
settings:
  web: { workers: 4 }
service: {}
",
    // `workers` is a whole number.
    failing: Failing::Change("web: { workers: 4 }", "web: { workers: many }"),
    ..MANIFEST
};

/// Reports a setting with a value of another type.
pub(crate) fn wrong_kind(
    location: Location,
    name: &str,
    setting: &str,
    expected: &str,
    found: &str,
) -> Finding {
    RULE.finding(
        location,
        format!("`{setting}` of `{name}` must be {expected}, but this is {found}"),
        format!("write {expected}"),
    )
}
