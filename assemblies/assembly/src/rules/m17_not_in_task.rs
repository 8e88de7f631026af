//! M17: something is said about a component that is not in the task.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M17",
    title: "something is said about a component that is not in the task",
    explanation: "Settings, secrets and overrides of a component that does not stand in the task have no effect.",
    source: "assemblies/README.md",
    hint: "name a component of this assembly",
    passing: "\
name: shop
app: web
settings:
  web: { greeting: hello }
service: {}
",
    failing: "\
name: shop
app: web
settings:
  wbe: { greeting: hello }
service: {}
",
};

/// Words about somebody who is not there.
pub(crate) fn not_in_task(place: Place, name: &str, hint: &str) -> Finding {
    RULE.error(place, format!("`{name}` does not stand in this task"), hint)
}
