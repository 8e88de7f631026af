//! The output of the containers of a service or a task, from CloudWatch Logs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use task_definition::TaskDefinition;

use crate::api::{Api, Call, Operation};
use crate::deploy::{ServiceName, TaskName, describe_service};
use crate::error::Error;
use crate::register::latest;
use crate::run::log_stream;
use crate::target::describe_task;

/// Reads the output of containers.
#[derive(Debug)]
pub struct LogReader {
    sources: Vec<Source>,
    containers: Vec<String>,
    /// The time to read from, in milliseconds since 1970.
    from: u64,
    /// The ids of the events that were returned, by their time.
    seen: BTreeMap<u64, BTreeSet<String>>,
}

/// A line of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it was written, in milliseconds since 1970.
    pub time: u64,
    /// The id of the task.
    pub task: String,
    /// The name of the container.
    pub container: String,
    /// The line.
    pub text: String,
}

/// The streams of one container.
#[derive(Debug)]
struct Source {
    container: String,
    group: String,
    streams: Streams,
}

#[derive(Debug)]
enum Streams {
    /// Those of all tasks: the start of their names.
    Prefix(String),
    /// That of one task.
    Name(String),
}

impl LogReader {
    /// Reads the output of the tasks of a service, with the log configuration of its revision.
    pub async fn of_service(api: &impl Api, name: &ServiceName, since: u64) -> Result<Self, Error> {
        let service = describe_service(api, name).await?;
        let definition = definition(api, service.revision()).await?;
        Self::new(&definition, None, since)
    }

    /// Reads the output of one task.
    pub async fn of_task(api: &impl Api, name: &TaskName, since: u64) -> Result<Self, Error> {
        let task = describe_task(api, name).await?;
        let revision = task["taskDefinitionArn"].as_str().unwrap_or_default();
        let definition = definition(api, revision).await?;
        Self::new(&definition, Some(name.task()), since)
    }

    fn new(definition: &TaskDefinition, task: Option<&str>, since: u64) -> Result<Self, Error> {
        let all = definition.container_definitions.iter();
        let sources: Vec<_> = all
            .filter_map(|container| {
                let (group, stream) = log_stream(container, task.unwrap_or_default())?;
                Some(Source {
                    container: container.name.clone(),
                    group,
                    // Without a task the name ends with a slash.
                    streams: match task {
                        Some(_) => Streams::Name(stream),
                        None => Streams::Prefix(stream),
                    },
                })
            })
            .collect();

        if sources.is_empty() {
            return Err(Error::InvalidRequest(format!(
                "no container of `{}` has the log driver awslogs with a stream prefix, which is needed to find its output",
                definition.family
            )));
        }
        Ok(Self {
            sources,
            containers: definition
                .container_definitions
                .iter()
                .map(|container| container.name.clone())
                .collect(),
            from: since,
            seen: BTreeMap::new(),
        })
    }

    /// Returns the names of the containers whose output can be read.
    pub fn containers(&self) -> Vec<&str> {
        let names = self.sources.iter();
        names.map(|source| source.container.as_str()).collect()
    }

    /// Reads only one container.
    pub fn only(&mut self, container: &str) -> Result<(), Error> {
        self.sources.retain(|source| source.container == container);
        if !self.sources.is_empty() {
            return Ok(());
        }
        let is_known = self.containers.iter().any(|name| name == container);
        Err(Error::InvalidRequest(if is_known {
            format!(
                "the output of `{container}` does not go to CloudWatch Logs (log driver awslogs with a stream prefix)"
            )
        } else {
            format!(
                "there is no container `{container}`; there are {}",
                self.containers.join(", ")
            )
        }))
    }

    /// Returns the lines since the last call, sorted by time.
    pub async fn read(&mut self, api: &impl Api) -> Result<Vec<LogLine>, Error> {
        let mut lines = Vec::new();
        for source in &self.sources {
            for event in source.events(api, self.from).await? {
                let time = event["timestamp"].as_u64().unwrap_or_default();
                let id = event["eventId"].as_str().unwrap_or_default().to_owned();
                if self.seen.entry(time).or_default().insert(id) {
                    lines.push(source.line(time, &event));
                }
            }
        }

        // Lines arrive some seconds late and not in order, so the last minute is read again.
        if let Some((&newest, _)) = self.seen.last_key_value() {
            self.from = self.from.max(newest.saturating_sub(LATE));
            self.seen = self.seen.split_off(&self.from);
        }
        lines.sort_by_key(|line| line.time);
        Ok(lines)
    }
}

impl Source {
    async fn events(&self, api: &impl Api, from: u64) -> Result<Vec<Value>, Error> {
        let mut body = json!({ "logGroupName": self.group, "startTime": from });
        match &self.streams {
            Streams::Prefix(prefix) => body["logStreamNamePrefix"] = prefix.as_str().into(),
            Streams::Name(name) => body["logStreamNames"] = json!([name]),
        }

        let mut events = Vec::new();
        for _ in 0..MAX_PAGES {
            let call = Call::new(Operation::FilterLogEvents, body.clone());
            let mut response = match api.call(&call).await {
                Ok(response) => response,
                // The stream is created with the first line of output.
                Err(error) if self.is_not_yet_there(&error) => break,
                Err(error) => return Err(error),
            };
            if let Value::Array(page) = response["events"].take() {
                events.extend(page);
            }
            // A page with the token of the page before it would never end.
            let next = response["nextToken"].take();
            if next.is_null() || next == body["nextToken"] {
                break;
            }
            body["nextToken"] = next;
        }
        Ok(events)
    }

    fn is_not_yet_there(&self, error: &Error) -> bool {
        matches!(self.streams, Streams::Name(_))
            && matches!(error, Error::Refused { code, message, .. }
                if code == "ResourceNotFoundException" && message.contains("stream"))
    }

    fn line(&self, time: u64, event: &Value) -> LogLine {
        let stream = event["logStreamName"].as_str().unwrap_or_default();
        LogLine {
            time,
            task: stream.rsplit('/').next().unwrap_or_default().to_owned(),
            container: self.container.clone(),
            text: event["message"]
                .as_str()
                .unwrap_or_default()
                .trim_end_matches('\n')
                .to_owned(),
        }
    }
}

async fn definition(api: &impl Api, revision: &str) -> Result<TaskDefinition, Error> {
    let found = latest(api, revision).await?;
    found.ok_or_else(|| Error::InvalidRequest(format!("there is no task definition {revision}")))
}

/// How late a line may arrive, in milliseconds.
const LATE: u64 = 60_000;
/// Up to 10,000 events each (FilterLogEvents); the rest follows with the next call.
const MAX_PAGES: usize = 20;
