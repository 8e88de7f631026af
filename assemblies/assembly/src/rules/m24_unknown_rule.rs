//! M24: something is said about a rule that does not exist.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M24",
    title: "something is said about a rule that does not exist",
    explanation: "`rules:` names rules by their ids. A misspelt id would silence nothing, or the wrong rule.",
    source: "assemblies/README.md",
    hint: "see `assemble rules` for the ids",
    passing: "\
name: shop
app: web
rules:
  M17: { severity: off, reason: the settings of a sidecar that comes next week }
settings:
  otel: { endpoint: 'https://telemetry.example' }
service: {}
",
    failing: "\
name: shop
app: web
rules:
  M177: { severity: off, reason: the settings of a sidecar that comes next week }
service: {}
",
};

/// An id that no rule has.
pub(crate) fn unknown_rule(place: Place, id: &str, meant: Option<&str>) -> Finding {
    let hint = meant.map_or_else(
        || "see `assemble rules` for the ids".to_owned(),
        |meant| format!("write `{meant}`, or see `assemble rules`"),
    );
    RULE.error(place, format!("there is no rule `{id}`"), hint)
}
