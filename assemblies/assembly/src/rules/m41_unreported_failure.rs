//! M41: nobody learns of a task that failed.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M41",
    title: "nobody learns of a task that failed",
    explanation: "EventBridge is done once the task was started. One that fails afterwards is not tried again, and reaches no queue by itself: its object stays without a result, and nobody knows.",
    source: "EventBridge user guide: retry policy and dead-letter queues; aws/containers-roadmap#1705",
    hint: "keep the failures in a queue",
    passing: "\
name: shop
app: press
on_demand: { bucket: inbox, suffix: .txt }
",
    failing: "\
name: shop
app: press
on_demand: { bucket: inbox, suffix: .txt, on_failure: ignore }
",
};

/// A failure that leaves no trace.
pub(crate) fn unreported_failure(place: Place) -> Finding {
    let message = "a task that fails is not tried again, and nobody learns of it";
    let hint = "write `on_failure: queue`, or silence this with the reason why it does not matter";
    RULE.warning(place, message, hint)
}
