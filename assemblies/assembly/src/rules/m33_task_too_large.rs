//! M33: containers exceed the largest Fargate size.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};
use crate::plan::Size;

/// The description of M33.
pub(crate) const RULE: Rule = Rule {
    id: "M33",
    name: "task-too-large",
    title: "containers exceed the largest Fargate size",
    explanation: "The task must be at least as large as the sum of its containers. Fargate's largest size is 32 vCPU with 244 GB; a larger workload has to be split into several tasks.",
    source: "ECS developer guide: Amazon ECS task definition differences for Fargate, task CPU and memory",
    hint: "request less, or split the task",
    passing: "\
name: shop
app: web
size: { containers: { web: { cpu: 32768, memory: 200000 } } }
service: {}
",
    // 260,000 MiB exceed the 249,856 MiB of the largest size.
    failing: Failing::Document(
        "\
name: shop
app: web
size: { containers: { web: { cpu: 32768, memory: 260000 } } }
service: {}
",
    ),
    ..MANIFEST
};

/// Reports a sum that no size holds, and names the container that requests the most.
pub(crate) fn too_large(location: Location, largest: &str, sum: Size) -> Finding {
    let Size { cpu, memory } = sum;
    RULE.finding(location,
        format!(
            "the containers request {cpu} CPU units and {memory} MiB; the largest Fargate size has 32768 and 249856"
        ),
        format!("reduce `{largest}`, which requests the most, or split the task"),
    )
}
