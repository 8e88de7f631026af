//! Runs tasks and waits for them.

use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::api::{Api, Call, Operation};
use crate::error::Error;

mod logs;
mod request;
mod start;
mod stopped;
mod wait;

pub(crate) use logs::log_stream;
pub use request::{Capacity, FollowLogs, Override, PublicAddress, RunRequest, Wait, WaitUntil};
pub use start::start;
pub(crate) use stopped::read_stopped;
pub use stopped::{ContainerExit, StoppedTask};
pub use wait::wait;

/// A started task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedTask {
    /// The ARN of the task.
    pub task: String,
    /// The ARN of the revision that runs.
    pub task_definition: String,
}

/// The end of a wait for a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskOutcome {
    /// The task is in the state that was waited for, and runs on.
    Reached(StartedTask),
    /// The task stopped.
    Stopped(StoppedTask),
}

/// What happens during a run, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress<'a> {
    /// A task was started.
    Started(&'a StartedTask),
    /// The status of a task changed.
    Status {
        /// The task's ARN.
        task: &'a str,
        /// The status, such as `PENDING`.
        status: &'a str,
    },
    /// A call is repeated.
    Retry {
        /// The cause.
        reason: String,
        /// How long to wait before, at most.
        delay: std::time::Duration,
    },
    /// A line of output.
    Log {
        /// The container's name, after the start of the task's id if there are several tasks.
        container: &'a str,
        /// The line.
        text: &'a str,
    },
    /// The output cannot be read.
    NoLogs(&'a str),
}

/// Ends the attempts to start a task. A call in progress is not abandoned, since it may start a task.
#[derive(Debug, Clone)]
pub struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Creates an interrupt that is set with the sender.
    pub fn new() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    async fn wait(&mut self) {
        if self.0.wait_for(|is_set| *is_set).await.is_err() {
            // Without a sender it can never be set.
            std::future::pending::<()>().await;
        }
    }
}

/// Starts tasks and waits for them.
pub async fn run(api: &impl Api, request: &RunRequest) -> Result<Vec<TaskOutcome>, Error> {
    let begun = Instant::now();
    let (_sender, mut interrupt) = Interrupt::new();
    let started = start(api, request, &mut interrupt, |_| {}).await?;
    let left = request.wait.after(begun.elapsed());
    wait(api, &request.cluster, &started, left, |_| {}).await
}

/// Stops tasks: SIGTERM, and SIGKILL after `stopTimeout`. Does not wait for them.
pub async fn stop(api: &impl Api, cluster: &str, tasks: &[StartedTask]) -> Result<(), Error> {
    for task in tasks {
        let body =
            json!({ "cluster": cluster, "task": task.task, "reason": "stopped by assemble run" });
        api.call(&Call::new(Operation::StopTask, body)).await?;
    }
    Ok(())
}

/// Returns the end of a task, or its state if it has not stopped; `None` if ECS does not know it.
///
/// ECS forgets stopped tasks after about an hour.
pub async fn find_task(
    api: &impl Api,
    cluster: &str,
    task: &str,
) -> Result<Option<StoppedTask>, Error> {
    let body = json!({ "cluster": cluster, "tasks": [task] });
    let response = api.call(&Call::new(Operation::DescribeTasks, body)).await?;
    let Some(found) = response["tasks"].get(0) else {
        return Ok(None);
    };

    let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    let started = StartedTask {
        task: text("taskArn"),
        task_definition: text("taskDefinitionArn"),
    };
    Ok(Some(stopped::stopped_task(api, &started, found).await))
}
