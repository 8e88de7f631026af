//! M27: suppression without a reason.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M27.
pub(crate) const RULE: Rule = Rule {
    id: "M27",
    name: "missing-reason",
    title: "suppression without a reason",
    explanation: "A later reader of the entry has to know whether it still applies. An empty reason does not say so.",
    source: "docs/manifest.md",
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
    // The reason is empty.
    failing: Failing::Document(
        "\
name: shop
app: web
rules:
  M17: { severity: off, reason: '' }
service: {}
",
    ),
    ..MANIFEST
};

/// Reports an entry with an empty reason.
pub(crate) fn missing_reason(location: Location, id: &str) -> Finding {
    RULE.finding(
        location,
        format!("the entry for `{id}` has no reason"),
        "write one sentence under `reason`: why, and until when",
    )
}
