//! The limits of a task, and what this host does not enforce.

use std::sync::Arc;

use task_definition::{ContainerDefinition, TaskDefinition};
use task_runner::Cgroups;

use crate::{Messages, Options};

/// Whether cpu and memory limits are enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limits {
    /// As on Fargate, with cgroups where the host allows them.
    Task,
    /// All processors of the host; the memory limit is still enforced.
    Off,
}

/// Creates the cgroups that enforce the task's size. Where the host does not allow them, memory is polled.
pub(super) fn cgroups(definition: &TaskDefinition, options: &Options) -> Option<Arc<Cgroups>> {
    if options.limits == Limits::Off {
        return None;
    }
    let cgroups = Cgroups::open(definition);
    cgroups.ok().map(Arc::new)
}

/// Prints what Fargate would enforce and this host does not.
pub(super) fn warn_about_unenforced(
    definition: &TaskDefinition,
    sandboxed: bool,
    cgroups: Option<&Cgroups>,
    ui: &dyn Messages,
) {
    let any =
        |test: fn(&ContainerDefinition) -> bool| definition.container_definitions.iter().any(test);
    // A sandbox has its own mounts and users, and cpu needs cgroups. The other fields are never enforced locally.
    let checks = [
        (!cgroups.is_some_and(Cgroups::limits_cpu), "cpu"),
        (
            !sandboxed && any(|container| container.readonly_root_filesystem == Some(true)),
            "readonlyRootFilesystem",
        ),
        (
            !sandboxed && any(|container| container.user.is_some()),
            "user",
        ),
        (
            !sandboxed && any(|container| !container.mount_points.is_empty()),
            "volumes",
        ),
        (
            any(|container| !container.environment_files.is_empty()),
            "environmentFiles (pass them with --env-file)",
        ),
        (any(|container| container.hostname.is_some()), "hostname"),
        (any(has_capabilities), "capabilities"),
        (any(has_udp), "UDP ports"),
        (
            any(|container| container.ulimits.iter().any(|limit| limit.name != "nofile")),
            "ulimits except nofile",
        ),
    ];

    let unenforced: Vec<_> = checks
        .iter()
        .filter(|(applies, _)| *applies)
        .map(|(_, name)| *name)
        .collect();

    if !unenforced.is_empty() {
        ui.message(&format!("not enforced locally: {}", unenforced.join(", ")));
    }
}

fn has_capabilities(container: &ContainerDefinition) -> bool {
    let linux = container.linux_parameters.as_ref();
    linux.is_some_and(|linux| linux.capabilities.is_some())
}

fn has_udp(container: &ContainerDefinition) -> bool {
    let mut ports = container.port_mappings.iter();
    ports.any(|port| port.protocol.as_deref() == Some("udp"))
}
