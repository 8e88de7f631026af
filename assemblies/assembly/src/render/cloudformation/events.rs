//! The rule that starts a task for a new object, at once or through a queue.

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
/// Tries of a queue, where nobody says otherwise.
const QUEUE_RETRIES: u32 = 4;

/// Adds the rule and where its events go.
pub(super) fn add(stack: &mut Stack, plan: &Plan, on_demand: &OnDemand) {
    let undelivered = format!("{}-undelivered", plan.name());
    let why = "Events for which no task could be started. (A task that was started and failed is another matter.)";
    queue::add(stack, UNDELIVERED, &undelivered, why);
    let target = if on_demand.queue {
        buffered(stack, plan, on_demand)
    } else {
        direct(plan, on_demand)
    };

    let why = "New objects. Events come at least once and in any order, and a rule cannot give a task a token that \
               makes it unique: the same event twice must lead to the same result.";
    let properties = json!({
        "Name": plan.name(),
        "Description": format!("Starts {} for a new object", plan.name()),
        "State": "ENABLED",
        "EventPattern": trigger::pattern(on_demand),
        "Targets": [target],
    });

    stack.resource(RULE, "AWS::Events::Rule", why, properties);
    stack.say(
        RULE,
        "EventPattern/detail/object/size",
        "Folders that the console makes are empty objects.",
    );
    queue::open(stack, UNDELIVERED, &[RULE]);
}

/// The rule starts the task itself.
fn direct(plan: &Plan, on_demand: &OnDemand) -> Value {
    let variables = trigger::variables(&plan.wiring.assembly);
    let app = app(plan);
    json!({
        "Id": "run-task",
        "Arn": cluster(),
        "RoleArn": attribute(roles::logical(EVENTS), "Arn"),
        "EcsParameters": {
            "TaskDefinitionArn": reference(TASK_DEFINITION),
            "TaskCount": 1,
            "LaunchType": "FARGATE",
            "PlatformVersion": "LATEST",
            "NetworkConfiguration": { "AwsVpcConfiguration": network::awsvpc() },
            "PropagateTags": "TASK_DEFINITION",
            "EnableECSManagedTags": true,
        },
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

/// The rule puts variables into a queue, and a pipe starts a task for each message.
///
/// A pipe can only take whole values out of a message, so the rule puts them together.
fn buffered(stack: &mut Stack, plan: &Plan, on_demand: &OnDemand) -> Value {
    let variables = trigger::variables(&plan.wiring.assembly);
    let tries = on_demand.retries.unwrap_or(QUEUE_RETRIES) + 1;
    queue::add_with_redrive(stack, QUEUE, plan.name(), UNDELIVERED, tries);
    queue::open(stack, QUEUE, &[RULE]);

    let environment: Vec<Value> = variables
        .iter()
        .map(|one| json!({ "Name": one.name, "Value": format!("$.body.{}", one.name) }))
        .collect();
    let properties = json!({
        "Name": plan.name(),
        "Description": format!("Starts {} for every message", plan.name()),
        "RoleArn": attribute(roles::logical(PIPE), "Arn"),
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

    let why = "One task for one message; a message is gone once its task was started.";
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

/// The app's container.
pub(super) fn app(plan: &Plan) -> &str {
    plan.app()
        .map_or(plan.name(), crate::resolve::AssemblyMember::name)
}
