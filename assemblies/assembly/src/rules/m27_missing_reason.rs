//! M27: a rule is silenced, lowered or raised without a reason.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M27",
    title: "something is said about a rule without a reason",
    explanation: "Whoever reads the entry next year has to know whether it still holds. A reason that says nothing is no reason.",
    source: "assemblies/README.md",
    hint: "write one sentence: why, and until when",
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
  M17: { severity: off, reason: '' }
service: {}
",
};

/// An entry with an empty reason.
pub(crate) fn missing_reason(place: Place, id: &str) -> Finding {
    RULE.error(
        place,
        format!("nobody says why `{id}` is judged differently here"),
        "write one sentence under `reason`: why, and until when",
    )
}
