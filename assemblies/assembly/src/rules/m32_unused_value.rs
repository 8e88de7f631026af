//! M32: unused value.

use diagnostics::{Finding, Location, Severity};

use super::{Failing, MANIFEST, Rule};

/// The description of M32.
pub(crate) const RULE: Rule = Rule {
    id: "M32",
    name: "unused-value",
    severity: Severity::Warning,
    title: "unused value",
    explanation: "A value that nothing refers to is misspelt, or left over from a removed setting.",
    source: "docs/manifest.md",
    hint: "correct the name, or remove the value",
    passing: "\
name: shop
app: web
settings:
  web: { greeting: '${hello}' }
values: { hello: good morning }
service: {}
",
    // No field refers to `${hello}`.
    failing: Failing::Change("web: { greeting: '${hello}' }", "web: { greeting: hello }"),
    suppressible: true,
    ..MANIFEST
};

/// Reports a value that nothing refers to.
pub fn unused_value(location: Location, name: &str) -> Finding {
    RULE.finding(
        location,
        format!("the value `{name}` is not used"),
        "correct the name, or remove the value",
    )
}
