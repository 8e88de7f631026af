//! Shared by the AWS verbs: the task definition, the client, and the runtime.

use std::path::Path;

use diagnostics::Severity;
use ecs_client::Client;
use task_definition::TaskDefinition;

use super::check::is_task_definition;
use crate::arguments::ValueArguments;
use crate::error::CliError;
use crate::project::Project;
use crate::runtime;

/// Returns the task definition of an assembly, or of a file, after checking it.
pub(crate) fn definition(
    what: &str,
    values: &ValueArguments,
    project: &Project,
) -> Result<TaskDefinition, CliError> {
    let file = Path::new(what);
    let plain = if file.is_file() {
        Some(project.source(file)?)
    } else {
        None
    };

    let Some(plain) = plain.filter(is_task_definition) else {
        return Ok(project.plan(what, values, "example")?.definition().clone());
    };
    let located = task_definition::read(&plain).map_err(CliError::Findings)?;
    let findings = ecs_rules::check_with(&located, &project.catalog()?.image_facts());

    if findings
        .iter()
        .any(|finding| finding.severity == Severity::Error)
    {
        return Err(CliError::Findings(findings));
    }

    Ok(located.definition)
}

/// Runs `work` with a client configured from the environment.
pub(crate) fn with_client<T>(
    work: impl AsyncFnOnce(Client) -> Result<T, ecs_client::Error>,
) -> Result<T, CliError> {
    let outcome = runtime::new()?.block_on(async { work(Client::from_environment().await?).await });

    outcome.map_err(|error| {
        // Exit code 3 is for what the remote side refused; a missing credential or region is a usage error.
        if error.is_remote() {
            CliError::Refused(error.to_string())
        } else {
            CliError::Usage(error.to_string())
        }
    })
}
