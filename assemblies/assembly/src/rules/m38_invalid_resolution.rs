//! M38: metric resolution is neither 60 nor 20 seconds.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M38.
pub(crate) const RULE: Rule = Rule {
    id: "M38",
    name: "invalid-resolution",
    title: "metric resolution is neither 60 nor 20 seconds",
    explanation: "Since June 2026 ECS also publishes CPU and memory utilization every 20 seconds, for an additional charge. Scaling then begins after about 86 seconds instead of 363 (AWS's own measurement). The request count has one resolution only.",
    source: "ECS developer guide: faster auto scaling with high-resolution metrics; aws/containers-roadmap#2113",
    hint: "write 60 or 20, and a target of CPU or memory",
    passing: "\
name: shop
app: web
service: { max: 4, resolution: 20, target: { cpu: 60 } }
",
    // ECS publishes metrics every 60 and every 20 seconds only.
    failing: Failing::Document(
        "\
name: shop
app: web
service: { max: 4, resolution: 10, target: { cpu: 60 } }
",
    ),
    ..MANIFEST
};

/// Reports a resolution that no metric has.
pub(crate) fn invalid_resolution(location: Location, seconds: u32) -> Finding {
    RULE.finding(
        location,
        format!("no metric has a resolution of {seconds} seconds"),
        "write 60, or 20 for an additional charge",
    )
}

/// Reports a resolution of 20 seconds without a target that supports it.
pub(crate) fn no_high_resolution_target(location: Location) -> Finding {
    RULE.finding(
        location,
        "only CPU and memory have a resolution of 20 seconds, and neither is a target",
        "remove it, or add `cpu` to `target`",
    )
}
