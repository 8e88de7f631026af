//! `assemble size`: what makes a task as large as it is, what it costs, and what would make it cheaper.

use std::path::Path;

use assembly::{Prices, Sizing};
use clap::{Args, ValueEnum};

use super::check::is_task_definition;
use crate::cli::{PriceArguments, ValueArguments};
use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;

/// Of what.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// An assembly's name or file, or a task definition's file.
    #[arg(value_name = "NAME|FILE")]
    what: String,
    /// How to print it.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// The region of a plain task definition.
    #[arg(long, default_value = "us-east-1")]
    region: String,
    #[command(flatten)]
    values: ValueArguments,
    #[command(flatten)]
    prices: PriceArguments,
}

/// How a size is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Prints the size.
pub(crate) fn run(arguments: &Arguments, project: &Project, talk: &Talk) -> Result<u8, Failure> {
    let prices = project.prices(&arguments.prices)?;
    let sizing = sizing(arguments, project, &prices)?;
    talk.data(&match arguments.format {
        Format::Text => sizing.text(&prices),
        Format::Json => format!("{:#}\n", sizing.json(&prices)),
    });
    Ok(0)
}

fn sizing(arguments: &Arguments, project: &Project, prices: &Prices) -> Result<Sizing, Failure> {
    let file = Path::new(&arguments.what);
    if file.is_file() {
        let source = project.source(file)?;
        if is_task_definition(&source) {
            let located = task_definition::read(&source).map_err(Failure::Findings)?;
            let definition = &located.definition;
            return Ok(Sizing::of_definition(definition, &arguments.region, prices));
        }
    }
    let plan = project.plan(&arguments.what, &arguments.values, "example")?;
    Ok(Sizing::of_plan(&plan, prices))
}
