//! `assemble diff`: what registering would change.

use clap::Args;
use ecs_client::Comparison;
use serde_json::Value;
use task_definition::Change;

use super::remote;
use crate::cli::ValueArguments;
use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;

/// What to compare with the latest revision of its family.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// An assembly's name or file, or a task definition's file.
    what: String,
    #[command(flatten)]
    values: ValueArguments,
}

/// Prints the changes; answers 1 when there are any.
pub(crate) fn run(arguments: &Arguments, project: &Project, talk: &Talk) -> Result<u8, Failure> {
    let definition = remote::definition(&arguments.what, &arguments.values, project)?;
    let comparison =
        remote::with_client(async |client| ecs_client::difference(&client, &definition).await)?;
    match comparison {
        Comparison::Same => talk.say("no difference"),
        Comparison::New => talk.say(&format!("`{}` was never registered", definition.family)),
        Comparison::Changed(changes) => {
            for change in &changes {
                talk.data(&lines(change));
            }
            return Ok(1);
        }
    }

    Ok(u8::from(comparison == Comparison::New))
}

/// The place, and what was and what is there.
fn lines(change: &Change) -> String {
    let line = |sign: char, value: &Option<Value>| {
        value
            .as_ref()
            .map(|value| format!("  {sign} {value}\n"))
            .unwrap_or_default()
    };

    format!(
        "{}\n{}{}",
        change.pointer,
        line('-', &change.before),
        line('+', &change.after)
    )
}
