//! Prints what happens during a deployment, and how it ended.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ecs_client::{
    DeployEvent, DeploymentOutcome, DeploymentState, FailedTask, Pause, RevisionTasks, ServiceName,
};
use task_definition::stop_reasons::explain;

use crate::commands::{run, why};
use crate::error::CliError;
use crate::ui::Ui;

/// Prints events as messages.
pub(crate) struct Reporter<'a> {
    service: &'a ServiceName,
    ui: &'a Ui,
    /// The cause of the last retry, which is printed once.
    last_retry: String,
}

impl<'a> Reporter<'a> {
    pub(crate) fn new(service: &'a ServiceName, ui: &'a Ui) -> Self {
        Self {
            service,
            ui,
            last_retry: String::new(),
        }
    }

    pub(crate) fn print(&mut self, event: DeployEvent<'_>) {
        let service = self.service;
        let line = match event {
            DeployEvent::Registered { revision } => format!("registered {revision}"),
            DeployEvent::Updating { revision } => format!("updating {service} to {revision}"),
            DeployEvent::Changed { revision } => {
                format!("{revision} was deployed meanwhile; changing its images instead")
            }
            DeployEvent::Replaced { revision } => {
                format!("{revision} was deployed at the same time; deploying both changes")
            }
            DeployEvent::FailedBefore => {
                "the last deployment of this revision failed; beginning it again".to_owned()
            }
            DeployEvent::InProgress { deployment } => {
                format!("{deployment} deploys this revision already; waiting for it")
            }
            DeployEvent::State { now, before } => {
                for line in state_lines(now, before, service) {
                    self.ui.message(&format!("  {line}"));
                }
                return;
            }
            DeployEvent::Service { message } => format!("  {message}"),
            DeployEvent::FailedTask(task) => {
                self.ui.message(failed_task(task).trim_end());
                return;
            }
            DeployEvent::Retry { reason } if reason == self.last_retry => return,
            DeployEvent::Retry { reason } => {
                reason.clone_into(&mut self.last_retry);
                format!("  {reason}; trying again")
            }
            DeployEvent::NoDetails { reason } => format!("  cannot read more: {reason}"),
            _ => return,
        };
        self.ui.message(&line);
    }
}

/// Returns the lines about what changed in a deployment.
fn state_lines(
    now: &DeploymentState,
    before: Option<&DeploymentState>,
    service: &ServiceName,
) -> Vec<String> {
    let mut lines = Vec::new();
    if before.is_none() && now.strategy != "ROLLING" {
        lines.push(format!("strategy {}", now.strategy));
    }

    let is_rollback = now.is_rollback();
    if is_rollback && !before.is_some_and(DeploymentState::is_rollback) {
        let reason = now.reason.as_deref().unwrap_or("no reason given");
        lines.push(format!("ECS goes back to the revision before: {reason}"));
    }

    let is_new =
        |part: fn(&DeploymentState) -> (&Option<String>, &RevisionTasks, &RevisionTasks)| {
            before.is_none_or(|before| part(before) != part(now))
        };
    // The tasks of a rollback are those of the revision before.
    if !is_rollback && is_new(|state| (&state.stage, &state.target, &state.sources)) {
        lines.push(progress_line(now));
    }

    if let Some((count, threshold)) = now.failures
        && count
            > before
                .and_then(|before| before.failures)
                .map_or(0, |(count, _)| count)
    {
        lines.push(format!("circuit breaker: {count} of {threshold} failures"));
    }
    for alarm in &now.alarms {
        if !before.is_some_and(|before| before.alarms.contains(alarm)) {
            lines.push(format!("alarm {alarm} is in ALARM"));
        }
    }
    for pause in &now.pauses {
        if !before.is_some_and(|before| before.pauses.contains(pause)) {
            lines.push(pause_line(pause, service));
        }
    }
    lines
}

