//! Prints events for people: the containers' output to stdout, state changes to stderr.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write, stderr, stdout};
use std::time::Instant;

use diagnostics::Color;
use local::EventSink;
use task_definition::TaskDefinition;
use task_runner::machine::{Health, TaskStatus};
use task_runner::{EventKind, RunnerEvent, Stream};

use super::status::Status;
use crate::ui::{Ui, print_line};

/// Prints lines prefixed with the container's name.
#[derive(Debug)]
pub(super) struct ConsoleSink {
    width: usize,
    color_out: Color,
    color_err: Color,
    quiet: bool,
    /// Prefix of each name: the replica's number.
    prefix: String,
    /// The containers being stopped, and when each will be killed.
    stopping: BTreeMap<String, Instant>,
    /// The status line at the bottom of a terminal.
    status: Option<Status>,
    /// Idle calls since the last event.
    idle_count: u32,
}

impl ConsoleSink {
    /// Creates a sink with columns wide enough for the longest name.
    pub(super) fn new(definition: &TaskDefinition, number: Option<u8>, ui: &Ui) -> Self {
        // With several replicas their lines interleave, so there is no single status line.
        let bottom = stdout().is_terminal() && stderr().is_terminal() && number.is_none();
        let prefix = number
            .map(|number| format!("{number}/"))
            .unwrap_or_default();
        let names = definition
            .container_definitions
            .iter()
            .map(|container| container.name.chars().count());
        let color_allowed = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let color_err = if color_allowed && stderr().is_terminal() {
            Color::Yes
        } else {
            Color::No
        };

        Self {
            width: names.max().unwrap_or(0).max(4) + prefix.len(),
            prefix,
            color_out: ui.color(),
            color_err,
            quiet: ui.is_quiet(),
            stopping: BTreeMap::new(),
            status: (bottom && !ui.is_quiet()).then(|| Status::new(definition)),
            idle_count: 0,
        }
    }

    fn name(&self, container: Option<&str>, color: Color) -> String {
        let name = format!("{}{}", self.prefix, container.unwrap_or("task"));
        let width = self.width;
        match (color, container) {
            (Color::No, _) => format!("{name:width$}"),
            (Color::Yes, None) => format!("\x1b[1m{name:width$}\x1b[0m"),
            (Color::Yes, Some(_)) => format!("\x1b[{}m{name:width$}\x1b[0m", hue(&name)),
        }
    }

    fn line(&self, container: Option<&str>, stream: Stream, line: &str) {
        // A different bar distinguishes stderr from stdout without colour.
        let bar = if stream == Stream::Stdout { '|' } else { '│' };
        let name = self.name(container, self.color_out);
        // Colours of the container's output must not run into the next line.
        let reset = if self.color_out == Color::Yes && line.contains('\x1b') {
            "\x1b[0m"
        } else {
            ""
        };
        let _ = writeln!(stdout(), "{name} {bar} {line}{reset}");
    }

    fn note(&self, event: &RunnerEvent, sign: Sign, message: &str) {
        // --quiet keeps what went wrong.
        if self.quiet && sign != Sign::Bad {
            return;
        }
        let at = format!("{:8.3}", event.at.as_secs_f64());
        let name = self.name(event.container.as_deref(), self.color_err);
        let sign = sign.symbol(self.color_err);
        print_line(&format!("{at} {name} {sign} {message}"));
    }
}

impl EventSink for ConsoleSink {
    fn event(&mut self, event: &RunnerEvent) {
        self.idle_count = 0;
        if let Some(status) = &mut self.status {
            status.update(event);
            // Cleared before the event is printed and redrawn after it, so that it stays at the bottom.
            Status::clear();
        }
        self.print(event);
        if let Some(status) = &self.status {
            status.draw(&self.waiting());
        }
    }

    /// Redraws the status line, or prints now and then what a stop is waiting for.
    fn idle(&mut self) {
        let waiting = self.waiting();
        if let Some(status) = &self.status {
            return status.draw(&waiting);
        }
        self.idle_count += 1;
        if self.idle_count.is_multiple_of(IDLE_CALLS_PER_NOTICE)
            && !waiting.is_empty()
            && !self.quiet
        {
            print_line(&format!(
                "waiting for {waiting}; press Ctrl-C again to kill"
            ));
        }
    }
}

