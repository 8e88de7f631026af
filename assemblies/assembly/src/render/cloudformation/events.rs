//! The EventBridge rule that starts a task for a new object, directly or through a queue.

use serde_json::{Value, json};

use super::bucket::cluster;
use super::stack::{Stack, attribute, reference};
use super::task::TASK_DEFINITION;
use super::{network, queue, roles};
use crate::manifest::OnDemand;
use crate::plan::Plan;
use crate::plan::iam::{EVENTS, PIPE};
use crate::trigger;

pub(super) const RULE: &str = "Rule";
pub(super) const UNDELIVERED: &str = "UndeliveredQueue";
const QUEUE: &str = "Queue";

/// EventBridge's own limits, which are also its defaults.
const RETRIES: u32 = 185;
const DAY: u32 = 86_400;
/// The default number of retries of a queue.
const QUEUE_RETRIES: u32 = 4;

/// Adds the rule and where its events go.
pub(super) fn add(stack: &mut Stack, plan: &Plan, on_demand: &OnDemand) {
    let undelivered = format!("{}-undelivered", plan.name());
    let why = "Events for which no task could be started. (Tasks that started and failed are in the failed queue.)";
    queue::add(stack, UNDELIVERED, &undelivered, why);
    // A queue keeps events while the cluster or the account's task quota is exhausted.
    let target = if on_demand.queue {
        queue_target(stack, plan, on_demand)
    } else {
        ecs_target(plan, on_demand)
    };

    let why = "New objects. EventBridge delivers events at least once and in any order, and a rule cannot set a \
    client token: handling the same event twice must lead to the same result.";
    let properties = json!({
        "Name": plan.name(),
        "Description": format!("Starts {} for a new object", plan.name()),
        "State": "ENABLED",
        "EventPattern": trigger::pattern(on_demand),
        "Targets": [target],
    });

    stack.resource(RULE, "AWS::Events::Rule", why, properties);
    stack.comment(
        RULE,
        "EventPattern/detail/object/size",
        "Folders created in the S3 console are empty objects.",
    );
    queue::allow_rules(stack, UNDELIVERED, &[RULE]);
}

/// Returns the target of a rule that starts the task itself.
fn ecs_target(plan: &Plan, on_demand: &OnDemand) -> Value {
    let variables = trigger::variables(&plan.wiring.assembly);
    let app = app(plan);
    json!({
        "Id": "run-task",
        "Arn": cluster(),
        "RoleArn": attribute(roles::logical_id(EVENTS), "Arn"),
        "EcsParameters": {
            "TaskDefinitionArn": reference(TASK_DEFINITION),
            "TaskCount": 1,
            "LaunchType": "FARGATE",
            "PlatformVersion": "LATEST",
            "NetworkConfiguration": { "AwsVpcConfiguration": network::awsvpc() },
            "PropagateTags": "TASK_DEFINITION",
            "EnableECSManagedTags": true,
        },
        // The template is the `overrides` of RunTask: it sets the app's variables.
        "InputTransformer": {
            "InputPathsMap": trigger::paths(&variables),
            "InputTemplate": trigger::overrides_template(app, &variables),
        },
        "RetryPolicy": {
            "MaximumRetryAttempts": on_demand.retries.unwrap_or(RETRIES),
            "MaximumEventAgeInSeconds": DAY,
        },
        "DeadLetterConfig": { "Arn": attribute(UNDELIVERED, "Arn") },
    })
}

/// Adds a queue and the pipe that starts a task for each message; returns the target of the rule.
///
/// A pipe can only copy whole values from a message, so the rule composes the variables.
fn queue_target(stack: &mut Stack, plan: &Plan, on_demand: &OnDemand) -> Value {
    let variables = trigger::variables(&plan.wiring.assembly);
    // `maxReceiveCount` counts the first try as well.
    let tries = on_demand.retries.unwrap_or(QUEUE_RETRIES) + 1;
    queue::add_with_redrive(stack, QUEUE, plan.name(), UNDELIVERED, tries);
    queue::allow_rules(stack, QUEUE, &[RULE]);

    let environment: Vec<Value> = variables
        .iter()
        .map(|variable| json!({ "Name": variable.name, "Value": format!("$.body.{}", variable.name) }))
        .collect();
    let properties = json!({
        "Name": plan.name(),
        "Description": format!("Starts {} for every message", plan.name()),
        "RoleArn": attribute(roles::logical_id(PIPE), "Arn"),
        "Source": attribute(QUEUE, "Arn"),
        "SourceParameters": { "SqsQueueParameters": { "BatchSize": 1 } },
        "Target": cluster(),
        "TargetParameters": {
            "EcsTaskParameters": {
                "TaskDefinitionArn": reference(TASK_DEFINITION),
                "TaskCount": 1,
                "LaunchType": "FARGATE",
                "PlatformVersion": "LATEST",
                "NetworkConfiguration": { "AwsvpcConfiguration": network::awsvpc() },
                "PropagateTags": "TASK_DEFINITION",
                "EnableECSManagedTags": true,
                "Overrides": {
                    "ContainerOverrides": [{ "Name": app(plan), "Environment": environment }],
                },
            },
        },
    });

    let why = "One task per message; the message is deleted once its task has started.";
    stack.resource("Pipe", "AWS::Pipes::Pipe", why, properties);
    json!({
        "Id": "queue",
        "Arn": attribute(QUEUE, "Arn"),
        "InputTransformer": {
            "InputPathsMap": trigger::paths(&variables),
            "InputTemplate": trigger::message_template(&variables),
        },
        "DeadLetterConfig": { "Arn": attribute(UNDELIVERED, "Arn") },
    })
}

/// Returns the name of the app's container.
pub(super) fn app(plan: &Plan) -> &str {
    plan.app()
        .map_or(plan.name(), crate::resolve::AssemblyMember::name)
}
