//! M17: entry for a component that is not in the task.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M17.
pub(crate) const RULE: Rule = Rule {
    id: "M17",
    name: "not-in-task",
    title: "entry for a component that is not in the task",
    explanation: "Settings, secrets and overrides of a component that is not in the task have no effect.",
    source: "docs/manifest.md",
    hint: "name a component of this assembly",
    passing: "\
name: shop
app: web
settings:
  web: { greeting: hello }
service: {}
",
    // The task has `web`, but no `wbe`.
    failing: Failing::Change("web: { greeting: hello }", "wbe: { greeting: hello }"),
    suppressible: true,
    ..MANIFEST
};

/// Reports an entry for a component that this task does not have.
pub(crate) fn not_in_task(location: Location, name: &str, hint: &str) -> Finding {
    RULE.finding(location, format!("`{name}` is not in this task"), hint)
}