impl ConsoleSink {
    /// Formats the containers being stopped, each with the time left before it is killed.
    fn waiting(&self) -> String {
        let left = |until: &Instant| until.saturating_duration_since(Instant::now()).as_secs();
        self.stopping
            .iter()
            .map(|(name, until)| format!("{name} ({} s left)", left(until)))
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn print(&mut self, event: &RunnerEvent) {
        let container = event.container.clone().unwrap_or_default();
        match &event.kind {
            EventKind::Log { stream, line } => self.line(event.container.as_deref(), *stream, line),
            EventKind::Started { pid, run, after } => {
                self.note(event, Sign::Up, &format_start(*pid, *run, after));
            }
            EventKind::Health {
                health,
                streak,
                output,
                ..
            } => {
                let (sign, message) = describe_health(*health, *streak, output);
                self.note(event, sign, &message);
            }
            EventKind::Restarting { code } => {
                self.note(
                    event,
                    Sign::Warning,
                    &format!("exited {code}, restarting (restartPolicy)"),
                );
            }
            EventKind::Replacing => {
                self.stopping.remove(&container);
                self.note(event, Sign::Warning, "program changed, restarting");
            }
            EventKind::Stopping { limit } => {
                // The event comes when the signal is sent, so the time starts now.
                self.stopping.insert(container, Instant::now() + *limit);
                let message = format!("stop signal sent, killed after {} s", limit.as_secs());
                self.note(event, Sign::Down, &message);
            }
            EventKind::Killing => self.note(event, Sign::Bad, "killed"),
            EventKind::Stopped { code, reason } => {
                self.stopping.remove(&container);
                let (sign, message) = describe_end(*code, reason.as_deref());
                self.note(event, sign, &message);
            }
            EventKind::Warning(message) => self.note(event, Sign::Warning, message),
            EventKind::TaskStopping { code, reason } => {
                self.note(event, Sign::Down, &format!("stopping: {code}: {reason}"));
            }
            EventKind::Task { status, health } => {
                let (sign, message) = describe_task(*status, *health);
                self.note(event, sign, &message);
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Up,
    Well,
    Warning,
    Down,
    Bad,
}

impl Sign {
    fn symbol(self, color: Color) -> String {
        let (sign, hue) = match self {
            Self::Up => ("●", 36),
            Self::Well => ("✔", 32),
            Self::Warning => ("!", 33),
            Self::Down => ("○", 90),
            Self::Bad => ("✘", 31),
        };
        match color {
            Color::Yes => format!("\x1b[{hue}m{sign}\x1b[0m"),
            Color::No => sign.to_owned(),
        }
    }
}

/// Returns a colour that depends on the name only. Red and green are reserved for bad and good.
fn hue(name: &str) -> u8 {
    // djb2, which spreads short names well enough.
    let sum = name
        .bytes()
        .fold(5381u32, |sum, byte| sum.wrapping_mul(33) ^ u32::from(byte));
    [34, 35, 36, 94, 95, 96][sum as usize % 6]
}

/// Idle calls between two notices about what a stop is waiting for.
const IDLE_CALLS_PER_NOTICE: u32 = 5;

/// Formats a number of failed health checks: `1 health check failed`, `2 health checks failed`.
fn format_failed_checks(count: u32) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} health check{plural} failed")
}

/// Formats the start of a container: its run from the second on, and the containers it waited for.
fn format_start(pid: u32, run: u32, after: &[String]) -> String {
    let started = if run > 1 {
        format!("restarted (run {run})")
    } else {
        "started".to_owned()
    };
    let after = if after.is_empty() {
        String::new()
    } else {
        format!(", after {}", after.join(", "))
    };

    format!("{started}, pid {pid}{after}")
}

/// Describes a container's health after a check: the number of failed checks in a row, and the check's output.
fn describe_health(health: Health, streak: u32, output: &str) -> (Sign, String) {
    let output = output.lines().next().unwrap_or_default();
    match (health, streak) {
        (Health::Healthy, 0) => (Sign::Well, "HEALTHY".to_owned()),
        (Health::Unhealthy, _) => (
            Sign::Bad,
            format!("UNHEALTHY, {}: {output}", format_failed_checks(streak)),
        ),
        _ => (
            Sign::Warning,
            format!("{health}, {}: {output}", format_failed_checks(streak)),
        ),
    }
}

/// Describes the end of a container: its exit code, or the reason why it has none.
fn describe_end(code: Option<i32>, reason: Option<&str>) -> (Sign, String) {
    let message = match (code, reason) {
        (_, Some(reason)) => reason.to_owned(),
        (Some(code), None) => format!("exited {code}"),
        (None, None) => "never started".to_owned(),
    };

    // 143 is SIGTERM: the expected end of a program without a handler for it.
    let is_fine = matches!(code, Some(0 | 143) | None) && reason.is_none();
    (if is_fine { Sign::Down } else { Sign::Bad }, message)
}

/// Describes the status of the task, and its health once that is known.
fn describe_task(status: TaskStatus, health: Health) -> (Sign, String) {
    let sign = match (status, health) {
        (TaskStatus::Running, Health::Unhealthy) => Sign::Bad,
        (TaskStatus::Running, _) => Sign::Well,
        _ => Sign::Down,
    };

    let message = match health {
        Health::Unknown => status.to_string(),
        health => format!("{status} {health}"),
    };
    (sign, message)
}
