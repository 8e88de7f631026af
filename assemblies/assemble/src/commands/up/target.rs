//! Reads what to run: an assembly or a task definition.

use std::path::Path;

use diagnostics::source;
use local::Target;

use super::{Arguments, Output};
use crate::error::CliError;
use crate::project::Project;

/// Reads the task definition or assembly given as argument.
pub(super) fn find(
    arguments: &Arguments,
    project: &Project,
    output: &Output,
) -> Result<Target, CliError> {
    let path = Path::new(&arguments.what);
    if path.is_file() {
        let text = project.source(path)?;
        let node = source::parse(&text).map_err(CliError::Findings)?;
        // A manifest is a file too, but has no containers.
        if node.get("containerDefinitions").is_some() {
            let located = task_definition::read(&text).map_err(CliError::Findings)?;
            let catalog = project.catalog()?;
            return Ok(Target::from_definition(
                located, &text.name, &catalog, output,
            )?);
        }
    }

    let plan = project.plan(&arguments.what, &arguments.values, "local")?;
    for warning in plan.warnings() {
        output
            .ui
            .message(warning.render(diagnostics::Color::No).trim_end());
    }

    let values = project.values(&arguments.values, "local")?;
    Ok(Target::from_plan(&plan, values.get("region")))
}
