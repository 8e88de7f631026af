//! M16: min is greater than max, or scaling has no target.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M16.
pub(crate) const RULE: Rule = Rule {
    id: "M16",
    name: "invalid-task-count",
    title: "min is greater than max, or scaling has no target",
    explanation: "`service` starts and stops tasks between `min` and `max` to keep the metric at `target`.",
    source: "Application Auto Scaling user guide: target tracking scaling policies",
    hint: "order `min` and `max`, or add a target",
    passing: "\
name: shop
app: web
service: { min: 1, max: 4, target: { cpu: 60 } }
",
    // `min` is greater than `max`.
    failing: Failing::Document(
        "\
name: shop
app: web
service: { min: 5, max: 4, target: { cpu: 60 } }
",
    ),
    ..MANIFEST
};

/// Reports a `min` that is greater than `max`.
pub(crate) fn min_above_max(location: Location, min: u32, max: u32) -> Finding {
    RULE.finding(
        location,
        format!("`min` is {min}, which is more than `max`, {max}"),
        format!("write a `max` of at least {min}"),
    )
}

/// Reports a range without a scaling target.
pub(crate) fn no_target(location: Location, min: u32, max: u32) -> Finding {
    RULE.finding(
        location,
        format!("the service scales from {min} to {max} tasks, but has no target"),
        "add `target: { requests_per_task: … }` or `target: { cpu: … }`",
    )
}
