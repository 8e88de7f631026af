//! M26: this error cannot be suppressed.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M26.
pub(crate) const RULE: Rule = Rule {
    id: "M26",
    name: "unsuppressible-rule",
    title: "this error cannot be suppressed",
    explanation: "A rule that assesses a finished definition can be suppressed: there still is a definition. A rule that reports missing or invalid input cannot: an unknown component cannot be wired, and a file that cannot be parsed cannot be checked.",
    source: "docs/manifest.md",
    hint: "fix what the rule reports",
    passing: "\
name: shop
app: web
rules:
  M17: { severity: off, reason: the settings of a sidecar that comes next week }
settings:
  otel: { endpoint: 'https://telemetry.example' }
service: {}
",
    // Without a valid task count there is no service to render.
    failing: Failing::Document(
        "\
name: shop
app: web
rules:
  M16: { severity: off, reason: the load is not known yet }
service: {}
",
    ),
    ..MANIFEST
};

/// Reports an entry for a rule that cannot be suppressed.
pub(crate) fn unsuppressible(location: Location, id: &str) -> Finding {
    RULE.finding(
        location,
        format!("`{id}` cannot be suppressed: nothing can be rendered while it fails"),
        format!("fix what {id} reports and remove the entry"),
    )
}
