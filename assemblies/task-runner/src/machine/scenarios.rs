//! The stories in `scenarios/`: at this time this happens, and then the machine does exactly that.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};
use task_definition::source::{self, Source};

use super::*;

/// One file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Story {
    /// As in a task definition, without images.
    containers: Vec<Value>,
    story: Vec<Line>,
    #[serde(default)]
    end: End,
}

/// At so many milliseconds this happens, and this follows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    at: u64,
    event: String,
    #[serde(default)]
    then: Vec<String>,
}

/// What is to be seen of the task in the end; what is left out is not looked at.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    status: Option<String>,
    health: Option<String>,
    guilty: Option<String>,
    reason: Option<String>,
    #[serde(default)]
    exits: BTreeMap<String, ExitCode>,
    #[serde(default)]
    restarts: BTreeMap<String, u32>,
    /// Who waits for ever, and for whom.
    #[serde(default)]
    waits_for_ever: BTreeMap<String, String>,
}

#[test]
fn every_story_goes_as_it_is_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() > 25, "where have the stories gone?");
    let faults: Vec<String> = files.iter().flat_map(|file| told(file)).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Where a story goes another way.
fn told(file: &Path) -> Vec<String> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let text = Source::new(name.clone(), fs::read_to_string(file).unwrap());
    let node = source::parse(&text).unwrap_or_else(|findings| panic!("{findings:#?}"));
    let story: Story =
        serde_json::from_value(node.to_json()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut faults = Vec::new();
    let mut fault = |line: String, found: &str, expected: &str| {
        if found != expected {
            faults.push(format!(
                "{name}, {line}: expected [{expected}], found [{found}]"
            ));
        }
    };
    let mut state = State::new(spec(story.containers));
    let mut last = Duration::ZERO;
    for line in story.story {
        last = Duration::from_millis(line.at);
        let event = parse(&state, &line.event, last);
        let (next, actions, _) = step(state, event, last);
        state = next;
        let found: Vec<String> = actions
            .iter()
            .filter_map(|one| words(&state, one))
            .collect();
        let at = format!("at {} ms, {}", line.at, line.event);
        fault(at, &found.join(", "), &line.then.join(", "));
    }
    for (what, found, expected) in story.end.compared(&state, last) {
        fault(format!("at the end, {what}"), &found, &expected);
    }
    faults
}

fn spec(mut containers: Vec<Value>) -> Spec {
    for container in &mut containers {
        container["image"] = json!("some/image:1");
        if let Some(check) = container.get_mut("healthCheck") {
            check["command"] = json!(["CMD", "/probe"]);
        }
    }
    let definition = json!({ "family": "story", "containerDefinitions": containers });
    let text = Source::new("story.json", definition.to_string());
    let located = task_definition::read(&text).unwrap_or_else(|findings| panic!("{findings:#?}"));
    Spec::read(&located.definition).unwrap()
}

impl End {
    /// What is looked at, what is there, and what should be.
    fn compared(&self, state: &State, now: Duration) -> Vec<(String, String, String)> {
        let of = |name: &str| parse_name(state, name);
        let view = |name: &str| state.view(of(name)).unwrap();
        let mut all = Vec::new();
        let mut look = |what: &str, found: String, expected: &dyn ToString| {
            all.push((what.to_owned(), found, expected.to_string()));
        };
        if let Some(status) = &self.status {
            look("the status", state.status().to_string(), status);
        }
        if let Some(health) = &self.health {
            look("the health", state.health().to_string(), health);
        }
        if let Some(guilty) = &self.guilty {
            let found = state.stop().and_then(|stop| stop.guilty);
            let name = found.map(|one| state.spec.containers[one].name.clone());
            look("the guilty one", name.unwrap_or_default(), guilty);
        }
        if let Some(reason) = &self.reason {
            let found = state.stop().map(|stop| stop.reason.clone());
            look("the reason", found.unwrap_or_default(), reason);
        }
        for (name, code) in &self.exits {
            let found = view(name).exit.map(|code| code.to_string());
            look(name, found.unwrap_or_default(), code);
        }
        for (name, times) in &self.restarts {
            look(name, view(name).restarts.to_string(), times);
        }
        for (name, on) in &self.waits_for_ever {
            let found = state.waits_for_ever(of(name), now);
            let on_name = found.map(|need| state.spec.containers[need.on].name.clone());
            look(name, on_name.unwrap_or_default(), on);
        }
        all
    }
}

fn parse_name(state: &State, name: &str) -> usize {
    let mut names = state.spec.containers.iter();
    names
        .position(|one| one.name == name)
        .unwrap_or_else(|| panic!("no container is called `{name}`"))
}

fn parse(state: &State, text: &str, now: Duration) -> Event {
    let at = |name: &str| parse_name(state, name);
    let probed = |name, ago, outcome| {
        let container = at(name);
        let began = now.saturating_sub(Duration::from_millis(ago));
        let run = state.members[container].run;
        Event::Probed {
            container,
            run,
            began,
            outcome,
        }
    };
    match text.split(' ').collect::<Vec<_>>()[..] {
        ["tick"] => Event::Tick,
        ["stop"] => Event::StopRequested {
            code: StopCode::UserInitiated,
            reason: "asked".into(),
        },
        ["spot"] => Event::StopRequested {
            code: StopCode::SpotInterruption,
            reason: "Your Spot Task was interrupted.".into(),
        },
        ["kill"] => Event::KillRequested {
            reason: "asked".into(),
        },
        ["replace", name] => Event::ReplaceRequested {
            container: at(name),
        },
        [name, "runs"] => Event::Spawned {
            container: at(name),
        },
        [name, "cannot"] => Event::SpawnFailed {
            container: at(name),
            reason: "CannotStartContainerError: no such file".into(),
        },
        [name, "passes"] => probed(name, 0, Outcome::Passed),
        [name, "passes", "in", "run", run] => Event::Probed {
            container: at(name),
            run: run.parse().unwrap(),
            began: now,
            outcome: Outcome::Passed,
        },
        [name, "fails"] => probed(name, 0, Outcome::Failed),
        [name, "fails", "after", ago] => probed(name, ago.parse().unwrap(), Outcome::Failed),
        [name, "exits", "oom"] => Event::Exited {
            container: at(name),
            code: Some(137),
            out_of_memory: true,
        },
        [name, "exits", code] => Event::Exited {
            container: at(name),
            code: code.parse().ok(),
            out_of_memory: false,
        },
        _ => panic!("no such event: {text}"),
    }
}

/// The starting of a container is told by its spawn alone, its ending by the change alone.
fn words(state: &State, action: &Action) -> Option<String> {
    let name = |container: usize| &state.spec.containers[container].name;
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
                let first = reason.as_deref().and_then(|text| text.split(':').next());
                let reason = first.map(|text| format!(" {text}")).unwrap_or_default();
                format!("{} {code}{reason}", name(*container))
            }
            Change::TaskStopping(stop) => format!("stopping {}", stop.code),
            Change::Task(status) => status.to_string(),
        },
    })
}
