//! M24: unknown rule id.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M24.
pub(crate) const RULE: Rule = Rule {
    id: "M24",
    name: "unknown-rule",
    title: "unknown rule id",
    explanation: "`rules:` names rules by their ids. A misspelt id would suppress nothing, or the wrong rule.",
    source: "docs/manifest.md",
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
    // There is no rule M177.
    failing: Failing::Document(
        "\
name: shop
app: web
rules:
  M177: { severity: off, reason: the settings of a sidecar that comes next week }
service: {}
",
    ),
    ..MANIFEST
};

/// Reports an id that no rule has.
pub(crate) fn unknown_rule(location: Location, id: &str, similar: Option<&str>) -> Finding {
    let hint = similar.map_or_else(
        || "see `assemble rules` for the ids".to_owned(),
        |similar| format!("write `{similar}`, or see `assemble rules`"),
    );
    RULE.finding(location, format!("there is no rule `{id}`"), hint)
}
