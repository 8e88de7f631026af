//! Applies the overrides of a call to a definition: what runs is the definition with them.

use std::collections::BTreeSet;

use task_definition::fargate_sizes;
use task_definition::{ContainerDefinition, ContainerOverride, TaskDefinition, TaskOverride};

use crate::api_error::ApiError;

/// Checks the overrides of a call against the definition.
pub(super) fn check(definition: &TaskDefinition, overrides: &TaskOverride) -> Result<(), ApiError> {
    let mut names = BTreeSet::new();
    for container in &overrides.container_overrides {
        let Some(name) = container.name.as_deref() else {
            return Err(ApiError::invalid_parameter(
                "Container name cannot be empty in a container override.",
            ));
        };
        // ECS checks names, so that a typo does not run the task without its override.
        if definition.container(name).is_none() {
            let message = format!(
                "Override for container named {name} is not a container in the TaskDefinition."
            );
            return Err(ApiError::invalid_parameter(message));
        }
        if !names.insert(name) {
            return Err(ApiError::invalid_parameter(format!(
                "Duplicate override for container named {name}."
            )));
        }
        if !container.resource_requirements.is_empty() {
            return Err(ApiError::from_unsupported_feature("resource requirements"));
        }
    }
    if !overrides.inference_accelerator_overrides.is_empty() {
        return Err(ApiError::from_unsupported_feature("inference accelerators"));
    }

    let storage = overrides.ephemeral_storage.as_ref();
    if storage.is_some_and(|storage| !(21..=200).contains(&storage.size_in_gib)) {
        return Err(ApiError::invalid_parameter(
            "ephemeralStorage must be between 21 and 200 GiB",
        ));
    }
    check_size(&apply(definition, overrides))
}

/// Checks that Fargate has the size of the task.
fn check_size(definition: &TaskDefinition) -> Result<(), ApiError> {
    let cpu = definition.cpu.as_deref().and_then(fargate_sizes::parse_cpu);
    let memory = definition
        .memory
        .as_deref()
        .and_then(fargate_sizes::parse_memory);
    let (Some(cpu), Some(memory)) = (cpu, memory) else {
        return Err(ApiError::client(
            "No Fargate configuration exists for given values: cpu and memory are required.",
        ));
    };

    if fargate_sizes::is_supported(fargate_sizes::Size { cpu, memory }) {
        return Ok(());
    }
    let message =
        format!("No Fargate configuration exists for given values: {cpu} CPU, {memory} memory.");
    Err(ApiError::client(message))
}

/// Returns the definition with the overrides.
pub(super) fn apply(definition: &TaskDefinition, overrides: &TaskOverride) -> TaskDefinition {
    let mut result = definition.clone();
    let replace = |field: &mut Option<String>, value: &Option<String>| {
        if value.is_some() {
            field.clone_from(value);
        }
    };

    replace(&mut result.cpu, &overrides.cpu);
    replace(&mut result.memory, &overrides.memory);
    replace(&mut result.task_role_arn, &overrides.task_role_arn);
    replace(
        &mut result.execution_role_arn,
        &overrides.execution_role_arn,
    );

    if overrides.ephemeral_storage.is_some() {
        result
            .ephemeral_storage
            .clone_from(&overrides.ephemeral_storage);
    }

    for container in &mut result.container_definitions {
        let mut all = overrides.container_overrides.iter();
        let own = all.find(|own| own.name.as_deref() == Some(container.name.as_str()));
        if let Some(own) = own {
            apply_to_container(container, own);
        }
    }
    result
}

fn apply_to_container(container: &mut ContainerDefinition, overrides: &ContainerOverride) {
    if !overrides.command.is_empty() {
        container.command.clone_from(&overrides.command);
    }
    // A variable of the definition with the same name is replaced, the others stay.
    for variable in &overrides.environment {
        container
            .environment
            .retain(|own| own.name != variable.name);
        container.environment.push(variable.clone());
    }
    container
        .environment_files
        .extend(overrides.environment_files.iter().cloned());
    container.cpu = overrides.cpu.or(container.cpu);
    container.memory = overrides.memory.or(container.memory);
    container.memory_reservation = overrides
        .memory_reservation
        .or(container.memory_reservation);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn definition() -> TaskDefinition {
        let value = json!({ "family": "f", "cpu": "256", "memory": "512", "containerDefinitions": [
            { "name": "app", "image": "a", "command": ["serve"],
              "environment": [{ "name": "A", "value": "1" }, { "name": "B", "value": "2" }] },
            { "name": "log", "image": "l" } ] });
        serde_json::from_value(value).unwrap()
    }

    fn overrides(value: serde_json::Value) -> TaskOverride {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn overrides_replace_what_they_name_and_nothing_else() {
        let given = overrides(
            json!({ "memory": "1024", "taskRoleArn": "role", "containerOverrides": [
            { "name": "app", "command": ["run"], "environment": [{ "name": "B", "value": "3" }], "memory": 300 }] }),
        );

        let result = apply(&definition(), &given);

        let app = result.container("app").unwrap();
        assert_eq!(app.command, ["run"]);
        assert_eq!(app.variable("A"), Some("1"));
        assert_eq!(app.variable("B"), Some("3"));
        assert_eq!(
            (app.memory, result.memory.as_deref()),
            (Some(300), Some("1024"))
        );

        assert_eq!(result.container("log"), definition().container("log"));
        assert_eq!(result.cpu.as_deref(), Some("256"));
    }

    #[test]
    fn rejects_overrides_that_fargate_cannot_run() {
        for given in [
            json!({ "containerOverrides": [{ "name": "typo" }] }),
            json!({ "containerOverrides": [{ "command": ["x"] }] }),
            json!({ "containerOverrides": [{ "name": "app" }, { "name": "app" }] }),
            json!({ "cpu": "256", "memory": "8192" }),
            json!({ "ephemeralStorage": { "sizeInGiB": 20 } }),
        ] {
            assert!(
                check(&definition(), &overrides(given.clone())).is_err(),
                "{given}"
            );
        }
        assert_eq!(
            check(&definition(), &overrides(json!({ "memory": "1024" }))),
            Ok(())
        );
    }
}
