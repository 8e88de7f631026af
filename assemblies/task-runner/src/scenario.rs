//! Scenarios: a task, a list of events, and the actions the machine must take after each.
//!
//! A scenario is a YAML or JSON file; `docs/task-runner.md` describes the format. The files in `scenarios/` test
//! the machine itself, and `assemble check --timeline` replays the scenarios of a project.

use std::collections::BTreeMap;
use std::time::Duration;

use diagnostics::Finding;
use diagnostics::source::{Node, Source};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::machine::{ExitCode, Spec, SpecError, State, step};

mod notation;

/// A task, the events that happen to it, and the expected actions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The containers as in a task definition, without images.
    containers: Vec<Value>,
    steps: Vec<Step>,
    #[serde(default)]
    end: FinalState,
}

/// One event and the actions it must cause.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// Milliseconds since the start of the task.
    at: u64,
    event: String,
    #[serde(default)]
    then: Vec<String>,
}

/// The expected final state; omitted fields are not checked.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FinalState {
    status: Option<String>,
    health: Option<String>,
    cause: Option<String>,
    reason: Option<String>,
    #[serde(default)]
    exits: BTreeMap<String, ExitCode>,
    #[serde(default)]
    restarts: BTreeMap<String, u32>,
    /// Containers that wait forever, each with the dependency it waits for.
    #[serde(default)]
    waits_forever: BTreeMap<String, String>,
}

/// The result of one step or one check of the final state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepResult {
    /// Time since the start of the task.
    pub at: Duration,
    /// The event, or the part of the final state that was checked.
    pub event: String,
    /// The actions taken, or the value found.
    pub found: String,
    /// The expected actions or value.
    pub expected: String,
}

impl StepResult {
    /// Returns true if the result is the expected one.
    pub fn as_expected(&self) -> bool {
        self.found == self.expected
    }
}

/// The errors of reading and replaying a scenario.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The document does not have the form of a scenario.
    #[error("not a valid scenario: {0}")]
    Form(#[from] serde_json::Error),
    /// The containers are invalid.
    #[error("its containers: {}", .0.first().map(|finding| finding.message.clone()).unwrap_or_default())]
    Containers(Vec<Finding>),
    /// The containers have no valid start and stop order.
    #[error("its containers: {}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Definition(Vec<SpecError>),
    /// An unknown container is named.
    #[error("there is no container `{0}`; name one of its `containers`")]
    Container(String),
    /// An unknown event is named.
    #[error("unknown event `{0}`; see \"Scenarios\" in docs/task-runner.md for the list")]
    Event(String),
}

impl Scenario {
    /// Returns true if a document is a scenario: it has the key `steps`.
    pub fn is_scenario(node: &Node) -> bool {
        node.to_json().get("steps").is_some()
    }

    /// Reads a scenario from a document.
    ///
    /// # Errors
    ///
    /// Returns [`ScenarioError::Form`] if keys are missing, unknown or of the wrong type.
    pub fn read(node: &Node) -> Result<Self, ScenarioError> {
        Ok(serde_json::from_value(node.to_json())?)
    }

    /// Replays the scenario. It continues after a step with another result than expected.
    ///
    /// # Errors
    ///
    /// Returns an error if the containers are invalid, or a step names an unknown container or event.
    pub fn play(&self) -> Result<Vec<StepResult>, ScenarioError> {
        let mut state = State::new(spec(&self.containers)?);
        let (mut results, mut at) = (Vec::new(), Duration::ZERO);
        for line in &self.steps {
            at = Duration::from_millis(line.at);
            let event = notation::parse_event(&state, &line.event, at)?;
            let (next, actions, _) = step(state, event, at);
            state = next;

            let found = actions
                .iter()
                .filter_map(|action| notation::format_action(&state, action));
            results.push(StepResult {
                at,
                event: line.event.clone(),
                found: found.collect::<Vec<_>>().join(", "),
                expected: line.then.join(", "),
            });
        }

        // The final state is checked at the time of the last step.
        let checks = self.end.check(&state, at)?.into_iter();
        results.extend(checks.map(|(what, found, expected)| StepResult {
            at,
            event: format!("at the end, {what}"),
            found,
            expected,
        }));

        Ok(results)
    }
}

