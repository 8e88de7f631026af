//! M33: the containers together are more than Fargate sells.

use task_definition::{Finding, Place};

use super::Rule;
use crate::plan::Size;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M33",
    title: "the containers together are more than Fargate sells",
    explanation: "The task must be as large as the floors of its containers together. Fargate's largest size is 32 vCPU with 244 GB; beyond that the work has to be split into several tasks.",
    source: "assemblies/README.md",
    hint: "ask for less, or split the task",
    passing: "\
name: shop
app: web
size: { containers: { web: { cpu: 32768, memory: 200000 } } }
service: {}
",
    failing: "\
name: shop
app: web
size: { containers: { web: { cpu: 32768, memory: 260000 } } }
service: {}
",
};

/// A sum that no size holds; the largest of its parts is named.
pub(crate) fn too_large(place: Place, largest: &str, sum: Size) -> Finding {
    let Size { cpu, memory } = sum;
    RULE.error(place,
        format!(
            "the containers ask for {cpu} CPU units and {memory} MiB; Fargate sells at most 32768 and 249856"
        ),
        format!("give less to `{largest}`, which asks for the most, or split the task"),
    )
}
