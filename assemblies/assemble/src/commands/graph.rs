//! `assemble graph`: the picture of an assembly.

use clap::{Args, ValueEnum};

use crate::cli::{PriceArguments, ValueArguments};
use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;

/// What to draw.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The assembly, by name or file.
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
}

/// Prints the picture.
pub(crate) fn run(arguments: &Arguments, project: &Project, talk: &Talk) -> Result<u8, Failure> {
    let plan = project.plan(&arguments.name, &arguments.values, "example")?;
    let plan = plan.priced(&project.prices(&arguments.prices)?);
    talk.data(&match arguments.format {
        Format::Mermaid => assembly::graph::mermaid(&plan),
        Format::Svg => assembly::graph::svg(&plan),
    });
    Ok(0)
}
