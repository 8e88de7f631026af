//! Runs a task and waits until it stops.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_ecs::types::{
    AssignPublicIp, AwsVpcConfiguration, ContainerOverride, KeyValuePair, LaunchType,
    NetworkConfiguration, Task, TaskOverride,
};
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::error::{Error, Failure};
use crate::register::latest;

/// The parameters of a run.
#[derive(Debug, Clone, Default)]
pub struct RunRequest {
    /// The name or ARN of the cluster.
    pub cluster: String,
    /// The family (its latest revision), `family:revision`, or an ARN.
    pub task_definition: String,
    /// The subnets to place the task in.
    pub subnets: Vec<String>,
    /// The security groups; empty for the default one of the VPC.
    pub security_groups: Vec<String>,
    /// Whether the task gets a public IP address.
    pub public_address: PublicAddress,
    /// Overrides of the definition's containers.
    pub overrides: Vec<Override>,
    /// The value of `startedBy`, up to 128 characters.
    pub started_by: Option<String>,
    /// How long to wait for the task to stop.
    pub wait: Wait,
}

/// Whether the task gets a public IP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PublicAddress {
    /// A public address, which a subnet without NAT needs to pull images.
    Yes,
    /// No public address.
    #[default]
    No,
}

/// Overrides of the definition's containers.
#[derive(Debug, Clone, Default)]
pub struct Override {
    /// The name of the container.
    pub container: String,
    /// The command, if it is overridden.
    pub command: Option<Vec<String>>,
    /// Environment variables to add or replace.
    pub environment: BTreeMap<String, String>,
}

/// The timeout and the polling intervals of a wait.
#[derive(Debug, Clone, Copy)]
pub struct Wait {
    /// The timeout of the wait.
    pub timeout: Duration,
    /// The first interval between two polls; each further one is 1.5 times as long.
    pub interval: Duration,
    /// The maximum interval.
    pub max_interval: Duration,
}

impl Default for Wait {
    fn default() -> Self {
        Self {
            timeout: Duration::from_mins(30),
            interval: Duration::from_secs(1),
            max_interval: Duration::from_secs(10),
        }
    }
}

/// A started task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedTask {
    /// The ARN of the task.
    pub task: String,
    /// The ARN of the revision that runs.
    pub task_definition: String,
}

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
}

/// Starts a task and waits until it stops.
pub async fn run(client: &Client, request: &RunRequest) -> Result<StoppedTask, Error> {
    let started = start(client, request).await?;
    wait(client, &request.cluster, &started, request.wait, |_| {}).await
}

/// Starts a task.
pub async fn start(client: &Client, request: &RunRequest) -> Result<StartedTask, Error> {
    let operation = "RunTask";
    let network = network(request).map_err(|_| Error::NotStarted(vec![no_subnets()]))?;
    let overrides = request.overrides.iter().map(container_override).collect();
    let output = client
        .ecs
        .run_task()
        .cluster(&request.cluster)
        .task_definition(&request.task_definition)
        .count(1)
        .launch_type(LaunchType::Fargate)
        .network_configuration(network)
        .overrides(
            TaskOverride::builder()
                .set_container_overrides(Some(overrides))
                .build(),
        )
        .set_started_by(request.started_by.clone())
        .send()
        .await
        .map_err(|error| Error::from_sdk(operation, error))?;

    // RunTask succeeds with HTTP 200 even if it places no task; then `failures` has the reasons.
    match output.tasks().first() {
        Some(task) => Ok(StartedTask {
            task: task.task_arn().unwrap_or_default().to_owned(),
            task_definition: task.task_definition_arn().unwrap_or_default().to_owned(),
        }),
        None => Err(Error::NotStarted(
            output.failures().iter().map(Failure::from).collect(),
        )),
    }
}

