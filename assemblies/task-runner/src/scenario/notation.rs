//! The text notation of events and actions in a scenario.

use std::time::Duration;

use super::ScenarioError;
use crate::machine::{Action, Change, Event, Outcome, State, StopCode};

/// Returns the index of a container.
pub(super) fn find_container(state: &State, name: &str) -> Result<usize, ScenarioError> {
    let mut names = state.spec().containers.iter();
    names
        .position(|container| container.name == name)
        .ok_or_else(|| ScenarioError::Container(name.to_owned()))
}

/// Parses an event.
pub(super) fn parse_event(
    state: &State,
    text: &str,
    now: Duration,
) -> Result<Event, ScenarioError> {
    let unknown = || ScenarioError::Event(text.to_owned());
    let stop = |code, reason: &str| Event::StopRequested {
        code,
        reason: reason.to_owned(),
    };

    let (name, rest) = match text.split(' ').collect::<Vec<_>>()[..] {
        ["tick"] => return Ok(Event::Tick),
        ["stop"] => return Ok(stop(StopCode::UserInitiated, "asked")),
        ["spot"] => {
            let reason = "Your Spot Task was interrupted.";
            return Ok(stop(StopCode::SpotInterruption, reason));
        }
        ["kill"] => {
            let reason = "asked".to_owned();
            return Ok(Event::KillRequested { reason });
        }
        ["replace", name] => {
            let container = find_container(state, name)?;
            return Ok(Event::ReplaceRequested { container });
        }
        [name, ref rest @ ..] if !rest.is_empty() => (name, rest.join(" ")),
        _ => return Err(unknown()),
    };

    parse_container_event(state, find_container(state, name)?, &rest, now).ok_or_else(unknown)
}

/// Parses the part after the container's name; `None` if it is no event.
fn parse_container_event(
    state: &State,
    container: usize,
    text: &str,
    now: Duration,
) -> Option<Event> {
    let exited = |code, out_of_memory| Event::Exited {
        container,
        code,
        out_of_memory,
    };
    // Probes belong to the current run unless the text names another one.
    let current_run = state.view(container)?.run;
    let probed = |run, ago, outcome| Event::Probed {
        container,
        run,
        began: now.saturating_sub(Duration::from_millis(ago)),
        outcome,
    };

    Some(match text.split(' ').collect::<Vec<_>>()[..] {
        ["runs"] => Event::Spawned { container },
        ["cannot", "start"] => Event::SpawnFailed {
            container,
            reason: "CannotStartContainerError: no such file".to_owned(),
        },
        ["passes"] => probed(current_run, 0, Outcome::Passed),
        ["passes", "in", "run", run] => probed(run.parse().ok()?, 0, Outcome::Passed),
        // A probe that began before a restart and ends after it.
        ["fails"] => probed(current_run, 0, Outcome::Failed),
        ["fails", "after", ago] => probed(current_run, ago.parse().ok()?, Outcome::Failed),
        ["exits", "oom"] => exited(Some(137), true),
        ["exits", "unknown"] => exited(None, false),
        ["exits", code] => exited(Some(code.parse().ok()?), false),
        _ => return None,
    })
}

/// Formats an action; `None` for changes that another action already implies.
///
/// A start appears as its spawn, a stop as its signal, an exit as the change.
pub(super) fn format_action(state: &State, action: &Action) -> Option<String> {
    let name = |container: usize| &state.spec().containers[container].name;
    Some(match action {
        Action::Spawn { container } => format!("spawn {}", name(*container)),
        Action::Terminate { container } => format!("term {}", name(*container)),
        Action::Kill { container } => format!("kill {}", name(*container)),
        Action::Probe { container, .. } => format!("probe {}", name(*container)),
        Action::Publish(change) => match change {
            Change::Starting { .. }
            | Change::Stopping { .. }
            | Change::Killing { .. }
            | Change::Running { .. }
            | Change::Replacing { .. }
            | Change::Restarting { .. } => return None,
            Change::Health {
                container,
                health,
                streak,
            } => {
                format!("{} {health}/{streak}", name(*container))
            }
            Change::Stopped {
                container,
                code,
                reason,
            } => {
                let code = code.map_or("never ran".into(), |code| format!("= {code}"));
                // The first word of a reason is the error type; the rest is prose that may change.
                let first = reason.as_deref().and_then(|text| text.split(':').next());
                let reason = first.map(|text| format!(" {text}")).unwrap_or_default();
                format!("{} {code}{reason}", name(*container))
            }
            Change::TaskStopping(stop) => format!("stopping {}", stop.code),
            Change::Task(status) => status.to_string(),
        },
    })
}
