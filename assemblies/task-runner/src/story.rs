//! A story of a task: at this time this happens, and then the machine does exactly that.
//!
//! Stories are files, in YAML or JSON; the README tells how to write one. Those in `scenarios/` are the machine's
//! own tests; `assemble check --timeline` tells anybody's.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use task_definition::Finding;
use task_definition::source::{Node, Source};

use crate::machine::{ExitCode, Spec, SpecError, State, step};

mod words;

/// A task, what happens to it, and what is to follow.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Story {
    /// As in a task definition, without images.
    containers: Vec<Value>,
    story: Vec<Line>,
    #[serde(default)]
    end: End,
}

/// At so many milliseconds this happens, and this follows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    at: u64,
    event: String,
    #[serde(default)]
    then: Vec<String>,
}

/// What is to be seen of the task in the end; what is left out is not looked at.
#[derive(Debug, Default, Deserialize)]
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

/// One moment of a story that was played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Since the beginning.
    pub at: Duration,
    /// What happened, or what was looked at in the end.
    pub event: String,
    /// What followed, or was seen.
    pub found: String,
    /// What the story says should have followed.
    pub expected: String,
}

impl Told {
    /// Whether it went as it was told.
    pub fn as_expected(&self) -> bool {
        self.found == self.expected
    }
}

/// Why a story cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum StoryError {
    /// It is not of a story's form.
    #[error("it is no story: {0}")]
    Form(#[from] serde_json::Error),
    /// Its containers cannot be read.
    #[error("its containers: {}", .0.first().map(|one| one.message.clone()).unwrap_or_default())]
    Containers(Vec<Finding>),
    /// Its containers leave no order to start or stop in.
    #[error("its containers: {}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Definition(Vec<SpecError>),
    /// It speaks of somebody who is not there.
    #[error("there is no container `{0}`; name one of its `containers`")]
    Container(String),
    /// Nothing of the kind can happen.
    #[error("there is no event `{0}`; the README of task-runner has the list, under \"Stories\"")]
    Event(String),
}

impl Story {
    /// Whether a document says that it is one.
    pub fn is_one(node: &Node) -> bool {
        node.to_json().get("story").is_some()
    }

    /// Reads one.
    ///
    /// # Errors
    ///
    /// [`StoryError::Form`].
    pub fn read(node: &Node) -> Result<Self, StoryError> {
        Ok(serde_json::from_value(node.to_json())?)
    }

    /// Plays it, to its end even where it goes another way than it is told.
    ///
    /// # Errors
    ///
    /// Its containers cannot be run, or it speaks of containers or events that there are not.
    pub fn play(&self) -> Result<Vec<Told>, StoryError> {
        let mut state = State::new(spec(&self.containers)?);
        let (mut all, mut at) = (Vec::new(), Duration::ZERO);
        for line in &self.story {
            at = Duration::from_millis(line.at);
            let event = words::event(&state, &line.event, at)?;
            let (next, actions, _) = step(state, event, at);
            state = next;

            let found = actions.iter().filter_map(|one| words::action(&state, one));
            all.push(Told {
                at,
                event: line.event.clone(),
                found: found.collect::<Vec<_>>().join(", "),
                expected: line.then.join(", "),
            });
        }

        let seen = self.end.seen(&state, at)?.into_iter();
        all.extend(seen.map(|(what, found, expected)| Told {
            at,
            event: format!("at the end, {what}"),
            found,
            expected,
        }));

        Ok(all)
    }
}

fn spec(containers: &[Value]) -> Result<Spec, StoryError> {
    let mut containers = containers.to_vec();
    for container in containers.iter_mut().filter_map(Value::as_object_mut) {
        container.insert("image".to_owned(), json!("some/image:1"));
        if let Some(Value::Object(check)) = container.get_mut("healthCheck") {
            check.insert("command".to_owned(), json!(["CMD", "/probe"]));
        }
    }
    let definition = json!({ "family": "story", "containerDefinitions": containers });
    let text = Source::new("story.json", definition.to_string());
    let located = task_definition::read(&text).map_err(StoryError::Containers)?;
    Spec::read(&located.definition).map_err(StoryError::Definition)
}

impl End {
    /// What is looked at, what is there, and what should be.
    fn seen(
        &self,
        state: &State,
        now: Duration,
    ) -> Result<Vec<(String, String, String)>, StoryError> {
        let name = |container: usize| state.spec().containers[container].name.clone();
        let view = |name: &str| {
            let container = words::container(state, name)?;
            Ok::<_, StoryError>(state.view(container))
        };
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
            let found = state.stop().and_then(|stop| stop.guilty).map(name);
            look("the guilty one", found.unwrap_or_default(), guilty);
        }

        if let Some(reason) = &self.reason {
            let found = state.stop().map(|stop| stop.reason.clone());
            look("the reason", found.unwrap_or_default(), reason);
        }

        for (one, code) in &self.exits {
            let found = view(one)?.and_then(|view| view.exit);
            let found = found.map(|code| code.to_string());
            look(one, found.unwrap_or_default(), code);
        }

        for (one, times) in &self.restarts {
            let found = view(one)?.map_or(0, |view| view.restarts);
            look(one, found.to_string(), times);
        }

        for (one, on) in &self.waits_for_ever {
            let found = state.waits_for_ever(words::container(state, one)?, now);
            let found = found.map(|need| name(need.on));
            look(one, found.unwrap_or_default(), on);
        }

        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use task_definition::source;

    use super::*;

    fn played(name: &str, text: &str) -> Result<Vec<Told>, StoryError> {
        let node = source::parse(&Source::new(name, text)).unwrap();
        assert!(Story::is_one(&node), "{name}");
        Story::read(&node)?.play()
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
        let mut faults = Vec::new();

        for file in files {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let told = played(&name, &fs::read_to_string(&file).unwrap());
            let told = told.unwrap_or_else(|error| panic!("{name}: {error}"));
            let wrong = told.into_iter().filter(|one| !one.as_expected());
            faults.extend(wrong.map(|one| format!("{name}: {one:?}")));
        }

        assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    }

    #[test]
    fn a_story_of_nobody_and_of_nothing_is_refused() {
        let refused = |story: &str| {
            let text = format!("containers: [{{ name: app }}]\nstory: [{story}]\n");
            played("story.yaml", &text).unwrap_err().to_string()
        };
        assert!(refused("{ at: 0, event: ap runs }").contains("no container `ap`"));
        assert!(refused("{ at: 0, event: app flies }").contains("no event `app flies`"));
        assert!(refused("{ at: 0, event: tick, then: spawn }").contains("no story"));
    }

    #[test]
    fn what_goes_another_way_is_told_to_the_end() {
        let text = "containers: [{ name: app }]\nstory:\n  - { at: 0, event: tick, then: [nothing] }\n  \
                    - { at: 1, event: app runs, then: [RUNNING] }\n";
        let told = played("story.yaml", text).unwrap();
        let as_expected: Vec<bool> = told.iter().map(Told::as_expected).collect();
        assert_eq!(as_expected, [false, true]);
        assert_eq!(told[0].found, "spawn app");
    }
}