/// Waits until a task stops; calls `on_status` at each change of its status.
pub async fn wait(
    client: &Client,
    cluster: &str,
    started: &StartedTask,
    wait: Wait,
    mut on_status: impl FnMut(&str),
) -> Result<StoppedTask, Error> {
    let end = Instant::now() + wait.timeout;
    let mut interval = wait.interval;
    let mut status = "not yet visible".to_owned();
    let mut missing = 0;

    loop {
        match describe(client, cluster, &started.task).await? {
            Some(task) => {
                missing = 0;
                let now = task.last_status().unwrap_or_default();
                if now != status {
                    now.clone_into(&mut status);
                    on_status(&status);
                }

                if status == "STOPPED" {
                    return Ok(stopped_task(client, started, &task).await);
                }
            }
            // ECS is eventually consistent: a new task may not be visible at once.
            None if missing < MAX_MISSING_POLLS => missing += 1,
            None => {
                return Err(Error::TaskNotFound {
                    task: started.task.clone(),
                });
            }
        }

        // After the poll, so that a task that has stopped meanwhile is not reported as running.
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::WaitTimeout {
                task: started.task.clone(),
                status,
                timeout: wait.timeout,
            });
        }

        // Never beyond the timeout, so that the last poll is at the deadline.
        sleep(interval.min(left)).await;
        // Short tasks are noticed early, and long ones cause few calls.
        interval = (interval + interval / 2).min(wait.max_interval);
    }
}

/// The number of consecutive polls in which a task may be missing.
const MAX_MISSING_POLLS: u32 = 5;

async fn describe(client: &Client, cluster: &str, task: &str) -> Result<Option<Task>, Error> {
    let output = client
        .ecs
        .describe_tasks()
        .cluster(cluster)
        .tasks(task)
        .send()
        .await
        .map_err(|error| Error::from_sdk("DescribeTasks", error))?;
    Ok(output.tasks.and_then(|tasks| tasks.into_iter().next()))
}

async fn stopped_task(client: &Client, started: &StartedTask, task: &Task) -> StoppedTask {
    // Only the definition has `essential`. If it cannot be read any more, all containers count as essential.
    let definition = latest(client, &started.task_definition)
        .await
        .ok()
        .flatten();
    let is_essential = |name: &str| {
        let container = definition
            .as_ref()
            .and_then(|definition| definition.container(name));
        container.is_none_or(task_definition::ContainerDefinition::is_essential)
    };

    let containers: Vec<_> = task
        .containers()
        .iter()
        .map(|container| {
            let name = container.name().unwrap_or_default().to_owned();
            ContainerExit {
                essential: is_essential(&name),
                exit_code: container.exit_code(),
                reason: container.reason().map(str::to_owned),
                name,
            }
        })
        .collect();

    StoppedTask {
        task: started.task.clone(),
        exit_code: task_exit_code(&containers),
        stop_code: task.stop_code().map(|code| code.as_str().to_owned()),
        stopped_reason: task.stopped_reason().map(str::to_owned),
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

fn network(request: &RunRequest) -> Result<NetworkConfiguration, aws_sdk_ecs::error::BuildError> {
    let groups = &request.security_groups;
    let address = match request.public_address {
        PublicAddress::Yes => AssignPublicIp::Enabled,
        PublicAddress::No => AssignPublicIp::Disabled,
    };

    // Empty lists are omitted, so that ECS applies its defaults.
    let vpc = AwsVpcConfiguration::builder()
        .set_subnets((!request.subnets.is_empty()).then(|| request.subnets.clone()))
        .set_security_groups((!groups.is_empty()).then(|| groups.clone()))
        .assign_public_ip(address)
        .build()?;

    Ok(NetworkConfiguration::builder()
        .awsvpc_configuration(vpc)
        .build())
}

fn no_subnets() -> Failure {
    Failure {
        arn: None,
        reason: "no subnet given; specify at least one".to_owned(),
        detail: None,
    }
}

fn container_override(overridden: &Override) -> ContainerOverride {
    let environment = overridden
        .environment
        .iter()
        .map(|(name, value)| KeyValuePair::builder().name(name).value(value).build())
        .collect::<Vec<_>>();
    ContainerOverride::builder()
        .name(&overridden.container)
        .set_command(overridden.command.clone())
        .set_environment((!environment.is_empty()).then_some(environment))
        .build()
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
