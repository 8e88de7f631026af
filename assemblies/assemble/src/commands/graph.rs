//! `assemble graph`: draws an assembly or a task definition.

use std::path::Path;

use assembly::Prices;
use assembly::graph::{Charset, Diagram, mermaid, svg, text};
use assembly::prices::BilledResources;
use clap::{Args, ValueEnum};
use task_definition::TaskDefinition;

use super::check::is_task_definition;
use crate::arguments::{PriceArguments, ValueArguments};
use crate::documents;
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

/// Arguments of `graph`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Assembly by name or path, or a task definition's path.
    #[arg(value_name = "NAME|FILE")]
    name: String,
    /// Output format.
    #[arg(long, value_enum, default_value = "mermaid")]
    format: Format,
    #[command(flatten)]
    values: ValueArguments,
    #[command(flatten)]
    prices: PriceArguments,
}

/// A diagram format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Mermaid, which GitHub and others render.
    Mermaid,
    /// SVG.
    Svg,
    /// Box-drawing characters, for a terminal.
    Text,
    /// The same with ASCII characters only.
    Ascii,
}

/// Prints the diagram.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let diagram = diagram(arguments, project)?;
    ui.data(&match arguments.format {
        Format::Mermaid => mermaid(&diagram),
        Format::Svg => svg(&diagram),
        Format::Text => text(&diagram, Charset::Unicode),
        Format::Ascii => text(&diagram, Charset::Ascii),
    });
    Ok(0)
}

/// Returns the diagram of an assembly or of a task definition. A definition is drawn whatever rules it breaks.
fn diagram(arguments: &Arguments, project: &Project) -> Result<Diagram, CliError> {
    let path = Path::new(&arguments.name);
    if path.is_file() {
        // A file may be a manifest too; its content decides.
        let source = project.source(path)?;
        documents::require_definition(&source, "graph")?;
        if is_task_definition(&source) {
            let located = task_definition::read(&source).map_err(CliError::Findings)?;
            return Ok(definition_diagram(
                &located.definition,
                &project.prices(&arguments.prices)?,
            ));
        }
    }

    let plan = project.plan(&arguments.name, &arguments.values, "example")?;
    Ok(Diagram::from(
        &plan.with_prices(&project.prices(&arguments.prices)?),
    ))
}

/// Returns the diagram of a task definition with its price. A definition has no region, so the price is the
/// price table's default region's.
fn definition_diagram(definition: &TaskDefinition, prices: &Prices) -> Diagram {
    let diagram = Diagram::from(definition);
    let billed = BilledResources::from_definition(definition);
    let price = prices.price(billed, "us-east-1");
    // Prices are for Fargate only, and a definition without a size has none.
    match price.filter(|_| definition.is_fargate() && billed.size.cpu > 0) {
        Some(price) => diagram.with_price(&price),
        None => diagram,
    }
}
