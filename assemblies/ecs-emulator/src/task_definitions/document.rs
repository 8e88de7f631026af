//! A revision as DescribeTaskDefinition returns it: with the fields that ECS fills in.

use serde_json::{Map, Value, json};
use task_definition::TaskDefinition;

use super::Revision;
use crate::arn::Owner;
use crate::sts::caller_arn;
use crate::time::seconds;

/// Returns the document of a revision.
pub(crate) fn to_json(revision: &Revision, owner: &Owner) -> Value {
    let definition = &revision.definition;
    let mut document = serde_json::to_value(&**definition).unwrap_or_default();
    let Some(fields) = document.as_object_mut() else {
        return document;
    };

    for container in fields
        .get_mut("containerDefinitions")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Some(container) = container.as_object_mut() {
            complete_container(container, definition.network_mode.as_deref());
        }
    }

    for name in ["volumes", "placementConstraints"] {
        fields.entry(name).or_insert_with(|| json!([]));
    }
    fields.insert("taskDefinitionArn".to_owned(), revision.arn(owner).into());
    fields.insert("revision".to_owned(), revision.number.into());
    fields.insert("status".to_owned(), revision.status.as_str().into());
    fields.insert("requiresAttributes".to_owned(), attributes(definition));
    fields.insert(
        "compatibilities".to_owned(),
        json!(compatibilities(definition)),
    );

    fields.insert(
        "registeredAt".to_owned(),
        seconds(revision.registered).into(),
    );

    fields.insert("registeredBy".to_owned(), caller_arn(owner).into());
    for (name, time) in [
        ("deregisteredAt", revision.deregistered),
        ("deleteRequestedAt", revision.delete_requested),
    ] {
        if let Some(time) = time {
            fields.insert(name.to_owned(), seconds(time).into());
        }
    }
    document
}

/// Adds what ECS adds to a container: empty lists, `essential`, and the host ports of `awsvpc`.
fn complete_container(container: &mut Map<String, Value>, network_mode: Option<&str>) {
    for name in [
        "portMappings",
        "environment",
        "mountPoints",
        "volumesFrom",
        "systemControls",
    ] {
        container.entry(name).or_insert_with(|| json!([]));
    }
    container.entry("cpu").or_insert_with(|| 0.into());
    container.entry("essential").or_insert(Value::Bool(true));

    let mappings = container
        .get_mut("portMappings")
        .and_then(Value::as_array_mut);
    for mapping in mappings
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
    {
        mapping.entry("protocol").or_insert_with(|| "tcp".into());
        // With awsvpc the host port is the container port.
        let port = mapping.get("containerPort").cloned();
        if let Some(port) = port.filter(|_| network_mode == Some("awsvpc")) {
            mapping.entry("hostPort").or_insert(port);
        }
    }
}

/// Returns the launch types that can run a definition. Fargate needs its own network and a size of the task.
pub(crate) fn compatibilities(definition: &TaskDefinition) -> Vec<&'static str> {
    let is_awsvpc = definition.network_mode.as_deref() == Some("awsvpc");
    let has_size = definition.cpu.is_some() && definition.memory.is_some();
    if is_awsvpc && has_size {
        vec!["EC2", "FARGATE"]
    } else if is_awsvpc {
        vec!["EC2"]
    } else {
        vec!["EXTERNAL", "EC2"]
    }
}

fn attributes(definition: &TaskDefinition) -> Value {
    let mut names = vec!["com.amazonaws.ecs.capability.docker-remote-api.1.18"];
    if definition.network_mode.as_deref() == Some("awsvpc") {
        names.push("ecs.capability.task-eni");
    }
    if definition.execution_role_arn.is_some() {
        names.push("ecs.capability.execution-role-awslogs");
    }
    names
        .into_iter()
        .map(|name| json!({ "name": name }))
        .collect()
}
