//! Everything of an assembly whose tasks are started by new objects.

use serde_json::json;

use super::stack::{Stack, attribute, reference};
use super::{bucket, events, network, queue};
use crate::manifest::{OnDemand, OnFailure};
use crate::plan::Plan;
use crate::trigger;

const FAILED: &str = "FailedQueue";
const FAILED_RULE: &str = "FailedRule";

/// Adds it.
pub(super) fn add(stack: &mut Stack, plan: &Plan, on_demand: &OnDemand) {
    network::closed_group(stack, plan, "The tasks call others; nobody calls them.");
    bucket::add(stack, on_demand);
    events::add(stack, plan, on_demand);
    let about = "The queue of events for which no task could be started.";
    stack.output(events::UNDELIVERED, about, &reference(events::UNDELIVERED));
    if on_demand.on_failure == OnFailure::Queue {
        failures(stack, plan);
    }
}

/// EventBridge is done once a task was started: what becomes of it must be watched for.
fn failures(stack: &mut Stack, plan: &Plan) {
    let name = format!("{}-failed", plan.name());
    let why = "Tasks that ended without having done their work, each with what it was started for.";
    queue::add(stack, FAILED, &name, why);

    let pattern = trigger::failures(plan.name(), events::app(plan), &bucket::cluster());
    let properties = json!({
        "Name": name,
        "Description": format!("Keeps the ends of {} that are failures", plan.name()),
        "State": "ENABLED",
        "EventPattern": pattern,
        "Targets": [{ "Id": "queue", "Arn": attribute(FAILED, "Arn") }],
    });

    let why = "The app left with another code than 0, or nothing ever started.";
    stack.resource(FAILED_RULE, "AWS::Events::Rule", why, properties);
    queue::open(stack, FAILED, &[FAILED_RULE]);
    stack.output(
        FAILED,
        "The queue of tasks that failed.",
        &reference(FAILED),
    );
}
