//! Where a container of a definition is to live: among the processes of this machine.

use task_definition::ContainerDefinition;

use crate::sandbox::{Last, Place};
use crate::{Program, RunPlan};

/// A container's own.
pub(super) fn of(plan: &RunPlan, container: &ContainerDefinition, program: &Program) -> Place {
    let linux = container.linux_parameters.as_ref();
    Place {
        // As on Fargate; that it will not be, is said once.
        alone: plan.definition.pid_mode.as_deref() != Some("task"),
        last: Last {
            init: linux.and_then(|linux| linux.init_process_enabled) == Some(true),
            ..last(container, program)
        },
        ..Place::default()
    }
}

/// A command's beside a container.
pub(super) fn beside(
    _: &RunPlan,
    container: &ContainerDefinition,
    program: &Program,
    _: Option<u32>,
) -> Place {
    Place {
        last: last(container, program),
        ..Place::default()
    }
}

/// A `user` is nobody's here.
pub(crate) fn strangers(_: &RunPlan) -> Vec<String> {
    Vec::new()
}

fn last(container: &ContainerDefinition, program: &Program) -> Last {
    let mut limits = container.ulimits.iter();
    let files = limits.find(|limit| limit.name == "nofile");
    let number = |limit: i64| u64::try_from(limit).unwrap_or(u64::MAX);
    Last {
        files: files.map(|limit| (number(limit.soft_limit), number(limit.hard_limit))),
        folder: program.folder.clone(),
        ..Last::default()
    }
}
