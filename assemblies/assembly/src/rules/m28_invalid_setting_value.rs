//! M28: a setting has a value that the program refuses.

use task_definition::{Finding, Place};

use super::Rule;
use crate::component::InvalidValue;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M28",
    title: "a setting has a value that the program refuses",
    explanation: "What words, numbers, durations, addresses and URLs a setting takes is known from the type of the program's configuration (`<program> describe`). A program refuses any other when it starts, which on Fargate is a task that stops after minutes; better now than then. Values are filled in first, and a variable that an override or a patch brings in is judged like a setting.",
    source: "assemblies/README.md",
    hint: "write a value that the program takes",
    passing: "\
name: shop
app: web
settings:
  web: { workers: 4, log: '${level}', patience: 250ms }
values: { level: debug }
service: {}
",
    failing: "\
name: shop
app: web
settings:
  web: { log: '${level}' }
values: { level: debgu }
service: {}
",
};

/// A value that is none of those the program takes.
pub(crate) fn invalid_value(
    place: Place,
    name: &str,
    setting: &str,
    fault: InvalidValue,
) -> Finding {
    let message = format!("`{setting}` of `{name}` {}", fault.message);
    RULE.error(place, message, fault.hint)
}
