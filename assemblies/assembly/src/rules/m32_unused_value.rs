//! M32: a value is used nowhere.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M32",
    title: "a value is used nowhere",
    explanation: "A value that nothing names was misspelt here or there, or is left over from something that is gone.",
    source: "assemblies/README.md",
    hint: "correct the name, or take it away",
    passing: "\
name: shop
app: web
settings:
  web: { greeting: '${hello}' }
values: { hello: good morning }
service: {}
",
    failing: "\
name: shop
app: web
settings:
  web: { greeting: hello }
values: { hello: good morning }
service: {}
",
};

/// A value that nothing names.
pub fn unused_value(place: Place, name: &str) -> Finding {
    RULE.warning(
        place,
        format!("the value `{name}` is used nowhere"),
        "correct the name, or take it away",
    )
}
