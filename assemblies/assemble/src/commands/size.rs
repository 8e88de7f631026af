//! `assemble size`: explains a task's size and price.

use std::path::Path;

use assembly::{Prices, Sizing};
use clap::{Args, ValueEnum};
use task_definition::TaskDefinition;

use super::check::is_task_definition;
use crate::arguments::{PriceArguments, ValueArguments};
use crate::documents;
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

#[cfg(feature = "lock")]
mod images;

/// Arguments of `size`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Assembly by name or path, or a task definition's path.
    #[arg(value_name = "NAME|FILE")]
    what: String,
    /// Output format.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Region to price a task definition for; an assembly has one in its values.
    #[arg(long, default_value = "us-east-1")]
    region: String,
    /// Show how many images the task pulls, and their size: of layouts in `.assemble/images`, else of registries.
    #[cfg(feature = "lock")]
    #[arg(long)]
    images: bool,
    #[command(flatten)]
    values: ValueArguments,
    #[command(flatten)]
    prices: PriceArguments,
}

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Prints the size.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let prices = project.prices(&arguments.prices)?;
    let (sizing, definition) = sizing(arguments, project, &prices)?;
    let output = (sizing.text(&prices), sizing.json(&prices));
    #[cfg(feature = "lock")]
    let output = if arguments.images {
        let images = images::PulledImages::read(&definition, project, ui)?;
        images.add_to(output)
    } else {
        output
    };
    #[cfg(not(feature = "lock"))]
    drop(definition);
    let (text, json) = output;

    ui.data(&match arguments.format {
        Format::Text => text,
        Format::Json => format!("{json:#}\n"),
    });
    Ok(0)
}

fn sizing(
    arguments: &Arguments,
    project: &Project,
    prices: &Prices,
) -> Result<(Sizing, TaskDefinition), CliError> {
    let file = Path::new(&arguments.what);
    if file.is_file() {
        let source = project.source(file)?;
        documents::require_definition(&source, "size")?;
        // A file may be a manifest too; its content decides.
        if is_task_definition(&source) {
            let located = task_definition::read(&source).map_err(CliError::Findings)?;
            let definition = located.definition;
            let sizing = Sizing::from_definition(&definition, &arguments.region, prices);
            return Ok((sizing, definition));
        }
    }
    let plan = project.plan(&arguments.what, &arguments.values, "example")?;
    Ok((Sizing::from_plan(&plan, prices), plan.definition().clone()))
}
