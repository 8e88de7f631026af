//! `assemble size`: explains a task's size and price.

use std::path::Path;

use assembly::{Prices, Sizing};
use clap::{Args, ValueEnum};

use super::check::is_task_definition;
use crate::arguments::{PriceArguments, ValueArguments};
use crate::documents;
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

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
    let sizing = sizing(arguments, project, &prices)?;
    ui.data(&match arguments.format {
        Format::Text => sizing.text(&prices),
        Format::Json => format!("{:#}\n", sizing.json(&prices)),
    });
    Ok(0)
}

fn sizing(arguments: &Arguments, project: &Project, prices: &Prices) -> Result<Sizing, CliError> {
    let file = Path::new(&arguments.what);
    if file.is_file() {
        let source = project.source(file)?;
        documents::require_definition(&source, "size")?;
        // A file may be a manifest too; its content decides.
        if is_task_definition(&source) {
            let located = task_definition::read(&source).map_err(CliError::Findings)?;
            let definition = &located.definition;
            return Ok(Sizing::from_definition(
                definition,
                &arguments.region,
                prices,
            ));
        }
    }
    let plan = project.plan(&arguments.what, &arguments.values, "example")?;
    Ok(Sizing::from_plan(&plan, prices))
}
