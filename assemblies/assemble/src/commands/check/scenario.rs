//! `check --timeline` of a scenario file: simulates events in a task and compares them with what is expected.

use std::fmt::Write as _;

use diagnostics::source::{Source, parse};
use serde_json::{Value, json};
use task_runner::{Scenario, StepResult};

use crate::error::CliError;

/// The result of a scenario.
pub(super) struct ScenarioResult {
    name: String,
    steps: Vec<StepResult>,
}

impl ScenarioResult {
    /// Simulates a file, if it is a scenario.
    pub(super) fn from_source(source: &Source) -> Option<Result<Self, CliError>> {
        let node = parse(source).ok().filter(Scenario::is_scenario)?;
        let steps = Scenario::read(&node).and_then(|scenario| scenario.play());
        let name = source.name.clone();
        Some(match steps {
            Ok(steps) => Ok(Self { name, steps }),
            Err(why) => Err(CliError::Usage(format!("`{name}`: {why}"))),
        })
    }

    /// Returns whether every step matches.
    pub(super) fn as_expected(&self) -> bool {
        self.steps.iter().all(StepResult::as_expected)
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n\n", self.name);
        let width = self
            .steps
            .iter()
            .map(|step| step.event.chars().count())
            .max();
        let width = width.unwrap_or_default();

        for step in &self.steps {
            let at = step.at.as_millis();
            // The sign makes a failing step findable with grep.
            let sign = if step.as_expected() { ' ' } else { '!' };
            let line = format!("{sign}{at:>8} ms  {:width$}  {}", step.event, step.found);
            let _ = writeln!(text, "{}", line.trim_end());

            if !step.as_expected() {
                let expected = if step.expected.is_empty() {
                    "nothing"
                } else {
                    &step.expected
                };
                let _ = writeln!(text, "{:15}{:width$}expected: {expected}", "", "");
            }
        }

        text
    }

    pub(super) fn json(&self) -> Value {
        let step = |step: &StepResult| json!({ "at": step.at.as_secs_f64(), "event": step.event, "actual": step.found, "expected": step.expected });
        let steps: Value = self.steps.iter().map(step).collect();
        json!({ "file": self.name, "passed": self.as_expected(), "steps": steps })
    }
}
