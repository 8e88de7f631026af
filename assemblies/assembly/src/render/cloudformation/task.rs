//! The task definition in CloudFormation's form, its images as parameters, and its log group.

use serde_json::{Map, Value, json};

use super::stack::{Stack, attribute, reference};
use crate::plan::Plan;
use crate::plan::iam::pascal;

/// The logical name of the task definition.
pub(super) const TASK_DEFINITION: &str = "TaskDefinition";
/// The logical name of the log group.
pub(super) const LOG_GROUP: &str = "LogGroup";

/// Adds them.
pub(super) fn add(stack: &mut Stack, plan: &Plan) {
    let definition = serde_json::to_value(plan.definition()).unwrap_or_default();
    let mut properties = cloudformation(&definition);
    images(stack, &mut properties);

    let group = format!("/ecs/{}", plan.name());
    if logs_into(
        &mut properties,
        &group,
        &plan.wiring.assembly.account.region,
    ) {
        stack.parameter(
            "LogRetention",
            "Days for which logs are kept.",
            json!({ "Type": "Number", "Default": 30, "AllowedValues": RETENTIONS }),
        );

        let why =
            "What the containers print. It stays when the stack goes, and is deleted by hand.";
        let fields = json!({ "LogGroupName": group, "RetentionInDays": reference("LogRetention") });
        stack.resource(LOG_GROUP, "AWS::Logs::LogGroup", why, fields);
        stack.attribute(LOG_GROUP, "UpdateReplacePolicy", json!("Retain"));
        stack.attribute(LOG_GROUP, "DeletionPolicy", json!("RetainExceptOnCreate"));
    }

    for (field, role) in super::roles::task_roles(plan) {
        properties[field] = attribute(role, "Arn");
    }

    let why = "The same as task-definition.json, with references where the stack makes something.";
    stack.resource(TASK_DEFINITION, "AWS::ECS::TaskDefinition", why, properties);
    stack.output(
        TASK_DEFINITION,
        "The revision of the task definition.",
        &reference(TASK_DEFINITION),
    );
}

/// The numbers of days that CloudWatch Logs takes.
const RETENTIONS: [u32; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];

/// Every image becomes a parameter, so that a stack can be moved to another tag or digest.
fn images(stack: &mut Stack, properties: &mut Value) {
    let containers = properties["ContainerDefinitions"].as_array_mut();
    for container in containers.into_iter().flatten() {
        let name = container["Name"].as_str().unwrap_or_default().to_owned();
        let parameter = format!("{}Image", pascal(&name));
        let fields = json!({ "Type": "String", "Default": container["Image"] });
        stack.parameter(&parameter, &format!("The image of {name}."), fields);
        container["Image"] = reference(&parameter);
    }
}

/// Lets containers name the group that the stack makes; whether any did.
fn logs_into(properties: &mut Value, group: &str, region: &str) -> bool {
    let containers = properties["ContainerDefinitions"].as_array_mut();
    let mut any = false;
    for container in containers.into_iter().flatten() {
        let Some(options) = container.pointer_mut("/LogConfiguration/Options") else {
            continue;
        };
        if options["awslogs-group"] == *group && options["awslogs-region"] == *region {
            options["awslogs-group"] = reference(LOG_GROUP);
            any = true;
        }
    }

    any
}

/// The API's fields as CloudFormation spells them.
fn cloudformation(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(cloudformation).collect(),
        Value::Object(fields) => {
            let renamed = fields.iter().map(|(name, value)| {
                let value = if USERS_OWN.contains(&name.as_str()) {
                    value.clone()
                } else {
                    cloudformation(value)
                };
                (spelled(name), value)
            });
            Value::Object(renamed.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

fn spelled(name: &str) -> String {
    let special = SPELLED.iter().find(|(api, _)| *api == name);
    if let Some((_, spelled)) = special {
        return (*spelled).to_owned();
    }
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// Where a capital is not all that differs.
const SPELLED: [(&str, &str); 4] = [
    ("fileSystemId", "FilesystemId"),
    ("efsVolumeConfiguration", "EFSVolumeConfiguration"),
    (
        "fsxWindowsFileServerVolumeConfiguration",
        "FSxWindowsFileServerVolumeConfiguration",
    ),
    ("iam", "IAM"),
];

/// Below these the keys are the user's own.
const USERS_OWN: [&str; 4] = ["options", "dockerLabels", "driverOpts", "labels"];

/// Seconds between SIGTERM and SIGKILL where a container says nothing.
pub(super) const STOP_TIMEOUT: u32 = 30;
