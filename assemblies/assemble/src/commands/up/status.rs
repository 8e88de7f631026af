//! The status line at the bottom of a terminal: the state of each container.

use std::io::{Write, stderr};
use std::sync::atomic::Ordering;
use std::time::Instant;

use rustix::termios::tcgetwinsize;
use task_definition::TaskDefinition;
use task_runner::{EventKind, RunnerEvent};

use crate::ui::STATUS_LINE;

/// The content of the status line.
#[derive(Debug)]
pub(super) struct Status {
    since: Instant,
    task: String,
    containers: Vec<(String, String)>,
}

impl Status {
    /// Creates the line of a task that has not started.
    pub(super) fn new(definition: &TaskDefinition) -> Self {
        let containers = definition.container_definitions.iter();
        Self {
            since: Instant::now(),
            task: "PENDING".to_owned(),
            containers: containers
                .map(|container| (container.name.clone(), "waiting".to_owned()))
                .collect(),
        }
    }

    /// Updates the line.
    pub(super) fn update(&mut self, event: &RunnerEvent) {
        let state = match &event.kind {
            EventKind::Started { .. } => "running".to_owned(),
            EventKind::Health { health, .. } => health.to_string(),
            EventKind::Restarting { .. } | EventKind::Replacing => "restarting".to_owned(),
            EventKind::Stopping { .. } => "stopping".to_owned(),
            EventKind::Killing => "killed".to_owned(),
            EventKind::Stopped {
                code: Some(code), ..
            } => format!("exited {code}"),
            EventKind::Stopped { .. } => "never ran".to_owned(),
            EventKind::Task { status, health } => {
                let health = health.to_string();
                let health = if health == "UNKNOWN" { "" } else { &health };
                format!("{status} {health}")
                    .trim_end()
                    .clone_into(&mut self.task);
                return;
            }
            EventKind::TaskStopping { .. } => {
                "STOPPING".clone_into(&mut self.task);
                return;
            }
            _ => return,
        };

        let mut containers = self.containers.iter_mut();
        let entry = containers.find(|(name, _)| Some(name) == event.container.as_ref());
        if let Some((_, current)) = entry {
            *current = state;
        }
    }

    /// Erases the line, before other output.
    pub(super) fn clear() {
        let _ = write!(stderr(), "\r\x1b[2K");
        STATUS_LINE.store(false, Ordering::Relaxed);
    }

    /// Draws the line; `waiting` lists the containers that a stop is waiting for.
    pub(super) fn draw(&self, waiting: &str) {
        // A terminal may not know its size: 0 columns, or an error.
        let columns = tcgetwinsize(stderr()).map_or(0, |size| size.ws_col);
        let line = self.line(waiting, if columns == 0 { 80 } else { columns.into() });
        // Return, erase the line, dim.
        let _ = write!(stderr(), "\r\x1b[2K\x1b[2m{line}\x1b[0m");
        STATUS_LINE.store(true, Ordering::Relaxed);
    }

    fn line(&self, waiting: &str, columns: usize) -> String {
        let seconds = self.since.elapsed().as_secs();
        let containers = self.containers.iter();
        let containers: Vec<String> = containers
            .map(|(name, state)| format!("{name} {state}"))
            .collect();
        let rest = if waiting.is_empty() {
            containers.join(" · ")
        } else {
            format!("waiting for {waiting} · press Ctrl-C again to kill")
        };

        let (minutes, seconds) = (seconds / 60, seconds % 60);
        let line = format!("{} {minutes}:{seconds:02} · {rest}", self.task);

        // The last column stays free: some terminals wrap when it is filled.
        line.chars().take(columns.saturating_sub(1)).collect()
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        Self::clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_each_container_and_fits_the_terminal() {
        let definition = serde_json::json!({ "family": "f", "containerDefinitions": [
            { "name": "app", "image": "app" }, { "name": "proxy", "image": "proxy" } ] });
        let mut status = Status::new(&serde_json::from_value(definition).unwrap());
        status.update(&RunnerEvent {
            at: std::time::Duration::ZERO,
            container: Some("app".to_owned()),
            kind: EventKind::Stopped {
                code: Some(3),
                reason: None,
            },
        });

        assert_eq!(
            status.line("", 80),
            "PENDING 0:00 · app exited 3 · proxy waiting"
        );
        // 29 characters: one column less than the terminal has.
        let line = status.line("proxy (12 s left)", 30);
        assert_eq!(line, "PENDING 0:00 · waiting for pr");
    }
}
