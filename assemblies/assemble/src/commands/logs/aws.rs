//! The output of a service or a task on AWS, from CloudWatch Logs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ecs_client::{LogLine, LogReader, ServiceName, TaskName};
use tokio::time::sleep;

use super::Arguments;
use crate::commands::remote::{self, Connection, DryRun};
use crate::error::CliError;
use crate::ui::Ui;

/// What to show the output of.
#[derive(Debug)]
pub(super) enum Source {
    Service(ServiceName),
    Task(TaskName),
}

/// Returns what is on AWS; `None` for a local run.
pub(super) fn source(arguments: &Arguments) -> Result<Option<Source>, CliError> {
    if let Some(service) = &arguments.service {
        return Ok(Some(Source::Service(service.clone())));
    }
    let task = arguments.task.as_deref();
    match task.filter(|task| remote::is_on_aws(task)) {
        Some(task) => Ok(Some(Source::Task(remote::parse_task(task).map_err(
            |error| CliError::Usage(format!("`--task {task}`: {error}")),
        )?))),
        None => Ok(None),
    }
}

/// Prints the lines, sorted by time.
pub(super) fn run(arguments: &Arguments, source: &Source, ui: &Ui) -> Result<u8, CliError> {
    remote::with_connection(&arguments.aws, &DryRun::default(), ui, async |connection| {
        let mut reader = reader(arguments, source, connection).await?;
        if let Some(container) = &arguments.container {
            reader.only(container)?;
        }
        let format = Format::new(arguments, source, &reader);

        loop {
            match reader.read(connection).await {
                Ok(lines) => {
                    let lines: String = lines.iter().map(|line| format.line(line)).collect();
                    ui.data(&lines);
                }
                // A fault of AWS must not end what may have run for hours.
                Err(error) if arguments.follow && error.is_transient() => {
                    ui.message(&format!("{error}; trying again"));
                }
                Err(error) => return Err(error.into()),
            }
            if !arguments.follow {
                return Ok(0);
            }
            sleep(POLL_INTERVAL).await;
        }
    })
}

async fn reader(
    arguments: &Arguments,
    source: &Source,
    connection: &Connection,
) -> Result<LogReader, CliError> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let since = now.saturating_sub(arguments.since.unwrap_or(DEFAULT_SINCE));
    let since = u64::try_from(since.as_millis()).unwrap_or_default();
    Ok(match source {
        Source::Service(name) => LogReader::of_service(connection, name, since).await?,
        Source::Task(name) => LogReader::of_task(connection, name, since).await?,
    })
}

/// The format of the lines: as that of a local run, and with the start of the task's id for a service.
struct Format {
    has_task: bool,
    /// The width of the longest name; `None` for one container, whose lines have no name.
    width: Option<usize>,
}

impl Format {
    fn new(arguments: &Arguments, source: &Source, reader: &LogReader) -> Self {
        let names = reader.containers();
        let width = names.iter().map(|name| name.chars().count()).max();
        Self {
            has_task: matches!(source, Source::Service(_)),
            width: width.filter(|_| arguments.container.is_none()),
        }
    }

    fn line(&self, line: &LogLine) -> String {
        let LogLine {
            task,
            container,
            text,
            ..
        } = line;
        // The first characters of a task's id distinguish it in practice.
        let task = task.get(..8).unwrap_or(task);
        match (self.width, self.has_task) {
            (None, _) => format!("{text}\n"),
            (Some(width), false) => format!("{container:width$} | {text}\n"),
            (Some(width), true) => format!("{task} {container:width$} | {text}\n"),
        }
    }
}

const DEFAULT_SINCE: Duration = Duration::from_mins(10);
const POLL_INTERVAL: Duration = Duration::from_secs(2);
