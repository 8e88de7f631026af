//! Starts tasks, and tries again while there is no capacity.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::request::RunRequest;
use super::{Interrupt, Progress, StartedTask};
use crate::api::{Api, Call, Operation};
use crate::backoff::Backoff;
use crate::error::{Error, Failure};

/// Starts the tasks of a request. Calls RunTask again until the timeout if there is no capacity or ECS limits the rate
/// of calls.
pub async fn start(
    api: &impl Api,
    request: &RunRequest,
    interrupt: &mut Interrupt,
    mut on_progress: impl FnMut(Progress<'_>),
) -> Result<Vec<StartedTask>, Error> {
    let end = Instant::now() + request.wait.timeout;
    let wanted = request.count.max(1);
    let mut backoff = Backoff::new(
        request.wait.interval,
        MAX_RETRY_INTERVAL.max(request.wait.interval),
    );

    let mut token = request.client_token.clone().unwrap_or_else(new_token);
    let mut started: Vec<StartedTask> = Vec::new();

    loop {
        let body = request.to_json(wanted - started.len(), &token)?;
        let outcome = api.call(&Call::new(Operation::RunTask, body)).await;
        let error = match outcome.and_then(|response| read_placement(&response)) {
            Ok((tasks, failures)) => {
                for task in &tasks {
                    on_progress(Progress::Started(task));
                }
                started.extend(tasks);
                if started.len() >= wanted {
                    return Ok(started);
                }
                // ECS returns the same result for the same token, so the rest needs another one.
                if !started.is_empty() && request.client_token.is_none() {
                    token = new_token();
                }
                Error::NotStarted(failures)
            }
            Err(error) => error,
        };

        // A pause that ends after the timeout would only delay the error.
        let delay = backoff.next();
        let is_final = !may_succeed_later(&error) || Instant::now() + delay > end;
        if is_final || interrupt.is_set() {
            return if started.is_empty() {
                Err(error)
            } else {
                Err(partly(started, error))
            };
        }

        on_progress(Progress::Retry {
            reason: error.to_string(),
            delay,
        });
        tokio::select! {
            () = sleep(delay) => {}
            () = interrupt.wait() => {
                return if started.is_empty() { Err(error) } else { Err(partly(started, error)) };
            }
        }
    }
}

/// Reads the tasks and failures of a response. RunTask succeeds with HTTP 200 even if it places no task; then
/// `failures` has the reasons.
fn read_placement(response: &Value) -> Result<(Vec<StartedTask>, Vec<Failure>), Error> {
    let failures = Failure::read_all(response);
    let entries = response["tasks"].as_array().map_or(&[][..], Vec::as_slice);
    let text = |task: &Value, name: &str| task[name].as_str().unwrap_or_default().to_owned();
    let tasks: Vec<_> = entries
        .iter()
        .map(|task| StartedTask {
            task: text(task, "taskArn"),
            task_definition: text(task, "taskDefinitionArn"),
        })
        .collect();

    if tasks.iter().any(|task| task.task.is_empty()) {
        return Err(Error::UnexpectedResponse {
            operation: Operation::RunTask,
            status: 200,
        });
    }
    Ok((tasks, failures))
}

/// Returns whether another attempt may succeed. An endpoint that cannot be reached was tried three times already, and
/// may not exist at all.
fn may_succeed_later(error: &Error) -> bool {
    match error {
        Error::NotStarted(failures) => {
            !failures.is_empty() && failures.iter().all(Failure::is_about_capacity)
        }
        Error::Unreachable { .. } => false,
        error => error.is_transient(),
    }
}

/// Returns the error of a run that started only some of its tasks.
fn partly(started: Vec<StartedTask>, source: Error) -> Error {
    Error::Unfollowed {
        tasks: started.into_iter().map(|task| task.task).collect(),
        source: Box::new(source),
    }
}

/// Returns a client token: no secret, only different each time.
fn new_token() -> String {
    format!("{:032x}", fastrand::u128(..))
}

/// Capacity comes back within minutes rather than seconds.
const MAX_RETRY_INTERVAL: Duration = Duration::from_secs(30);
