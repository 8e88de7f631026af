//! Checks whether a task definition can run on Fargate.

use task_definition::TaskDefinition;

/// Returns the reasons why a definition cannot run on Fargate, one per field; empty if it can.
///
/// A definition that declares Fargate is accepted, and rules report other problems. A definition that does not declare
/// it must have what Fargate requires.
pub(super) fn incompatibilities(definition: &TaskDefinition) -> Vec<String> {
    let mut reasons = Vec::new();
    for (index, container) in definition.container_definitions.iter().enumerate() {
        if container.name.is_empty() || container.image.is_empty() {
            reasons.push(format!(
                "`containerDefinitions[{index}]` has no name or no image"
            ));
        }

        let has_same_name =
            |other: &task_definition::ContainerDefinition| other.name == container.name;
        if definition.container_definitions[..index]
            .iter()
            .any(has_same_name)
        {
            reasons.push(format!("two containers are called `{}`", container.name));
        }
    }

    if definition.family.is_empty() {
        reasons.push("`family` is missing".to_owned());
    }
    if definition.container_definitions.is_empty() {
        reasons.push("`containerDefinitions` is empty".to_owned());
    }

    // `requiresCompatibilities` decides; without it the other fields must fit.
    if !definition.is_fargate() {
        reasons.extend(launch_type_reasons(definition));
    }
    reasons
}

fn launch_type_reasons(definition: &TaskDefinition) -> Vec<String> {
    let mut reasons = Vec::new();
    let compatibilities = &definition.requires_compatibilities;
    if !compatibilities.is_empty() {
        let names = compatibilities.join(", ");
        reasons.push(format!(
            "`requiresCompatibilities` is {names}, without FARGATE"
        ));
    }

    match definition.network_mode.as_deref() {
        Some("awsvpc") => {}
        Some(mode) => reasons.push(format!(
            "`networkMode` is {mode}; Fargate supports only awsvpc, in which all containers share one network namespace"
        )),
        // ECS's default on Linux.
        None => reasons.push("`networkMode` is missing, which means bridge".to_owned()),
    }

    for (field, value) in [("cpu", &definition.cpu), ("memory", &definition.memory)] {
        if value.is_none() {
            reasons.push(format!("`{field}` of the task is missing"));
        }
    }

    if !definition.placement_constraints.is_empty() {
        reasons.push("`placementConstraints` select a host".to_owned());
    }

    let hosts = definition.volumes.iter().filter(|volume| {
        let host = volume.host.as_ref();
        host.is_some_and(|host| host.source_path.is_some())
    });

    reasons.extend(
        hosts.map(|volume| format!("the volume `{}` is a folder of the host", volume.name)),
    );
    let containers = definition.container_definitions.iter();
    let privileged = containers.filter(|container| container.privileged == Some(true));

    reasons.extend(privileged.map(|container| format!("`{}` is privileged", container.name)));
    reasons
}
