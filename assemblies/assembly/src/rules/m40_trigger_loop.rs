//! M40: a result would start a task again.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M40",
    title: "a result would start a task again",
    explanation: "A task that writes into the bucket that is watched, under a key that is watched for, starts the next task, which starts the next. Nothing ends that but the bill.",
    source: "S3 user guide: event notifications, execution loops",
    hint: "write into another bucket, or watch for keys that results do not have",
    passing: "\
name: shop
app: press
on_demand: { bucket: inbox, suffix: .txt }
",
    failing: "\
name: shop
app: press
on_demand: { bucket: inbox }
",
};

/// A key that is watched for.
pub(crate) fn trigger_loop(place: Place, bucket: &str, key: &str) -> Finding {
    RULE.error(
        place,
        format!(
            "a result is stored as `{key}` in `{bucket}`, which starts the next task, without end"
        ),
        "give another `output_bucket`, or a `prefix` or `suffix` that results do not have",
    )
}
