//! `assemble man`: the manual, made from the command line itself.

use std::fs;
use std::path::PathBuf;

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use task_definition::nearest;

use crate::cli::Cli;
use crate::failure::Failure;
use crate::talk::Talk;

/// Which page.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The verb whose page to print; the page of the whole command when left out.
    verb: Option<String>,
    /// Writes the pages of the command and of every verb into this folder.
    #[arg(long, value_name = "FOLDER", conflicts_with = "verb")]
    into: Option<PathBuf>,
}

/// Prints the page, or writes all.
pub(crate) fn run(arguments: &Arguments, talk: &Talk) -> Result<u8, Failure> {
    let mut command = Cli::command();
    command.build();
    if let Some(folder) = &arguments.into {
        write_all(&command, folder, talk)?;
        return Ok(0);
    }

    let wanted = match &arguments.verb {
        None => &command,
        Some(verb) => command.find_subcommand(verb).ok_or_else(|| {
            let verbs = command.get_subcommands().map(Command::get_name);
            let meant = nearest(verb, verbs).map(|meant| format!("; did you mean `{meant}`?"));
            Failure::Usage(format!(
                "there is no verb `{verb}`{}",
                meant.unwrap_or_default()
            ))
        })?,
    };

    talk.data(&page(wanted)?);
    Ok(0)
}

fn write_all(command: &Command, folder: &PathBuf, talk: &Talk) -> Result<(), Failure> {
    let failure = |path: PathBuf| {
        move |source| Failure::File {
            act: "write",
            path,
            source,
        }
    };

    fs::create_dir_all(folder).map_err(failure(folder.clone()))?;
    let mut pages = 0;
    for one in [command].into_iter().chain(command.get_subcommands()) {
        let path = folder.join(format!("{}.1", name(one)));
        fs::write(&path, page(one)?).map_err(failure(path))?;
        pages += 1;
    }

    talk.say(&format!("{pages} pages written into {}", folder.display()));
    Ok(())
}

fn page(command: &Command) -> Result<String, Failure> {
    let mut text = Vec::new();
    Man::new(command.clone())
        .title(name(command))
        .render(&mut text)
        .map_err(|error| Failure::Usage(format!("the page cannot be made: {error}")))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The name of a verb's page is `assemble-check`.
fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or(command.get_name())
}
