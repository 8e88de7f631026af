//! What the AWS verbs share: the definition meant, a connection, and a runtime to wait in.

use std::path::Path;

use ecs_client::Client;
use task_definition::{Severity, TaskDefinition};

use super::check::is_task_definition;
use crate::cli::ValueArguments;
use crate::failure::Failure;
use crate::project::Project;

/// The checked definition of an assembly, or of a task definition's file.
pub(crate) fn definition(
    what: &str,
    values: &ValueArguments,
    project: &Project,
) -> Result<TaskDefinition, Failure> {
    let file = Path::new(what);
    let plain = if file.is_file() {
        Some(project.source(file)?)
    } else {
        None
    };

    let Some(plain) = plain.filter(is_task_definition) else {
        return Ok(project.plan(what, values, "example")?.definition().clone());
    };
    let located = task_definition::read(&plain).map_err(Failure::Findings)?;
    let findings = task_definition::check(&located);

    if findings
        .iter()
        .any(|finding| finding.severity == Severity::Error)
    {
        return Err(Failure::Findings(findings));
    }

    Ok(located.definition)
}

/// Runs `work` against ECS as the environment describes it.
pub(crate) fn with_client<T>(
    work: impl AsyncFnOnce(Client) -> Result<T, ecs_client::Error>,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Usage(format!("no runtime could be made: {error}")))?;
    let outcome = runtime.block_on(async { work(Client::from_environment().await?).await });

    outcome.map_err(|error| {
        if error.is_remote() {
            Failure::Refused(error.to_string())
        } else {
            Failure::Usage(error.to_string())
        }
    })
}
