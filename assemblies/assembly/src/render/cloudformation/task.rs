//! Adds the task definition in CloudFormation's form, its images as parameters, and its log group.

use serde_json::{Map, Value, json};

use super::stack::{Stack, attribute, reference};
use crate::plan::Plan;
use crate::plan::iam::pascal;

/// The logical id of the task definition.
pub(super) const TASK_DEFINITION: &str = "TaskDefinition";
/// The logical id of the log group.
pub(super) const LOG_GROUP: &str = "LogGroup";

/// Adds the resources and their parameters.
pub(super) fn add(stack: &mut Stack, plan: &Plan) {
    let definition = serde_json::to_value(plan.definition()).unwrap_or_default();
    let mut properties = to_cloudformation(&definition);
    add_image_parameters(stack, &mut properties);

    // A group named by an override belongs to the user, so the stack neither creates nor refers to it.
    let group = format!("/ecs/{}", plan.name());
    if refer_to_log_group(
        &mut properties,
        &group,
        &plan.wiring.assembly.account.region,
    ) {
        stack.parameter(
            "LogRetention",
            "The retention of logs in days.",
            json!({ "Type": "Number", "Default": 30, "AllowedValues": RETENTIONS }),
        );

        let why = "The containers' output. The log group stays when the stack is deleted.";
        let fields = json!({ "LogGroupName": group, "RetentionInDays": reference("LogRetention") });
        stack.resource(LOG_GROUP, "AWS::Logs::LogGroup", why, fields);
        stack.attribute(LOG_GROUP, "UpdateReplacePolicy", json!("Retain"));
        stack.attribute(LOG_GROUP, "DeletionPolicy", json!("RetainExceptOnCreate"));
    }

    for (field, role) in super::roles::task_roles(plan) {
        properties[field] = attribute(role, "Arn");
    }

    let why = "The same as task-definition.json, with references to resources of the stack. Earlier revisions stay active, \
    so that the service can be rolled back.";
    stack.resource(TASK_DEFINITION, "AWS::ECS::TaskDefinition", why, properties);
    // CloudFormation deregisters a revision that it replaces, and UpdateService refuses inactive ones, so that nothing
    // could be rolled back to.
    stack.attribute(TASK_DEFINITION, "UpdateReplacePolicy", json!("Retain"));
    stack.attribute(TASK_DEFINITION, "DeletionPolicy", json!("Retain"));
    stack.output(
        TASK_DEFINITION,
        "The revision of the task definition.",
        &reference(TASK_DEFINITION),
    );
}

/// The retentions in days that CloudWatch Logs supports.
const RETENTIONS: [u32; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];

/// Replaces each image by a parameter, so that a stack can be updated to another tag or digest.
fn add_image_parameters(stack: &mut Stack, properties: &mut Value) {
    let containers = properties["ContainerDefinitions"].as_array_mut();
    for container in containers.into_iter().flatten() {
        let name = container["Name"].as_str().unwrap_or_default().to_owned();
        let parameter = format!("{}Image", pascal(&name));
        let fields = json!({ "Type": "String", "Default": container["Image"] });
        stack.parameter(&parameter, &format!("The image of {name}."), fields);
        container["Image"] = reference(&parameter);
    }
}

/// Replaces the name of the log group by a reference; returns whether any container uses the group.
fn refer_to_log_group(properties: &mut Value, group: &str, region: &str) -> bool {
    let containers = properties["ContainerDefinitions"].as_array_mut();
    let mut is_used = false;
    for container in containers.into_iter().flatten() {
        let Some(options) = container.pointer_mut("/LogConfiguration/Options") else {
            continue;
        };
        // The same name in another region is another group.
        if options["awslogs-group"] == *group && options["awslogs-region"] == *region {
            options["awslogs-group"] = reference(LOG_GROUP);
            is_used = true;
        }
    }

    is_used
}

/// Converts the names of the ECS API's fields to CloudFormation's.
fn to_cloudformation(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(to_cloudformation).collect(),
        Value::Object(fields) => {
            let renamed = fields.iter().map(|(name, value)| {
                let value = if USER_DEFINED.contains(&name.as_str()) {
                    value.clone()
                } else {
                    to_cloudformation(value)
                };
                (cloudformation_name(name), value)
            });
            Value::Object(renamed.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

fn cloudformation_name(name: &str) -> String {
    let special = SPECIAL_NAMES.iter().find(|(api, _)| *api == name);
    if let Some((_, special)) = special {
        return (*special).to_owned();
    }
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// The names that differ by more than the first letter's case.
const SPECIAL_NAMES: [(&str, &str); 4] = [
    ("fileSystemId", "FilesystemId"),
    ("efsVolumeConfiguration", "EFSVolumeConfiguration"),
    (
        "fsxWindowsFileServerVolumeConfiguration",
        "FSxWindowsFileServerVolumeConfiguration",
    ),
    ("iam", "IAM"),
];

/// The maps with user-defined keys, which keep their names.
const USER_DEFINED: [&str; 4] = ["options", "dockerLabels", "driverOpts", "labels"];

/// The default `stopTimeout` of a container in seconds, from SIGTERM to SIGKILL.
pub(super) const STOP_TIMEOUT: u32 = 30;
