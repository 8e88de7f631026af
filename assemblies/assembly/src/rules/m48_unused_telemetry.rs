//! M48: telemetry sidecar receives nothing.

use diagnostics::{Finding, Location, Severity};

use super::{Failing, MANIFEST, Rule};

/// The description of M48.
pub(crate) const RULE: Rule = Rule {
    id: "M48",
    name: "unused-telemetry",
    severity: Severity::Warning,
    title: "telemetry sidecar receives nothing",
    explanation: "The containers send their telemetry to the first sidecar that provides `otlp`. A second one runs and costs, but receives nothing. To send to two backends, let one collector forward to both.",
    source: "docs/manifest.md",
    hint: "remove one of the sidecars, or set the endpoint of a container",
    passing: "\
name: shop
app: shopfront
sidecars: [otel]
service: {}
",
    // `otel` is the first one, so `collector` is not used.
    failing: Failing::Change("[otel]", "[otel, collector]"),
    suppressible: true,
    ..MANIFEST
};

/// Reports a sidecar to which no container sends telemetry, because another one is before it.
pub(crate) fn unused_telemetry(location: Location, name: &str, used: &str) -> Finding {
    RULE.finding(
        location,
        format!("no container sends telemetry to `{name}`: all send it to `{used}`"),
        format!("remove `{name}`, or let `{used}` forward to it"),
    )
}
