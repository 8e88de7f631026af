//! DescribeTasks and ListTasks.

use serde::Deserialize;
use serde_json::{Value, json};

use super::document::{self, Tags};
use super::{Task, to_json};
use crate::api_error::ApiError;
use crate::clusters;
use crate::page::{Order, PageRequest};
use crate::request::Call;
use crate::state::State;
use crate::time::TimeFormat;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DescribeTasks {
    cluster: Option<String>,
    tasks: Vec<String>,
    #[serde(default)]
    include: Vec<String>,
}

/// `DescribeTasks`.
pub(crate) fn describe(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: DescribeTasks = call.read()?;
    let cluster = clusters::resolve(state, input.cluster.as_deref())?;
    if input.tasks.is_empty() {
        return Err(ApiError::invalid_parameter("Tasks cannot be empty."));
    }
    // The limit of the API.
    if input.tasks.len() > 100 {
        return Err(ApiError::invalid_parameter(
            "Tasks cannot have more than 100 items.",
        ));
    }

    let tags = if input.include.iter().any(|field| field == "TAGS") {
        Tags::Include
    } else {
        Tags::Omit
    };

    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for text in &input.tasks {
        match find(state, &cluster, text)? {
            Some(task) => found.push(to_json(task, &state.owner, TimeFormat::Seconds, tags)),
            None => failures.push(missing(state, &cluster, text)),
        }
    }
    Ok(json!({ "tasks": found, "failures": failures }))
}

/// Finds a task of a cluster by its id or ARN.
pub(super) fn find<'a>(
    state: &'a State,
    cluster: &str,
    text: &str,
) -> Result<Option<&'a Task>, ApiError> {
    let name = state.owner.resource(text, "task")?;
    // `CLUSTER/ID`, the form of ARNs since 2018, or the id alone.
    let id = match name.split_once('/') {
        Some((other, _)) if other != cluster => {
            return Err(ApiError::invalid_parameter(format!(
                "Invalid identifier: Identifier is for cluster {other}. Your cluster is {cluster}"
            )));
        }
        Some((_, id)) => id,
        None => name,
    };

    Ok(state
        .tasks
        .by_id
        .get(id)
        .filter(|task| task.launch.cluster == cluster))
}

/// Returns the failure for a task that does not exist.
pub(super) fn missing(state: &State, cluster: &str, text: &str) -> Value {
    let arn = if text.starts_with("arn:") {
        text.to_owned()
    } else {
        state.owner.arn(&format!("task/{cluster}/{text}"))
    };
    json!({ "arn": arn, "reason": "MISSING" })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListTasks {
    cluster: Option<String>,
    container_instance: Option<String>,
    family: Option<String>,
    next_token: Option<String>,
    max_results: Option<i64>,
    started_by: Option<String>,
    service_name: Option<String>,
    desired_status: Option<String>,
    launch_type: Option<String>,
    daemon_name: Option<String>,
}

/// `ListTasks`: tasks with the desired status RUNNING, unless the call asks for others.
pub(crate) fn list(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: ListTasks = call.read()?;
    let cluster = clusters::resolve(state, input.cluster.as_deref())?;
    let filters = [&input.started_by, &input.service_name, &input.family];
    if input.started_by.is_some() && filters.iter().filter(|filter| filter.is_some()).count() > 1 {
        return Err(ApiError::invalid_parameter(
            "startedBy cannot be combined with another filter",
        ));
    }
    let is_wanted = match input.desired_status.as_deref() {
        None | Some("RUNNING") => true,
        Some("STOPPED") => false,
        // ECS accepts it and finds nothing: no task has the desired status PENDING.
        Some("PENDING") => return Ok(json!({ "taskArns": [] })),
        Some(other) => {
            return Err(ApiError::invalid_parameter(format!(
                "unknown desiredStatus '{other}'"
            )));
        }
    };

    let elsewhere = input
        .launch_type
        .as_deref()
        .is_some_and(|kind| kind != "FARGATE");
    if elsewhere || input.container_instance.is_some() || input.daemon_name.is_some() {
        return Ok(json!({ "taskArns": [] }));
    }

    let service = input
        .service_name
        .as_deref()
        .map(|text| text.rsplit('/').next().unwrap_or(text));
    let has = |filter: Option<&str>, value: Option<&str>| {
        filter.is_none_or(|filter| value == Some(filter))
    };

    let is_listed = |task: &&Task| {
        task.launch.cluster == cluster
            && task.is_wanted() == is_wanted
            && has(input.family.as_deref(), Some(&task.definition.family))
            && has(
                input.started_by.as_deref(),
                task.launch.started_by.as_deref(),
            )
            && has(service, task.launch.service.as_deref())
    };

    let mut listed: Vec<&Task> = state.tasks.by_id.values().filter(is_listed).collect();
    // By age: ids are random.
    listed.sort_by_key(|task| task.number);

    let item = |task: &Task| {
        (
            format!("{:020}", task.number),
            document::arn(task, &state.owner),
        )
    };

    let request = PageRequest {
        max_results: input.max_results,
        next_token: input.next_token.as_deref(),
        order: Order::Ascending,
    };

    Ok(request
        .cut(listed.into_iter().map(item))?
        .to_json("taskArns"))
}

/// `ListContainerInstances`: Fargate has none.
pub(crate) fn list_container_instances(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    clusters::resolve(state, call.body()["cluster"].as_str())?;
    Ok(json!({ "containerInstanceArns": [] }))
}
