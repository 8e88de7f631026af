//! M16: the fewest tasks are more than the most, or nothing is kept steady.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M16",
    title: "the fewest tasks are more than the most, or nothing is kept steady",
    explanation: "`service` starts and stops tasks between `min` and `max`.",
    source: "assemblies/README.md",
    hint: "order them",
    passing: "\
name: shop
app: web
service: { min: 1, max: 4, target: { cpu: 60 } }
",
    failing: "\
name: shop
app: web
service: { min: 5, max: 4, target: { cpu: 60 } }
",
};

/// They are the wrong way round.
pub(crate) fn min_above_max(place: Place, min: u32, max: u32) -> Finding {
    RULE.error(
        place,
        format!("`min` is {min}, which is more than `max`, {max}"),
        format!("write a `max` of at least {min}"),
    )
}

/// A range without a reason to use it.
pub(crate) fn no_target(place: Place, min: u32, max: u32) -> Finding {
    RULE.error(
        place,
        format!("tasks can go from {min} to {max}, but nothing says when"),
        "add `target: { requests_per_task: … }` or `target: { cpu: … }`",
    )
}
