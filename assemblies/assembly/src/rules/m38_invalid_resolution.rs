//! M38: CPU and memory are looked at every 60 or every 20 seconds.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M38",
    title: "CPU and memory are looked at every 60 or every 20 seconds",
    explanation: "Since June 2026 ECS publishes the use of CPU and memory every 20 seconds as well, at a price. Scaling then begins after about 86 seconds instead of 363 (AWS's own measurement). The count of requests has one resolution only.",
    source: "ECS developer guide: faster auto scaling with high-resolution metrics; aws/containers-roadmap#2113",
    hint: "write 60 or 20, and a target of CPU or memory",
    passing: "\
name: shop
app: web
service: { max: 4, resolution: 20, target: { cpu: 60 } }
",
    failing: "\
name: shop
app: web
service: { max: 4, resolution: 10, target: { cpu: 60 } }
",
};

/// Another number.
pub(crate) fn invalid_resolution(place: Place, seconds: u32) -> Finding {
    RULE.error(
        place,
        format!("nothing is looked at every {seconds} seconds"),
        "write 60, or 20 for a price",
    )
}

/// A fine look at nothing.
pub(crate) fn no_high_resolution_target(place: Place) -> Finding {
    RULE.error(
        place,
        "only CPU and memory are looked at every 20 seconds, and none of them is kept steady",
        "take it away, or add `cpu` to `target`",
    )
}