/// Reads the containers as a task definition, with the fields a scenario leaves out.
fn spec(containers: &[Value]) -> Result<Spec, ScenarioError> {
    let mut containers = containers.to_vec();
    for container in containers.iter_mut().filter_map(Value::as_object_mut) {
        container.insert("image".to_owned(), json!("some/image:1"));
        if let Some(Value::Object(check)) = container.get_mut("healthCheck") {
            check.insert("command".to_owned(), json!(["CMD", "/probe"]));
        }
    }
    let definition = json!({ "family": "scenario", "containerDefinitions": containers });
    let text = Source::new("scenario.json", definition.to_string());
    let located = task_definition::read(&text).map_err(ScenarioError::Containers)?;
    Spec::read(&located.definition).map_err(ScenarioError::Definition)
}

impl FinalState {
    /// Returns each checked part of the final state with the found and the expected value.
    fn check(
        &self,
        state: &State,
        now: Duration,
    ) -> Result<Vec<(String, String, String)>, ScenarioError> {
        let name = |container: usize| state.spec().containers[container].name.clone();
        let view = |name: &str| {
            let container = notation::find_container(state, name)?;
            Ok::<_, ScenarioError>(state.view(container))
        };
        let mut checks = Vec::new();
        let mut compare = |what: &str, found: String, expected: &dyn ToString| {
            checks.push((what.to_owned(), found, expected.to_string()));
        };

        if let Some(status) = &self.status {
            compare("the status", state.status().to_string(), status);
        }
        if let Some(health) = &self.health {
            compare("the health", state.health().to_string(), health);
        }

        if let Some(cause) = &self.cause {
            let found = state.stop().and_then(|stop| stop.cause).map(name);
            compare("the cause", found.unwrap_or_default(), cause);
        }

        if let Some(reason) = &self.reason {
            let found = state.stop().map(|stop| stop.reason.clone());
            compare("the reason", found.unwrap_or_default(), reason);
        }

        for (container, code) in &self.exits {
            let found = view(container)?.and_then(|view| view.exit);
            // An unknown code reads as an empty text, as in a step that causes no action.
            let found = found.map_or_else(String::new, |code| code.to_string());
            compare(container, found, code);
        }

        for (container, times) in &self.restarts {
            let found = view(container)?.map_or(0, |view| view.restarts);
            compare(container, found.to_string(), times);
        }

        for (container, on) in &self.waits_forever {
            let found = state
                .waits_forever(notation::find_container(state, container)?, now)
                .map(|dependency| name(dependency.on));
            compare(container, found.unwrap_or_default(), on);
        }

        Ok(checks)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use diagnostics::source;

    use super::*;

    fn play(name: &str, text: &str) -> Result<Vec<StepResult>, ScenarioError> {
        let node = source::parse(&Source::new(name, text)).unwrap();
        assert!(Scenario::is_scenario(&node), "{name}");
        Scenario::read(&node)?.play()
    }

    #[test]
    fn every_scenario_has_the_expected_result() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let mut files: Vec<PathBuf> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();

        files.sort();
        // A wrong path would find no files and pass.
        assert!(files.len() > 25, "only {} scenarios found", files.len());
        let mut failures = Vec::new();

        for file in files {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let results = play(&name, &fs::read_to_string(&file).unwrap());
            let results = results.unwrap_or_else(|error| panic!("{name}: {error}"));
            let wrong = results.into_iter().filter(|result| !result.as_expected());
            failures.extend(wrong.map(|result| format!("{name}: {result:?}")));
        }

        assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    }

    #[test]
    fn rejects_unknown_containers_and_events() {
        let error = |step: &str| {
            let text = format!("containers: [{{ name: app }}]\nsteps: [{step}]\n");
            play("scenario.yaml", &text).unwrap_err().to_string()
        };
        assert!(error("{ at: 0, event: ap runs }").contains("no container `ap`"));
        assert!(error("{ at: 0, event: app flies }").contains("unknown event `app flies`"));
        // `then` is a list, even of one action.
        assert!(error("{ at: 0, event: tick, then: spawn }").contains("not a valid scenario"));
    }

    #[test]
    fn continues_after_an_unexpected_result() {
        let text = "containers: [{ name: app }]\nsteps:\n  - { at: 0, event: tick, then: [nothing] }\n  \
                    - { at: 1, event: app runs, then: [RUNNING] }\n";
        let results = play("scenario.yaml", text).unwrap();
        let as_expected: Vec<bool> = results.iter().map(StepResult::as_expected).collect();
        assert_eq!(as_expected, [false, true]);
        assert_eq!(results[0].found, "spawn app");
    }
}
