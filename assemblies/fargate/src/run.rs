//! Runs a task and waits for its end.

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

/// What to run, and where.
#[derive(Debug, Clone, Default)]
pub struct RunRequest {
    /// The cluster's name or ARN.
    pub cluster: String,
    /// The family (its latest revision), `family:revision`, or an ARN.
    pub task_definition: String,
    /// The subnets in which the task may be placed.
    pub subnets: Vec<String>,
    /// The security groups; without any the default one of the network.
    pub security_groups: Vec<String>,
    /// Whether the task gets an address of the internet.
    pub public_address: PublicAddress,
    /// What is different from the definition this time.
    pub overrides: Vec<Override>,
    /// Who started it: a word that DescribeTasks shows, up to 128 characters.
    pub started_by: Option<String>,
    /// How long to wait.
    pub wait: Wait,
}

/// Whether the task gets an address of the internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PublicAddress {
    /// It has one, which a subnet without NAT needs to pull images.
    Yes,
    /// It has none.
    #[default]
    No,
}

/// What is different from the definition this time.
#[derive(Debug, Clone, Default)]
pub struct Override {
    /// The container.
    pub container: String,
    /// Its command, if it is another one.
    pub command: Option<Vec<String>>,
    /// Variables that are added or replaced.
    pub environment: BTreeMap<String, String>,
}

/// How long to wait, and how often to ask.
#[derive(Debug, Clone, Copy)]
pub struct Wait {
    /// The whole wait.
    pub limit: Duration,
    /// The pause before the second question; each one after it is half as long again.
    pub pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

impl Default for Wait {
    fn default() -> Self {
        Self {
            limit: Duration::from_mins(30),
            pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(10),
        }
    }
}

/// A task that has been started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// The task's ARN.
    pub task: String,
    /// The ARN of the very revision that runs.
    pub task_definition: String,
}

/// A task that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The task's ARN.
    pub task: String,
    /// The exit code that speaks for the task; none if no essential container ever ran.
    pub exit_code: Option<i32>,
    /// Why it stopped, in a word: `EssentialContainerExited`, `TaskFailedToStart` …
    pub stop_code: Option<String>,
    /// Why it stopped, in a sentence.
    pub stopped_reason: Option<String>,
    /// How every container ended.
    pub containers: Vec<ContainerEnd>,
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerEnd {
    /// Its name.
    pub name: String,
    /// Whether the task ended with it.
    pub essential: bool,
    /// Its exit code; none if it never ran.
    pub exit_code: Option<i32>,
    /// What ECS says about it: `OutOfMemoryError: …`, `CannotPullContainerError: …`.
    pub reason: Option<String>,
}

/// Starts a task and waits for its end.
pub async fn run(client: &Client, request: &RunRequest) -> Result<Finished, Error> {
    let started = start(client, request).await?;
    wait(client, &request.cluster, &started, request.wait, |_| {}).await
}

/// Starts a task.
pub async fn start(client: &Client, request: &RunRequest) -> Result<Started, Error> {
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
        .map_err(|error| Error::of(operation, error))?;

    match output.tasks().first() {
        Some(task) => Ok(Started {
            task: task.task_arn().unwrap_or_default().to_owned(),
            task_definition: task.task_definition_arn().unwrap_or_default().to_owned(),
        }),
        None => Err(Error::NotStarted(
            output.failures().iter().map(Failure::from).collect(),
        )),
    }
}

/// Waits for the end of a task; `seen` hears of every change of its status.
pub async fn wait(
    client: &Client,
    cluster: &str,
    started: &Started,
    wait: Wait,
    mut seen: impl FnMut(&str),
) -> Result<Finished, Error> {
    let end = Instant::now() + wait.limit;
    let mut pause = wait.pause;
    let mut status = "not yet visible".to_owned();
    let mut missing = 0;

    loop {
        match describe(client, cluster, &started.task).await? {
            Some(task) => {
                missing = 0;
                let now = task.last_status().unwrap_or_default();
                if now != status {
                    now.clone_into(&mut status);
                    seen(&status);
                }

                if status == "STOPPED" {
                    return Ok(finished(client, started, &task).await);
                }
            }
            // A new task is not visible everywhere at once.
            None if missing < PATIENCE => missing += 1,
            None => {
                return Err(Error::Vanished {
                    task: started.task.clone(),
                });
            }
        }

        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::StillRunning {
                task: started.task.clone(),
                status,
                limit: wait.limit,
            });
        }

        sleep(pause.min(left)).await;
        pause = (pause + pause / 2).min(wait.longest_pause);
    }
}

