//! M30: values name each other in a ring.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M30",
    title: "values name each other in a ring",
    explanation: "A value may name others, `${like this}`. When they come back to where they began there is nothing to fill in.",
    source: "assemblies/README.md",
    hint: "write one of them out",
    passing: "\
name: shop
app: web
settings:
  web: { greeting: '${greeting}' }
values: { greeting: '${hello}, world', hello: good morning }
service: {}
",
    failing: "\
name: shop
app: web
settings:
  web: { greeting: '${greeting}' }
values: { greeting: '${hello}, world', hello: '${greeting}' }
service: {}
",
};

/// Names that lead back to the first.
pub(crate) fn cycle(place: Place, names: &[String]) -> Finding {
    let path: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let message = format!("the values {} name each other in a ring", path.join(", "));
    RULE.error(place, message, "write one of them out")
}
