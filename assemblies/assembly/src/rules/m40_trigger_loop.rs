//! M40: output would trigger the task again.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M40.
pub(crate) const RULE: Rule = Rule {
    id: "M40",
    name: "trigger-loop",
    title: "output would trigger the task again",
    explanation: "A task that writes into the bucket that triggers it, under a key that matches the trigger, starts the next task, which starts the next. The loop does not end by itself, and every run is billed.",
    source: "S3 user guide: event notifications, execution loops",
    hint: "write to another bucket, or use a trigger that does not match the results",
    passing: "\
name: shop
app: press
on_demand: { bucket: inbox, suffix: .txt }
",
    // Without a suffix in the trigger, a result in the same bucket matches it.
    failing: Failing::Document(
        "\
name: shop
app: press
on_demand: { bucket: inbox }
",
    ),
    suppressible: true,
    ..MANIFEST
};

/// Reports a result key that matches the trigger.
pub(crate) fn trigger_loop(location: Location, bucket: &str, key: &str) -> Finding {
    RULE.finding(
        location,
        format!(
            "a result is stored as `{key}` in `{bucket}`, which starts the task again in an endless loop"
        ),
        "set another `output_bucket`, or a `prefix` or `suffix` that results do not have",
    )
}