/// Formats the stage and the tasks: `SCALE_UP: 1 of 2 tasks running, 1 starting; before: 2 running`.
pub(crate) fn progress_line(state: &DeploymentState) -> String {
    let stage = state.stage.as_deref().unwrap_or(&state.status);
    let tasks = &state.target;
    let mut line = format!(
        "{stage}: {} of {} tasks running",
        tasks.running, tasks.requested
    );
    if tasks.pending > 0 {
        let _ = write!(line, ", {} starting", tasks.pending);
    }
    // A rolling deployment shifts no traffic.
    if let Some(traffic) = tasks.traffic
        && state.strategy != "ROLLING"
    {
        let _ = write!(line, ", {traffic} % of the traffic");
    }
    if state.sources.running > 0 {
        let _ = write!(line, "; before: {} running", state.sources.running);
    }
    line
}

/// Formats a hook that waits, and how to answer it.
pub(crate) fn pause_line(pause: &Pause, service: &ServiceName) -> String {
    let left = pause.expires_at.and_then(|at| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        Some(format_duration(
            Duration::try_from_secs_f64(at).ok()?.saturating_sub(now),
        ))
    });
    let end = left.map_or_else(String::new, |left| {
        format!(" ({} in {left})", pause.timeout_action)
    });
    format!(
        "waits for an answer{end}: assemble continue {service}, or assemble rollback --service {service}"
    )
}

/// Formats a duration with its two largest units: `1 d 3 h`, `5 min 20 s`.
pub(crate) fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// Formats a failed task: what ECS says, the explanation, and the last lines of output.
fn failed_task(failed: &FailedTask) -> String {
    let mut text = format!("task {} failed:\n", failed.task.task);
    text += &run::summary(&failed.task);
    if let Some(reason) = explain(&run::reason_text(&failed.task)).filter(|it| !it.is_general()) {
        text += &why::format(reason);
    }
    let container = failed.container.as_deref().unwrap_or_default();
    for line in &failed.lines {
        let _ = writeln!(text, "{container} | {line}");
    }
    text
}

/// Prints the end of a deployment. Everything but success is an error of the remote side.
pub(super) fn finish(
    outcome: &DeploymentOutcome,
    service: &ServiceName,
    revision: &str,
    ui: &Ui,
) -> Result<u8, CliError> {
    let because = |reason: &Option<String>| {
        let reason = reason.as_deref().filter(|text| !text.is_empty());
        reason.map_or_else(String::new, |reason| format!(": {reason}"))
    };
    let message = match outcome {
        DeploymentOutcome::Succeeded => {
            ui.data(&format!("{revision}\n"));
            return Ok(0);
        }
        DeploymentOutcome::RolledBack {
            revision: back,
            reason,
        } => format!(
            "the deployment of {revision} failed, and {service} runs {} again{}",
            back.as_deref().unwrap_or("the revision before"),
            because(reason)
        ),
        DeploymentOutcome::RollbackFailed { reason } => format!(
            "the deployment of {revision} failed, and so did the rollback{}; see assemble status {service}",
            because(reason)
        ),
        DeploymentOutcome::Failed { reason } => format!(
            "the deployment of {revision} failed{}; to go back: assemble rollback --service {service}",
            because(reason)
        ),
        DeploymentOutcome::Stopped { reason } => {
            format!(
                "the deployment of {revision} was stopped{}",
                because(reason)
            )
        }
        DeploymentOutcome::Replaced {
            by,
            revision: other,
        } => format!(
            "another deployment, {by}, replaced this one{}; see assemble status {service}",
            other
                .as_deref()
                .map_or_else(String::new, |other| format!(" and deploys {other}"))
        ),
    };
    Err(CliError::Refused(message))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::format_duration;

    #[test]
    fn durations_have_their_two_largest_units() {
        for (seconds, text) in [
            (5, "5 s"),
            (80, "1 min 20 s"),
            (3700, "1 h 1 min"),
            (100_000, "1 d 3 h"),
        ] {
            assert_eq!(format_duration(Duration::from_secs(seconds)), text);
        }
    }
}
