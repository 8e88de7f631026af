//! M14: a `${value}` is not known.

use task_definition::{Finding, Place, nearest};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M14",
    title: "a `${value}` is not known",
    explanation: "Values come from `assemblies/values/`, from `--value`, or from the manifest itself.",
    source: "assemblies/README.md",
    hint: "give the value",
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
  web: { greeting: '${hello}' }
service: {}
",
};

/// A value nobody gave.
pub(crate) fn no_value<'a>(
    place: Place,
    name: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> Finding {
    let hint = match nearest(name, known) {
        Some(near) => format!("write `${{{near}}}`"),
        None => format!("add `{name}` to the values, or pass `--value {name}=…`"),
    };
    Finding::error(RULE.id, place, format!("there is no value `{name}`"), hint)
}
