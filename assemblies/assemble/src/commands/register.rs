//! `assemble register`: makes a definition the next revision of its family.

use clap::Args;
use ecs_client::Comparison;

use super::remote;
use crate::cli::ValueArguments;
use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;

/// What to register.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// An assembly's name or file, or a task definition's file.
    what: String,
    /// Registers a revision even where nothing changed.
    #[arg(long)]
    always: bool,
    #[command(flatten)]
    values: ValueArguments,
}

/// Registers, and prints the revision's ARN.
pub(crate) fn run(arguments: &Arguments, project: &Project, talk: &Talk) -> Result<u8, Failure> {
    let definition = remote::definition(&arguments.what, &arguments.values, project)?;
    let revision = remote::with_client(async |client| {
        let same = || async { ecs_client::difference(&client, &definition).await };
        if !arguments.always && same().await? == Comparison::Same {
            return Ok(None);
        }
        ecs_client::register(&client, &definition).await.map(Some)
    })?;

    match revision {
        Some(revision) => talk.data(&format!("{}\n", revision.arn)),
        None => talk.say(&format!(
            "`{}` is registered as it is; nothing was done (`--always` registers it again)",
            definition.family
        )),
    }

    Ok(0)
}