/// How often in a row a task may be unknown before it counts as gone.
const PATIENCE: u32 = 5;

async fn describe(client: &Client, cluster: &str, task: &str) -> Result<Option<Task>, Error> {
    let output = client
        .ecs
        .describe_tasks()
        .cluster(cluster)
        .tasks(task)
        .send()
        .await
        .map_err(|error| Error::of("DescribeTasks", error))?;
    Ok(output.tasks.and_then(|tasks| tasks.into_iter().next()))
}

async fn finished(client: &Client, started: &Started, task: &Task) -> Finished {
    // What is essential stands in the definition only. If that cannot be read any more, all count as essential.
    let definition = latest(client, &started.task_definition)
        .await
        .ok()
        .flatten();
    let is_essential = |name: &str| {
        let one = definition
            .as_ref()
            .and_then(|definition| definition.container(name));
        one.is_none_or(task_definition::ContainerDefinition::is_essential)
    };

    let containers: Vec<_> = task
        .containers()
        .iter()
        .map(|one| {
            let name = one.name().unwrap_or_default().to_owned();
            ContainerEnd {
                essential: is_essential(&name),
                exit_code: one.exit_code(),
                reason: one.reason().map(str::to_owned),
                name,
            }
        })
        .collect();

    Finished {
        task: started.task.clone(),
        exit_code: speaking(&containers),
        stop_code: task.stop_code().map(|code| code.as_str().to_owned()),
        stopped_reason: task.stopped_reason().map(str::to_owned),
        containers,
    }
}

/// The exit code that speaks for a task: of its essential containers the first that failed by itself.
///
/// 137 and 143 are what a container says that was stopped because another one ended, so they speak only when
/// nobody else does.
fn speaking(containers: &[ContainerEnd]) -> Option<i32> {
    let codes = || {
        containers
            .iter()
            .filter(|one| one.essential)
            .filter_map(|one| one.exit_code)
    };

    let failed = codes().find(|code| !matches!(code, 0 | 137 | 143));
    failed
        .or_else(|| codes().find(|code| *code == 0))
        .or_else(|| codes().next())
}

fn network(request: &RunRequest) -> Result<NetworkConfiguration, aws_sdk_ecs::error::BuildError> {
    let groups = &request.security_groups;
    let address = match request.public_address {
        PublicAddress::Yes => AssignPublicIp::Enabled,
        PublicAddress::No => AssignPublicIp::Disabled,
    };

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
        reason: "no subnet was given; name at least one".to_owned(),
        detail: None,
    }
}

fn container_override(one: &Override) -> ContainerOverride {
    let environment = one
        .environment
        .iter()
        .map(|(name, value)| KeyValuePair::builder().name(name).value(value).build())
        .collect::<Vec<_>>();
    ContainerOverride::builder()
        .name(&one.container)
        .set_command(one.command.clone())
        .set_environment((!environment.is_empty()).then_some(environment))
        .build()
}

#[cfg(test)]
mod tests {
    use super::{ContainerEnd, speaking};

    fn ends(codes: &[(bool, Option<i32>)]) -> Vec<ContainerEnd> {
        let end = |(essential, exit_code): &(bool, Option<i32>)| ContainerEnd {
            name: "one".to_owned(),
            essential: *essential,
            exit_code: *exit_code,
            reason: None,
        };
        codes.iter().map(end).collect()
    }

    #[test]
    fn the_essential_container_that_failed_by_itself_speaks() {
        assert_eq!(
            speaking(&ends(&[(true, Some(0)), (false, Some(9))])),
            Some(0)
        );
        assert_eq!(
            speaking(&ends(&[(true, Some(143)), (true, Some(3))])),
            Some(3)
        );
        assert_eq!(
            speaking(&ends(&[(true, Some(143)), (true, Some(0))])),
            Some(0)
        );
        assert_eq!(speaking(&ends(&[(true, Some(137))])), Some(137));
        assert_eq!(speaking(&ends(&[(true, None), (false, Some(0))])), None);
    }
}
