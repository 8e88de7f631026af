//! Sessions of Systems Manager: finds the container, starts a session, and hands it to the session-manager-plugin.
//!
//! The plugin has the protocol of the sessions; AWS publishes no other implementation for the command line. It is
//! called as the AWS CLI does.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use ecs_client::{
    ContainerTarget, Service, ServiceName, Session, TaskName, container_target, running_task,
};
use serde_json::json;

use super::{
    AwsArguments, Connection, DryRun, account_of, compare_account, is_on_aws, parse_task,
    with_connection,
};
use crate::error::CliError;
use crate::ui::Ui;

/// The task to reach.
#[derive(Debug)]
pub(crate) enum Reach {
    /// One of the running tasks of a service.
    Service(ServiceName),
    Task(TaskName),
}

impl Reach {
    /// Returns what is on AWS; `None` for a local run.
    pub(crate) fn new(
        service: Option<&ServiceName>,
        task: Option<&str>,
    ) -> Result<Option<Self>, CliError> {
        if let Some(service) = service {
            return Ok(Some(Self::Service(service.clone())));
        }
        match task.filter(|task| is_on_aws(task)) {
            Some(task) => {
                let name = parse_task(task);
                let name =
                    name.map_err(|error| CliError::Usage(format!("`--task {task}`: {error}")))?;
                Ok(Some(Self::Task(name)))
            }
            None => Ok(None),
        }
    }
}

/// Starts a session with a container and runs the plugin. Returns the exit code of the plugin.
pub(crate) fn run_session(
    reach: &Reach,
    container: &str,
    aws: &AwsArguments,
    ui: &Ui,
    start: impl AsyncFnOnce(&ContainerTarget, &Connection) -> Result<Session, CliError>,
) -> Result<u8, CliError> {
    // Before any call: a session without a plugin would stay open.
    let plugin = find_plugin()?;
    let mut command = with_connection(aws, &DryRun::default(), ui, async |connection| {
        let task = match reach {
            Reach::Task(task) => task.clone(),
            Reach::Service(service) => {
                compare_account(connection, &account_of(service)).await?;
                running_task(connection, service).await?
            }
        };
        let target = container_target(connection, &task, container).await?;
        ui.message(&format!("{} of task {}", container, task.task()));
        let session = start(&target, connection).await?;
        plugin_command(&plugin, &session, connection)
    })?;

    let status = command.status().map_err(|source| CliError::File {
        act: "run",
        path: plugin.clone(),
        source,
    })?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1))
}

fn find_plugin() -> Result<PathBuf, CliError> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .map(|folder| folder.join(PLUGIN))
        .find(|file| file.is_file());
    found.ok_or_else(|| {
        CliError::Usage(format!(
            "there is no `{PLUGIN}` in PATH, which sessions with containers on AWS need; install it: \
             https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html"
        ))
    })
}

/// Returns the command of the plugin, with the arguments that the AWS CLI passes.
fn plugin_command(
    plugin: &PathBuf,
    session: &Session,
    connection: &Connection,
) -> Result<Command, CliError> {
    let Connection::Aws(client) = connection else {
        return Err(CliError::Usage("a session needs AWS".to_owned()));
    };

    let mut command = Command::new(plugin);
    // The response has a token, and other users can see arguments; plugins since 1.2.497 read a variable instead.
    command.env(RESPONSE, session.response().to_string());
    command
        .arg(RESPONSE)
        .arg(client.region())
        .arg("StartSession")
        .arg(env::var("AWS_PROFILE").unwrap_or_default())
        .arg(json!({ "Target": session.target }).to_string())
        .arg(client.endpoint(Service::Ssm)?);
    Ok(command)
}

const PLUGIN: &str = "session-manager-plugin";
const RESPONSE: &str = "AWS_SSM_START_SESSION_RESPONSE";
