//! What happens, told to people: the containers' lines to stdout, their lives to stderr.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write, stderr, stdout};
use std::time::{Duration, Instant};

use task_definition::{Color, TaskDefinition};
use task_runner::machine::{Health, TaskStatus};
use task_runner::{RunnerEvent, Stream, What};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::keep::Healthy;
use super::status::Status;
use crate::talk::{Talk, say_line};

/// Somebody who tells what happens.
pub(super) trait Show: Send {
    /// Something happened.
    fn event(&mut self, event: &RunnerEvent);
    /// Nothing happened for a while.
    fn silence(&mut self) {}
}

/// Tells until there is nothing more to tell; lets somebody know when the task is RUNNING, and well.
pub(super) fn tell(
    handle: &Handle,
    mut heard: mpsc::Receiver<RunnerEvent>,
    mut show: Box<dyn Show>,
    running: oneshot::Sender<()>,
    healthy: Healthy,
) {
    let mut running = Some(running);
    loop {
        match handle.block_on(async { timeout(SILENCE, heard.recv()).await }) {
            Ok(Some(event)) => {
                show.event(&event);
                if healthy.reached(&event.what) {
                    // Nobody may be waiting for it.
                    let _ = running.take().map(|running| running.send(()));
                }
            }
            Ok(None) => return,
            Err(_) => show.silence(),
        }
    }
}

/// Lines with the container's name before them.
#[derive(Debug)]
pub(super) struct Screen {
    width: usize,
    color_out: Color,
    color_err: Color,
    quiet: bool,
    /// Before each name: which of several tasks this is.
    mark: String,
    /// Who is being stopped, and until when it may take.
    stopping: BTreeMap<String, Instant>,
    /// The line at the bottom of a terminal.
    status: Option<Status>,
    /// How often in a row nothing happened.
    silences: u32,
}

impl Screen {
    /// Leaves room for the longest name.
    pub(super) fn new(definition: &TaskDefinition, number: Option<String>, talk: &Talk) -> Self {
        let bottom = stdout().is_terminal() && stderr().is_terminal() && number.is_none();
        let mark = number
            .map(|number| format!("{number}/"))
            .unwrap_or_default();
        let names = definition
            .container_definitions
            .iter()
            .map(|one| one.name.chars().count());
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let color_err = if wanted && stderr().is_terminal() {
            Color::Yes
        } else {
            Color::No
        };

        Self {
            width: names.max().unwrap_or(0).max(4) + mark.len(),
            mark,
            color_out: talk.color(),
            color_err,
            quiet: talk.is_quiet(),
            stopping: BTreeMap::new(),
            status: (bottom && !talk.is_quiet()).then(|| Status::new(definition)),
            silences: 0,
        }
    }

    fn name(&self, container: Option<&str>, color: Color) -> String {
        let name = format!("{}{}", self.mark, container.unwrap_or("task"));
        let width = self.width;
        match (color, container) {
            (Color::No, _) => format!("{name:width$}"),
            (Color::Yes, None) => format!("\x1b[1m{name:width$}\x1b[0m"),
            (Color::Yes, Some(_)) => format!("\x1b[{}m{name:width$}\x1b[0m", hue(&name)),
        }
    }

    fn line(&self, container: Option<&str>, stream: Stream, line: &str) {
        let bar = if stream == Stream::Stdout { '|' } else { '│' };
        let name = self.name(container, self.color_out);
        // A child's colours must not run into the next line.
        let reset = if self.color_out == Color::Yes && line.contains('\x1b') {
            "\x1b[0m"
        } else {
            ""
        };
        let _ = writeln!(stdout(), "{name} {bar} {line}{reset}");
    }

    fn note(&self, event: &RunnerEvent, sign: Sign, words: &str) {
        if self.quiet && sign != Sign::Bad {
            return;
        }
        let at = format!("{:8.3}", event.at.as_secs_f64());
        let name = self.name(event.container.as_deref(), self.color_err);
        let sign = sign.drawn(self.color_err);
        say_line(&format!("{at} {name} {sign} {words}"));
    }
}

impl Show for Screen {
    fn event(&mut self, event: &RunnerEvent) {
        self.silences = 0;
        if let Some(status) = &mut self.status {
            status.note(event);
            Status::clear();
        }
        self.tell(event);
        if let Some(status) = &self.status {
            status.draw(&self.waiting());
        }
    }

