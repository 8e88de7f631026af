//! `assemble man`: manual pages, generated from the command line definition.

use std::fs;
use std::path::PathBuf;

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use diagnostics::nearest;

use crate::cli::Cli;
use crate::error::CliError;
use crate::ui::Ui;

/// Arguments of `man`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Command to print the page of [default: the page of `assemble`].
    #[arg(value_name = "COMMAND")]
    verb: Option<String>,
    /// Write the pages of `assemble` and of all commands to this directory.
    #[arg(long, value_name = "DIR", conflicts_with = "verb")]
    output: Option<PathBuf>,
}

/// Prints one page or writes all of them.
pub(crate) fn run(arguments: &Arguments, ui: &Ui) -> Result<u8, CliError> {
    let mut command = Cli::command();
    // Builds the display names (`assemble-check`), which are the page names.
    command.build();
    if let Some(folder) = &arguments.output {
        write_all(&command, folder, ui)?;
        return Ok(0);
    }

    let selected = match &arguments.verb {
        None => &command,
        Some(verb) => command.find_subcommand(verb).ok_or_else(|| {
            let verbs = command.get_subcommands().map(Command::get_name);
            let meant = nearest(verb, verbs).map(|meant| format!("; did you mean `{meant}`?"));
            CliError::Usage(format!(
                "unknown command `{verb}`{}",
                meant.unwrap_or_default()
            ))
        })?,
    };

    ui.data(&page(selected)?);
    Ok(0)
}

fn write_all(command: &Command, folder: &PathBuf, ui: &Ui) -> Result<(), CliError> {
    let failure = |path: PathBuf| {
        move |source| CliError::File {
            act: "write",
            path,
            source,
        }
    };

    fs::create_dir_all(folder).map_err(failure(folder.clone()))?;
    let mut pages = 0;
    for command in [command].into_iter().chain(command.get_subcommands()) {
        let path = folder.join(format!("{}.1", name(command)));
        fs::write(&path, page(command)?).map_err(failure(path))?;
        pages += 1;
    }

    ui.message(&format!("wrote {pages} pages to {}", folder.display()));
    Ok(())
}

fn page(command: &Command) -> Result<String, CliError> {
    let mut text = Vec::new();
    Man::new(command.clone())
        .title(name(command))
        .render(&mut text)
        .map_err(|error| CliError::Usage(format!("cannot generate the page: {error}")))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Returns the name of a page: `assemble-check` for the verb `check`.
fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or(command.get_name())
}
