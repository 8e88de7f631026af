//! M25: a rule is silenced that finds nothing.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M25",
    title: "a rule is silenced that finds nothing",
    explanation: "What was silenced has been mended since, or was never there. The entry would hide the next finding of this rule, which nobody has looked at.",
    source: "assemblies/README.md",
    hint: "take the entry away",
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
  M17: { severity: off, reason: the settings of a sidecar that comes next week }
service: {}
",
};

/// An entry that nothing is silenced by.
pub(crate) fn unused_suppression(place: Place, id: &str) -> Finding {
    RULE.warning(
        place,
        format!("`{id}` is silenced, and finds nothing"),
        "take the entry away",
    )
}