    /// Nobody should have to guess whom a stop waits for.
    fn silence(&mut self) {
        let waiting = self.waiting();
        if let Some(status) = &self.status {
            return status.draw(&waiting);
        }
        self.silences += 1;
        if self.silences.is_multiple_of(TOLD) && !waiting.is_empty() && !self.quiet {
            say_line(&format!("waiting for {waiting}; Ctrl-C again kills"));
        }
    }
}

impl Screen {
    /// Who is being stopped, and for how long that may still take.
    fn waiting(&self) -> String {
        let left = |until: &Instant| until.saturating_duration_since(Instant::now()).as_secs();
        let waiting = self.stopping.iter();
        let waiting: Vec<_> = waiting
            .map(|(name, until)| format!("{name} ({} s left)", left(until)))
            .collect();
        waiting.join(", ")
    }

    fn tell(&mut self, event: &RunnerEvent) {
        let whose = event.container.clone().unwrap_or_default();
        match &event.what {
            What::Log { stream, line } => self.line(event.container.as_deref(), *stream, line),
            What::Started { pid, run, after } => {
                let again = if *run > 1 {
                    format!(" for the {run}. time")
                } else {
                    String::new()
                };

                let after = if after.is_empty() {
                    String::new()
                } else {
                    format!(", after {}", after.join(", "))
                };
                self.note(event, Sign::Up, &format!("started{again} as {pid}{after}"));
            }
            What::Health {
                health,
                streak,
                output,
                ..
            } => {
                let output = output.lines().next().unwrap_or_default();
                let (sign, words) = match (health, streak) {
                    (Health::Healthy, 0) => (Sign::Well, "HEALTHY".to_owned()),
                    (Health::Unhealthy, _) => (
                        Sign::Bad,
                        format!("UNHEALTHY, {streak} probes failed: {output}"),
                    ),
                    _ => (
                        Sign::Odd,
                        format!("{health}, {streak} probes failed: {output}"),
                    ),
                };
                self.note(event, sign, &words);
            }
            What::Restarting { code } => {
                self.note(
                    event,
                    Sign::Odd,
                    &format!("exited {code}; restartPolicy starts it again"),
                );
            }
            What::Replacing => {
                self.stopping.remove(&whose);
                self.note(
                    event,
                    Sign::Odd,
                    "its program has changed; it is started again",
                );
            }
            What::Stopping { limit } => {
                self.stopping.insert(whose, Instant::now() + *limit);
                let words = format!("told to stop; it has {} s", limit.as_secs());
                self.note(event, Sign::Down, &words);
            }
            What::Killing => self.note(event, Sign::Bad, "killed"),
            What::Stopped { code, reason } => {
                self.stopping.remove(&whose);
                let words = match (code, reason) {
                    (_, Some(reason)) => reason.clone(),
                    (Some(code), None) => format!("exited {code}"),
                    (None, None) => "never started".to_owned(),
                };

                let fine = matches!(code, Some(0 | 143) | None) && reason.is_none();
                self.note(event, if fine { Sign::Down } else { Sign::Bad }, &words);
            }
            What::Warning(words) => self.note(event, Sign::Odd, words),
            What::TaskStopping { code, reason } => {
                self.note(event, Sign::Down, &format!("stopping: {code}: {reason}"));
            }
            What::Task { status, health } => {
                let sign = match (status, health) {
                    (TaskStatus::Running, Health::Unhealthy) => Sign::Bad,
                    (TaskStatus::Running, _) => Sign::Well,
                    _ => Sign::Down,
                };

                let health = match health {
                    Health::Unknown => String::new(),
                    known => format!(" {known}"),
                };
                self.note(event, sign, &format!("{status}{health}"));
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Up,
    Well,
    Odd,
    Down,
    Bad,
}

impl Sign {
    fn drawn(self, color: Color) -> String {
        let (sign, hue) = match self {
            Self::Up => ("●", 36),
            Self::Well => ("✔", 32),
            Self::Odd => ("!", 33),
            Self::Down => ("○", 90),
            Self::Bad => ("✘", 31),
        };
        match color {
            Color::Yes => format!("\x1b[{hue}m{sign}\x1b[0m"),
            Color::No => sign.to_owned(),
        }
    }
}

/// The same name has the same colour every time; red and green are kept for good and bad.
fn hue(name: &str) -> u8 {
    let sum = name
        .bytes()
        .fold(5381u32, |sum, byte| sum.wrapping_mul(33) ^ u32::from(byte));
    [34, 35, 36, 94, 95, 96][sum as usize % 6]
}

const SILENCE: Duration = Duration::from_secs(1);
/// After so many silences it is told whom everybody waits for.
const TOLD: u32 = 5;
