//! M25: unused suppression.

use diagnostics::{Finding, Location, Severity};

use super::{Failing, MANIFEST, Rule};

/// The description of M25.
pub(crate) const RULE: Rule = Rule {
    id: "M25",
    name: "unused-suppression",
    severity: Severity::Warning,
    title: "unused suppression",
    explanation: "The finding that was suppressed has been fixed since, or never existed. The entry would hide the next finding of this rule, which has not been reviewed.",
    source: "docs/manifest.md",
    hint: "remove the entry",
    passing: "\
name: shop
app: web
rules:
  M17: { severity: off, reason: the settings of a sidecar that comes next week }
settings:
  otel: { endpoint: 'https://telemetry.example' }
service: {}
",
    // Every entry of the manifest belongs to a component of the task, so M17 has no findings.
    failing: Failing::Document(
        "\
name: shop
app: web
rules:
  M17: { severity: off, reason: the settings of a sidecar that comes next week }
service: {}
",
    ),
    suppressible: true,
    ..MANIFEST
};

/// Reports an entry that suppresses no finding.
pub(crate) fn unused_suppression(location: Location, id: &str) -> Finding {
    RULE.finding(
        location,
        format!("`{id}` is suppressed, but has no findings"),
        "remove the entry",
    )
}
