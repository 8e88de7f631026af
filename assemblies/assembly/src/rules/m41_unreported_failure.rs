//! M41: failed tasks are not reported.

use diagnostics::{Finding, Location, Severity};

use super::{Failing, MANIFEST, Rule};

/// The description of M41.
pub(crate) const RULE: Rule = Rule {
    id: "M41",
    name: "unreported-failure",
    severity: Severity::Warning,
    title: "failed tasks are not reported",
    explanation: "EventBridge's work is done when the task has started. A task that fails later is not retried and appears in no queue: its object has no result, and there is no record of the failure.",
    source: "EventBridge user guide: retry policy and dead-letter queues; aws/containers-roadmap#1705",
    hint: "send failures to a queue",
    passing: "\
name: shop
app: press
on_demand: { bucket: inbox, suffix: .txt }
",
    // `on_failure: ignore` drops the stop event of a failed task.
    failing: Failing::Document(
        "\
name: shop
app: press
on_demand: { bucket: inbox, suffix: .txt, on_failure: ignore }
",
    ),
    suppressible: true,
    ..MANIFEST
};

/// Reports a trigger that ignores failed tasks.
pub(crate) fn unreported_failure(location: Location) -> Finding {
    let message = "a failed task is neither retried nor reported";
    let hint =
        "write `on_failure: queue`, or suppress this rule with the reason why it does not matter";
    RULE.finding(location, message, hint)
}
