//! The resources of an on-demand assembly, which starts a task for each new object.

use serde_json::json;

use super::stack::{Stack, attribute, reference};
use super::{bucket, events, network, queue};
use crate::manifest::{OnDemand, OnFailure};
use crate::plan::Plan;
use crate::trigger;

const FAILED: &str = "FailedQueue";
const FAILED_RULE: &str = "FailedRule";

/// Adds the resources.
pub(super) fn add(stack: &mut Stack, plan: &Plan, on_demand: &OnDemand) {
    network::add_task_group(stack, plan, "The tasks make connections and accept none.");
    bucket::add(stack, on_demand);
    events::add(stack, plan, on_demand);
    let about = "The queue of events for which no task could be started.";
    stack.output(events::UNDELIVERED, about, &reference(events::UNDELIVERED));
    if on_demand.on_failure == OnFailure::Queue {
        add_failed_queue(stack, plan);
    }
}

/// Adds a queue of failed tasks, and the rule that fills it.
///
/// EventBridge's delivery ends when the task starts, so its failure needs a rule on the task's state.
fn add_failed_queue(stack: &mut Stack, plan: &Plan) {
    let name = format!("{}-failed", plan.name());
    let why = "Failed tasks, each with the overrides it was started with.";
    queue::add(stack, FAILED, &name, why);

    // The task state change event has the overrides, so a failed task can be started again from it.
    let pattern = trigger::failures(plan.name(), events::app(plan), &bucket::cluster());
    let properties = json!({
        "Name": name,
        "Description": format!("Keeps failed tasks of {}", plan.name()),
        "State": "ENABLED",
        "EventPattern": pattern,
        "Targets": [{ "Id": "queue", "Arn": attribute(FAILED, "Arn") }],
    });

    let why = "The app exited with another code than 0, or the task did not start.";
    stack.resource(FAILED_RULE, "AWS::Events::Rule", why, properties);
    queue::allow_rules(stack, FAILED, &[FAILED_RULE]);
    stack.output(
        FAILED,
        "The queue of tasks that failed.",
        &reference(FAILED),
    );
}
