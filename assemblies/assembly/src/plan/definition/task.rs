//! Derives the fields of the task.

use diagnostics::{Location, LocationMap};
use task_definition::{RuntimePlatform, TaskDefinition, Volume};

use super::container::{container, volume_name};
use crate::plan::iam::{Statement, role_arn};
use crate::plan::share::Allocation;
use crate::resolve::AssemblyMember;
use crate::wire::Wiring;

pub(super) fn task(
    wiring: &Wiring,
    Allocation { size, shares }: &Allocation,
    task_role: &[Statement],
    locations: &mut LocationMap,
) -> TaskDefinition {
    let assembly = &wiring.assembly;
    let file = assembly.manifest.file();
    insert_task_places(wiring, locations);

    // A field without its own location falls back to the container's, the line that names it.
    let containers = assembly.members.iter().enumerate().map(|(index, member)| {
        let pointer = format!("/containerDefinitions/{index}");
        locations.insert(pointer.clone(), member.location.clone());
        container(wiring, index, shares[index], &pointer, locations)
    });
    let containers = containers.collect();

    TaskDefinition {
        family: file.name.clone(),
        task_role_arn: (!task_role.is_empty())
            .then(|| role_arn(&assembly.account, &file.name, "task")),
        execution_role_arn: Some(role_arn(&assembly.account, &file.name, "execution")),
        network_mode: Some("awsvpc".to_owned()),
        container_definitions: containers,
        volumes: assembly.members.iter().flat_map(volumes).collect(),
        requires_compatibilities: vec!["FARGATE".to_owned()],
        cpu: Some(size.cpu.to_string()),
        memory: Some(size.memory.to_string()),
        runtime_platform: Some(RuntimePlatform {
            cpu_architecture: Some(file.size.architecture.as_str().to_owned()),
            operating_system_family: Some("LINUX".to_owned()),
        }),
        ..TaskDefinition::default()
    }
}

/// Sets the locations of the task's own fields.
fn insert_task_places(wiring: &Wiring, locations: &mut LocationMap) {
    let manifest = &wiring.assembly.manifest;
    locations.insert("", manifest.location("/name"));
    locations.insert("/family", manifest.location("/name"));

    for field in ["cpu", "memory"] {
        let pointer = format!("/size/{field}");
        let requested = match field {
            "cpu" => manifest.file().size.cpu,
            _ => manifest.file().size.memory,
        };

        let location = if requested.is_some() {
            manifest.location(&pointer)
        } else {
            let derivation = "the smallest Fargate size that holds the sum of the containers";
            Location::from_derivation(derivation, Some(manifest.location("/name")))
        };
        locations.insert(format!("/{field}"), location);
    }
}

fn volumes(member: &AssemblyMember) -> Vec<Volume> {
    let files = &member.component.file().files;
    files
        .iter()
        .map(|path| Volume {
            name: volume_name(member, path),
            ..Volume::default()
        })
        .collect()
}
