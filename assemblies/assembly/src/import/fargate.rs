//! Whether a task definition can run on Fargate at all.

use task_definition::TaskDefinition;

/// Why it cannot be: a reason for each field. Nothing when it can.
///
/// One that says so is believed: what else Fargate would refuse is a finding. One that says nothing
/// must have what Fargate asks for.
pub(super) fn refusals(definition: &TaskDefinition) -> Vec<String> {
    let mut reasons = Vec::new();
    for (index, container) in definition.container_definitions.iter().enumerate() {
        if container.name.is_empty() || container.image.is_empty() {
            reasons.push(format!(
                "`containerDefinitions[{index}]` has no name or no image"
            ));
        }

        let same = |one: &task_definition::ContainerDefinition| one.name == container.name;
        if definition.container_definitions[..index].iter().any(same) {
            reasons.push(format!("two containers are called `{}`", container.name));
        }
    }

    if definition.family.is_empty() {
        reasons.push("`family` is missing".to_owned());
    }
    if definition.container_definitions.is_empty() {
        reasons.push("`containerDefinitions` is empty".to_owned());
    }

    if !definition.is_fargate() {
        reasons.extend(of_another_kind(definition));
    }
    reasons
}

fn of_another_kind(definition: &TaskDefinition) -> Vec<String> {
    let mut reasons = Vec::new();
    let named = &definition.requires_compatibilities;
    if !named.is_empty() {
        let named = named.join(", ");
        reasons.push(format!(
            "`requiresCompatibilities` is {named}, without FARGATE"
        ));
    }

    match definition.network_mode.as_deref() {
        Some("awsvpc") => {}
        Some(mode) => reasons.push(format!(
            "`networkMode` is {mode}; Fargate has only awsvpc, where all containers share one address"
        )),
        None => reasons.push("`networkMode` is left out, which means bridge".to_owned()),
    }

    for (field, value) in [("cpu", &definition.cpu), ("memory", &definition.memory)] {
        if value.is_none() {
            reasons.push(format!("`{field}` of the task is left out"));
        }
    }

    if !definition.placement_constraints.is_empty() {
        reasons.push("`placementConstraints` choose a machine".to_owned());
    }

    let hosts = definition.volumes.iter().filter(|one| {
        let host = one.host.as_ref();
        host.is_some_and(|host| host.source_path.is_some())
    });

    reasons
        .extend(hosts.map(|one| format!("the volume `{}` is a folder of the machine", one.name)));
    let containers = definition.container_definitions.iter();
    let privileged = containers.filter(|one| one.privileged == Some(true));

    reasons.extend(privileged.map(|one| format!("`{}` is privileged", one.name)));
    reasons
}
