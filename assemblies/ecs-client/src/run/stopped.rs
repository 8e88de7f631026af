//! How a task ended.

use serde_json::Value;
use task_definition::TaskDefinition;

use super::StartedTask;
use crate::api::Api;
use crate::register::latest;

/// A stopped task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoppedTask {
    /// The task's ARN.
    pub task: String,
    /// The exit code of the task; `None` if no essential container ran.
    pub exit_code: Option<i32>,
    /// The stop code, such as `EssentialContainerExited` or `TaskFailedToStart`.
    pub stop_code: Option<String>,
    /// The reason why the task stopped, as a sentence.
    pub stopped_reason: Option<String>,
    /// The containers of the task.
    pub containers: Vec<ContainerExit>,
}

/// A container of a stopped task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerExit {
    /// The name.
    pub name: String,
    /// Whether the container is essential.
    pub essential: bool,
    /// The exit code; `None` if the container did not run.
    pub exit_code: Option<i32>,
    /// The reason of ECS, such as `OutOfMemoryError: …` or `CannotPullContainerError: …`.
    pub reason: Option<String>,
    /// Whether the health check of the container failed.
    pub is_unhealthy: bool,
}

impl StoppedTask {
    /// Returns the container that most likely caused the end of the task: an essential one that failed by itself, one
    /// whose health check failed, one with a reason, or the only essential one.
    pub fn cause(&self) -> Option<&ContainerExit> {
        let essential = || {
            self.containers
                .iter()
                .filter(|container| container.essential)
        };
        let is_own_failure =
            |container: &&ContainerExit| !matches!(container.exit_code, None | Some(0 | 137 | 143));
        essential()
            .find(is_own_failure)
            .or_else(|| essential().find(|container| container.is_unhealthy))
            .or_else(|| essential().find(|container| container.reason.is_some()))
            .or_else(|| self.containers.iter().find(is_own_failure))
            .or_else(|| {
                let mut all = essential();
                all.next().filter(|_| all.next().is_none())
            })
    }
}

/// Reads a stopped task, and its definition.
pub(crate) async fn stopped_task(
    api: &impl Api,
    started: &StartedTask,
    task: &Value,
) -> StoppedTask {
    // Only the definition has `essential`. If it cannot be read any more, all containers count as essential.
    let definition = latest(api, &started.task_definition).await.ok().flatten();
    StoppedTask {
        task: started.task.clone(),
        ..read_stopped(task, definition.as_ref())
    }
}

/// Reads a stopped task of DescribeTasks.
pub(crate) fn read_stopped(task: &Value, definition: Option<&TaskDefinition>) -> StoppedTask {
    let is_essential = |name: &str| {
        let container = definition.and_then(|definition| definition.container(name));
        container.is_none_or(task_definition::ContainerDefinition::is_essential)
    };

    let text = |value: &Value, name: &str| value[name].as_str().map(str::to_owned);
    let containers = task["containers"].as_array().map_or(&[][..], Vec::as_slice);
    let containers: Vec<_> = containers
        .iter()
        .map(|container| {
            let name = text(container, "name").unwrap_or_default();
            let code = container["exitCode"].as_i64();
            ContainerExit {
                essential: is_essential(&name),
                exit_code: code.and_then(|code| i32::try_from(code).ok()),
                reason: text(container, "reason"),
                is_unhealthy: container["healthStatus"] == "UNHEALTHY",
                name,
            }
        })
        .collect();

    StoppedTask {
        task: text(task, "taskArn").unwrap_or_default(),
        exit_code: task_exit_code(&containers),
        stop_code: text(task, "stopCode"),
        stopped_reason: text(task, "stoppedReason"),
        containers,
    }
}

/// Returns the exit code of a task: of the first essential container that failed by itself.
///
/// 137 and 143 (128 plus SIGKILL and SIGTERM) are the exit codes of containers that were stopped because another
/// one exited, so they count only if there is no other.
fn task_exit_code(containers: &[ContainerExit]) -> Option<i32> {
    // Sidecars that are not essential do not decide the outcome of a task.
    let codes = || {
        containers
            .iter()
            .filter(|container| container.essential)
            .filter_map(|container| container.exit_code)
    };

    // By itself: neither successful nor stopped by a signal.
    let own_failure = codes().find(|code| !matches!(code, 0 | 137 | 143));
    own_failure
        .or_else(|| codes().find(|code| *code == 0))
        .or_else(|| codes().next())
}

#[cfg(test)]
mod tests {
    use super::{ContainerExit, task_exit_code};

    fn ends(codes: &[(bool, Option<i32>)]) -> Vec<ContainerExit> {
        let end = |(essential, exit_code): &(bool, Option<i32>)| ContainerExit {
            name: "app".to_owned(),
            essential: *essential,
            exit_code: *exit_code,
            reason: None,
            is_unhealthy: false,
        };
        codes.iter().map(end).collect()
    }

    #[test]
    fn returns_the_code_of_the_essential_container_that_failed_by_itself() {
        assert_eq!(
            task_exit_code(&ends(&[(true, Some(0)), (false, Some(9))])),
            Some(0)
        );
        assert_eq!(
            task_exit_code(&ends(&[(true, Some(143)), (true, Some(3))])),
            Some(3)
        );
        assert_eq!(
            task_exit_code(&ends(&[(true, Some(143)), (true, Some(0))])),
            Some(0)
        );
        assert_eq!(task_exit_code(&ends(&[(true, Some(137))])), Some(137));
        assert_eq!(
            task_exit_code(&ends(&[(true, None), (false, Some(0))])),
            None
        );
    }
}
