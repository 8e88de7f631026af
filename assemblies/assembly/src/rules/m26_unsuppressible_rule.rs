//! M26: an error is silenced in spite of which nothing can be made.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M26",
    title: "an error is silenced in spite of which nothing can be made",
    explanation: "A rule that judges can be silenced: what it finds is still a definition. A rule that says what is missing or makes no sense cannot: without a component that exists there is nothing to wire, and without a text that can be read nothing to judge.",
    source: "assemblies/README.md",
    hint: "mend what the rule finds",
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
  M16: { severity: off, reason: nobody knows the load yet }
service: {}
",
};

/// A rule that has to be kept.
pub(crate) fn unsuppressible(place: Place, id: &str) -> Finding {
    RULE.error(
        place,
        format!("`{id}` is silenced, but nothing can be made in spite of its error"),
        format!("mend what {id} finds and take the entry away"),
    )
}
