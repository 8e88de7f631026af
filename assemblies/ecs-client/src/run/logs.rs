//! Follows the output of a task's containers in CloudWatch Logs.

use std::time::Duration;

use serde_json::json;
use task_definition::{ContainerDefinition, TaskDefinition};
use tokio::time::{Instant, sleep};

use super::request::Wait;
use super::{Progress, StartedTask};
use crate::api::{Api, Call, Operation};
use crate::error::Error;

/// Follows the log streams of tasks.
#[derive(Debug, Default)]
pub(super) struct LogFollower {
    streams: Vec<Stream>,
}

/// The stream of one container.
#[derive(Debug)]
struct Stream {
    container: String,
    group: String,
    stream: String,
    /// The position after the last event that was read.
    next: Option<String>,
}

impl LogFollower {
    pub(super) fn new(definition: &TaskDefinition, started: &[StartedTask]) -> Self {
        let is_single = started.len() == 1;
        let of_task = |task: &StartedTask| {
            let id = task.task.rsplit('/').next().unwrap_or_default().to_owned();
            let containers = definition.container_definitions.iter();
            containers.filter_map(move |container| Stream::new(container, &id, is_single))
        };
        Self {
            streams: started.iter().flat_map(of_task).collect(),
        }
    }

    /// Reports the new output of all streams.
    pub(super) async fn poll(
        &mut self,
        api: &impl Api,
        on_progress: &mut impl FnMut(Progress<'_>),
    ) -> usize {
        let mut count = 0;
        let mut refusal = None;
        for stream in &mut self.streams {
            match stream.poll(api, on_progress).await {
                Ok(events) => count += events,
                // The stream is created with the first line of output.
                Err(Error::Refused { code, .. }) if code == "ResourceNotFoundException" => {}
                Err(error) if error.is_transient() => {}
                Err(error) => refusal = Some(error),
            }
        }

        if let Some(error) = refusal {
            // Once: a missing permission does not come back.
            on_progress(Progress::NoLogs(&error.to_string()));
            self.streams.clear();
        }
        count
    }

    /// Reports the output that arrives after the end: CloudWatch Logs shows lines some seconds after they were written.
    pub(super) async fn finish(
        &mut self,
        api: &impl Api,
        wait: Wait,
        on_progress: &mut impl FnMut(Progress<'_>),
    ) {
        let end = Instant::now() + LATE.min(wait.max_interval);
        let mut quiet = 0;
        while quiet < QUIET_POLLS && !self.streams.is_empty() && Instant::now() < end {
            sleep(wait.interval).await;
            match self.poll(api, on_progress).await {
                0 => quiet += 1,
                _ => quiet = 0,
            }
        }
    }
}

impl Stream {
    /// Returns the stream of a container, if its output goes to CloudWatch Logs.
    fn new(container: &ContainerDefinition, task: &str, is_single: bool) -> Option<Self> {
        let (group, stream) = log_stream(container, task)?;
        let name = &container.name;
        Some(Self {
            container: if is_single {
                name.clone()
            } else {
                // The first characters of a task's id distinguish it in practice.
                format!("{} {name}", task.get(..8).unwrap_or(task))
            },
            group,
            stream,
            next: None,
        })
    }

    async fn poll(
        &mut self,
        api: &impl Api,
        on_progress: &mut impl FnMut(Progress<'_>),
    ) -> Result<usize, Error> {
        let mut count = 0;
        for _ in 0..MAX_PAGES {
            let mut body = json!({ "logGroupName": self.group, "logStreamName": self.stream,
                "startFromHead": true });
            if let Some(next) = &self.next {
                body["nextToken"] = next.as_str().into();
            }
            let response = api.call(&Call::new(Operation::GetLogEvents, body)).await?;

            let events = response["events"].as_array().map_or(&[][..], Vec::as_slice);
            for event in events {
                let text = event["message"].as_str().unwrap_or_default();
                on_progress(Progress::Log {
                    container: &self.container,
                    text,
                });
            }
            count += events.len();

            // The end of a stream is the token that was sent. An empty page may have further ones after it.
            let next = response["nextForwardToken"].as_str().map(str::to_owned);
            let is_end = next.is_none() || next == self.next;
            self.next = next.or(self.next.take());
            if is_end {
                break;
            }
        }
        Ok(count)
    }
}

/// Returns the log group and the stream of a container, if its output goes to CloudWatch Logs; `task` is the id or ARN
/// of the task.
///
/// Source: "Send Amazon ECS logs to CloudWatch": `prefix-name/container-name/ecs-task-id`.
pub(crate) fn log_stream(container: &ContainerDefinition, task: &str) -> Option<(String, String)> {
    let logs = container.log_configuration.as_ref()?;
    if logs.log_driver != "awslogs" {
        return None;
    }

    // On Fargate the prefix is required (RegisterTaskDefinition).
    let option = |name: &str| logs.options.get(name).cloned();
    let prefix = option("awslogs-stream-prefix")?;
    let id = task.rsplit('/').next().unwrap_or(task);
    let stream = format!("{prefix}/{}/{id}", container.name);
    Some((option("awslogs-group")?, stream))
}

/// Up to 10,000 events each; the rest follows with the next poll.
const MAX_PAGES: usize = 20;
const QUIET_POLLS: usize = 3;
const LATE: Duration = Duration::from_secs(10);
