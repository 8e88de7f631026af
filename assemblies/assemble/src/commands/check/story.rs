//! `check --timeline` of a story: what a task does when this and that happens to it, with nothing run.

use std::fmt::Write as _;

use serde_json::{Value, json};
use task_definition::source::{Source, parse};
use task_runner::{Story, Told};

use crate::failure::Failure;

/// A story that was played.
pub(super) struct Played {
    name: String,
    told: Vec<Told>,
}

impl Played {
    /// Plays a file, if it is a story.
    pub(super) fn of(source: &Source) -> Option<Result<Self, Failure>> {
        let node = parse(source).ok().filter(Story::is_one)?;
        let told = Story::read(&node).and_then(|story| story.play());
        let name = source.name.clone();
        Some(match told {
            Ok(told) => Ok(Self { name, told }),
            Err(why) => Err(Failure::Usage(format!("`{name}`: {why}"))),
        })
    }

    /// Whether it went as it is told.
    pub(super) fn as_expected(&self) -> bool {
        self.told.iter().all(Told::as_expected)
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n\n", self.name);
        let width = self.told.iter().map(|one| one.event.chars().count()).max();
        let width = width.unwrap_or_default();

        for one in &self.told {
            let at = one.at.as_millis();
            let sign = if one.as_expected() { ' ' } else { '!' };
            let line = format!("{sign}{at:>8} ms  {:width$}  {}", one.event, one.found);
            let _ = writeln!(text, "{}", line.trim_end());

            if !one.as_expected() {
                let expected = if one.expected.is_empty() {
                    "nothing"
                } else {
                    &one.expected
                };
                let _ = writeln!(text, "{:15}{:width$}the story says: {expected}", "", "");
            }
        }

        text
    }

    pub(super) fn json(&self) -> Value {
        let moment = |one: &Told| json!({ "at": one.at.as_secs_f64(), "event": one.event, "then": one.found, "told": one.expected });
        let moments: Value = self.told.iter().map(moment).collect();
        json!({ "file": self.name, "asTold": self.as_expected(), "moments": moments })
    }
}
