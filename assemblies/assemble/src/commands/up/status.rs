//! The line at the bottom of a terminal: how everybody is, right now.

use std::io::{Write, stderr};
use std::sync::atomic::Ordering;
use std::time::Instant;

use rustix::termios::tcgetwinsize;
use task_definition::TaskDefinition;
use task_runner::{RunnerEvent, What};

use crate::talk::STATUS_LINE;

/// What the line says.
#[derive(Debug)]
pub(super) struct Status {
    since: Instant,
    task: String,
    containers: Vec<(String, String)>,
}

impl Status {
    /// Nothing has happened yet.
    pub(super) fn new(definition: &TaskDefinition) -> Self {
        let containers = definition.container_definitions.iter();
        Self {
            since: Instant::now(),
            task: "PENDING".to_owned(),
            containers: containers
                .map(|one| (one.name.clone(), "waits".to_owned()))
                .collect(),
        }
    }

    /// Takes in what happened.
    pub(super) fn note(&mut self, event: &RunnerEvent) {
        let words = match &event.what {
            What::Started { .. } => "runs".to_owned(),
            What::Health { health, .. } => health.to_string(),
            What::Restarting { .. } | What::Replacing => "starts again".to_owned(),
            What::Stopping { .. } => "stops".to_owned(),
            What::Killing => "is killed".to_owned(),
            What::Stopped {
                code: Some(code), ..
            } => format!("exited {code}"),
            What::Stopped { .. } => "never ran".to_owned(),
            What::Task { status, health } => {
                let health = health.to_string();
                let health = if health == "UNKNOWN" { "" } else { &health };
                let words = format!("{status} {health}");
                words.trim_end().clone_into(&mut self.task);
                return;
            }
            What::TaskStopping { .. } => {
                "STOPPING".clone_into(&mut self.task);
                return;
            }
            _ => return,
        };

        let mut all = self.containers.iter_mut();
        let whose = all.find(|(name, _)| Some(name) == event.container.as_ref());
        if let Some((_, state)) = whose {
            *state = words;
        }
    }

    /// Takes the line away, for something else to be said.
    pub(super) fn clear() {
        let _ = write!(stderr(), "\r\x1b[2K");
        STATUS_LINE.store(false, Ordering::Relaxed);
    }

    /// Writes the line; `waiting` is who holds up a stop.
    pub(super) fn draw(&self, waiting: &str) {
        let columns = tcgetwinsize(stderr()).map_or(0, |size| size.ws_col);
        let line = self.line(waiting, if columns == 0 { 80 } else { columns.into() });
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
            format!("waiting for {waiting} · Ctrl-C again kills")
        };

        let (minutes, seconds) = (seconds / 60, seconds % 60);
        let line = format!("{} {minutes}:{seconds:02} · {rest}", self.task);

        // The last column is left free: a terminal that is full would wrap.
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
    fn the_line_says_how_everybody_is_and_fits() {
        let definition = serde_json::json!({ "family": "f", "containerDefinitions": [
            { "name": "app", "image": "app" }, { "name": "proxy", "image": "proxy" } ] });
        let mut status = Status::new(&serde_json::from_value(definition).unwrap());
        status.note(&RunnerEvent {
            at: std::time::Duration::ZERO,
            container: Some("app".to_owned()),
            what: What::Stopped {
                code: Some(3),
                reason: None,
            },
        });

        assert_eq!(
            status.line("", 80),
            "PENDING 0:00 · app exited 3 · proxy waits"
        );
        let line = status.line("proxy (12 s left)", 30);
        assert_eq!(line, "PENDING 0:00 · waiting for pr");
    }
}
