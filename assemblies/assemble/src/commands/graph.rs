//! `assemble graph`: the picture of an assembly, or of anybody's task definition.

use std::path::Path;

use assembly::Prices;
use assembly::graph::{Letters, Picture, mermaid, svg, text};
use assembly::prices::Billed;
use clap::{Args, ValueEnum};
use task_definition::TaskDefinition;

use super::check::is_task_definition;
use crate::cli::{PriceArguments, ValueArguments};
use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;

/// What to draw.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The assembly, by name or file; or a task definition.
    name: String,
    /// As what.
    #[arg(long, value_enum, default_value = "mermaid")]
    format: Format,
    #[command(flatten)]
    values: ValueArguments,
    #[command(flatten)]
    prices: PriceArguments,
}

/// The language of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Text that GitHub and others draw.
    Mermaid,
    /// A picture.
    Svg,
    /// Letters and lines, for a terminal.
    Text,
    /// The same in ASCII alone.
    Ascii,
}

/// Prints the picture.
pub(crate) fn run(arguments: &Arguments, project: &Project, talk: &Talk) -> Result<u8, Failure> {
    let picture = picture(arguments, project)?;
    talk.data(&match arguments.format {
        Format::Mermaid => mermaid(&picture),
        Format::Svg => svg(&picture),
        Format::Text => text(&picture, Letters::Unicode),
        Format::Ascii => text(&picture, Letters::Ascii),
    });
    Ok(0)
}

/// A definition is drawn as it stands, whatever rules it breaks.
fn picture(arguments: &Arguments, project: &Project) -> Result<Picture, Failure> {
    let path = Path::new(&arguments.name);
    if path.is_file() {
        let source = project.source(path)?;
        if is_task_definition(&source) {
            let located = task_definition::read(&source).map_err(Failure::Findings)?;
            return Ok(plain(
                &located.definition,
                &project.prices(&arguments.prices)?,
            ));
        }
    }

    let plan = project.plan(&arguments.name, &arguments.values, "example")?;
    Ok(Picture::from(
        &plan.priced(&project.prices(&arguments.prices)?),
    ))
}

/// Only Fargate has a price for a task; a definition says no region, so it is the table's usual one.
fn plain(definition: &TaskDefinition, prices: &Prices) -> Picture {
    let picture = Picture::from(definition);
    let billed = Billed::of(definition);
    let price = prices.of(billed, "us-east-1");
    match price.filter(|_| definition.is_fargate() && billed.size.cpu > 0) {
        Some(price) => picture.priced(&price),
        None => picture,
    }
}
