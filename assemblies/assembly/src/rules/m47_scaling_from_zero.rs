//! M47: service cannot scale out from zero tasks.

use diagnostics::{Finding, Location, Severity};

use super::{Failing, MANIFEST, Rule};

/// The description of M47.
pub(crate) const RULE: Rule = Rule {
    id: "M47",
    name: "scaling-from-zero",
    severity: Severity::Warning,
    title: "service cannot scale out from zero tasks",
    explanation: "Target tracking compares a metric of the running tasks with the target. Without a task there is no CPU, memory or request count per task, so a service that has scaled in to 0 stays there.",
    source: "Application Auto Scaling user guide: target tracking scaling policies, considerations",
    hint: "write `min: 1`, or start tasks on demand",
    passing: "\
name: shop
app: web
service: { min: 1, max: 4, target: { cpu: 60 } }
",
    // The last task takes the metric with it.
    failing: Failing::Change("min: 1", "min: 0"),
    suppressible: true,
    ..MANIFEST
};

/// Reports a minimum of zero tasks beside a target.
pub(crate) fn scaling_from_zero(location: Location) -> Finding {
    let message = "with 0 tasks there is no metric, so the service would never scale out again";
    RULE.finding(location, message, "write `min: 1`")
}
