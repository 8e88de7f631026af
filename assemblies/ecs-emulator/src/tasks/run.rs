//! RunTask.

use std::time::SystemTime;

use serde_json::{Value, json};
use task_definition::{RunTask, Tag};

use super::document::{self, Tags};
use super::{Launch, Stop, overrides, providers};
use crate::api_error::ApiError;
use crate::clusters;
use crate::request::Call;
use crate::state::State;
use crate::tags;
use crate::task_definitions::{Revision, Status, compatibilities};
use crate::time::TimeFormat;

/// A token of RunTask that was used: the same call with it returns the same tasks.
#[derive(Debug)]
pub(super) struct UsedToken {
    pub(super) at: SystemTime,
    request: Value,
    tasks: Vec<String>,
}

/// `RunTask`.
pub(crate) fn run(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: RunTask = call.read_record("the request")?;
    let count = check(&input)?;
    let cluster = clusters::resolve(state, input.cluster.as_deref())?;
    let revision = find_definition(state, &input.task_definition)?.clone();
    check_network(&input, &revision)?;
    let overrides = input.overrides.clone().unwrap_or_default();
    overrides::check(&revision.definition, &overrides)?;
    let providers = choose_providers(state, &input, &cluster, &revision, count)?;

    // After the checks: an invalid call is an error with or without a token.
    if let Some(tasks) = find_token(state, &input, call)? {
        return Ok(response(state, &tasks, &[]));
    }

    // ECS starts as many tasks as it can place, and reports the others as failures.
    let free = state.max_tasks.saturating_sub(state.tasks.alive());
    let (mut started, mut failures) = (Vec::new(), Vec::new());
    for (index, provider) in providers.into_iter().enumerate() {
        if index >= free {
            failures.push(json!({ "reason": NO_CAPACITY }));
            continue;
        }
        let launch = Launch {
            cluster: cluster.clone(),
            definition: revision.definition.clone(),
            revision: revision.number,
            overrides: overrides.clone(),
            group: input
                .group
                .clone()
                .unwrap_or_else(|| format!("family:{}", revision.definition.family)),
            started_by: input.started_by.clone(),
            service: None,
            capacity_provider: provider,
            subnet: first_subnet(&input),
            tags: task_tags(&input, &revision)?,
            enable_execute_command: input.enable_execute_command == Some(true),
        };
        started.push(state.launch(launch, call.now));
    }

    // A call for which there was no capacity can be repeated with its token.
    if let Some(token) = input.client_token.filter(|_| !started.is_empty()) {
        let used = UsedToken {
            at: call.now,
            request: call.body().clone(),
            tasks: started.clone(),
        };
        state.tasks.tokens.insert(token, used);
    }
    Ok(response(state, &started, &failures))
}

/// Checks the fields that need no state. Returns the number of tasks.
fn check(input: &RunTask) -> Result<usize, ApiError> {
    let invalid = |message: &str| Err(ApiError::invalid_parameter(message));
    let is_longer = |text: &Option<String>, limit: usize| {
        text.as_ref()
            .is_some_and(|text| text.chars().count() > limit)
    };

    if is_longer(&input.started_by, 128) {
        return invalid("startedBy cannot be longer than 128 characters");
    }
    if is_longer(&input.client_token, 64) {
        return invalid("clientToken cannot be longer than 64 characters");
    }
    if is_longer(&input.reference_id, 1024) {
        return invalid("referenceId cannot be longer than 1024 characters");
    }
    if input
        .group
        .as_ref()
        .is_some_and(|group| group.starts_with("service:"))
    {
        return invalid(
            "the task group cannot start with 'service:', which is reserved for services",
        );
    }
    // EBS volumes have no local equivalent.
    if !input.volume_configurations.is_empty() {
        return Err(ApiError::from_unsupported_feature(
            "volumes that are configured at launch",
        ));
    }
    if !input.placement_constraints.is_empty() || !input.placement_strategy.is_empty() {
        return invalid(
            "Task placement constraints and strategies are not supported with Fargate.",
        );
    }
    match input.platform_version.as_deref() {
        None | Some("LATEST" | "1.4.0" | "1.3.0") => {}
        Some(version) => {
            let message =
                format!("The platform version '{version}' is unknown; use LATEST or 1.4.0");
            return Err(ApiError::new("PlatformUnknownException", message));
        }
    }

    tags::check(&input.tags)?;
    match input.count {
        None => Ok(1),
        Some(count @ 1..=10) => Ok(count as usize),
        Some(count) => invalid(&format!("count must be between 1 and 10, not {count}")),
    }
}

/// Finds the revision that a call names.
pub(crate) fn find_definition<'a>(state: &'a State, text: &str) -> Result<&'a Revision, ApiError> {
    match state.definitions.find(text, &state.owner)? {
        Some(revision) if revision.status == Status::Active => Ok(revision),
        Some(_) => Err(ApiError::client("TaskDefinition is inactive")),
        None => Err(ApiError::client("TaskDefinition not found.")),
    }
}

fn check_network(input: &RunTask, revision: &Revision) -> Result<(), ApiError> {
    let network = input
        .network_configuration
        .as_ref()
        .and_then(|network| network.awsvpc_configuration.as_ref());
    // Other network modes have no network configuration.
    let needs_network = revision.definition.network_mode.as_deref() == Some("awsvpc");
    match network {
        None if needs_network => Err(ApiError::invalid_parameter(
            "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
        )),
        Some(network) if network.subnets.is_empty() => {
            Err(ApiError::invalid_parameter("subnets can not be empty."))
        }
        Some(network) if network.subnets.len() > 16 || network.security_groups.len() > 5 => {
            Err(ApiError::invalid_parameter(
                "a network configuration has at most 16 subnets and 5 security groups",
            ))
        }
        _ => Ok(()),
    }
}

fn first_subnet(input: &RunTask) -> String {
    let network = input
        .network_configuration
        .as_ref()
        .and_then(|network| network.awsvpc_configuration.as_ref());
    network
        .and_then(|network| network.subnets.first().cloned())
        .unwrap_or_default()
}

/// Returns the capacity provider of each task; `None` with the launch type FARGATE.
fn choose_providers(
    state: &State,
    input: &RunTask,
    cluster: &str,
    revision: &Revision,
    count: usize,
) -> Result<Vec<Option<String>>, ApiError> {
    let strategy = &input.capacity_provider_strategy;
    let default = state
        .clusters
        .get(cluster)
        .map(|cluster| cluster.default_strategy.as_slice());
    let chosen = match (input.launch_type.as_deref(), strategy.as_slice()) {
        (Some(_), [_, ..]) => {
            return Err(ApiError::invalid_parameter(
                "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.",
            ));
        }
        (Some("FARGATE"), []) => vec![None; count],
        (None, [_, ..]) => providers::choose(strategy, count)?
            .into_iter()
            .map(Some)
            .collect(),
        (None, []) => match default {
            Some(default @ [_, ..]) => providers::choose(default, count)?
                .into_iter()
                .map(Some)
                .collect(),
            // Without either, ECS places the task on a container instance.
            _ => return Err(no_instances()),
        },
        (Some("EC2" | "EXTERNAL" | "MANAGED_INSTANCES"), []) => return Err(no_instances()),
        (Some(other), []) => {
            return Err(ApiError::invalid_parameter(format!(
                "unknown launch type '{other}'"
            )));
        }
    };

    if compatibilities(&revision.definition).contains(&"FARGATE") {
        return Ok(chosen);
    }
    Err(ApiError::invalid_parameter(
        "Task definition does not support launch_type FARGATE.",
    ))
}

pub(crate) fn no_instances() -> ApiError {
    ApiError::invalid_parameter(
        "No Container Instances were found in your cluster. The emulator has Fargate only: set the launch type FARGATE \
         or a capacity provider strategy.",
    )
}

/// Returns the tags of a task: those of the call, and with `propagateTags` those of the definition.
fn task_tags(input: &RunTask, revision: &Revision) -> Result<Vec<Tag>, ApiError> {
    let mut all = match input.propagate_tags.as_deref() {
        None | Some("NONE") => Vec::new(),
        Some("TASK_DEFINITION") => revision.tags.clone(),
        Some(_) => {
            return Err(ApiError::invalid_parameter(
                "propagateTags of a standalone task must be TASK_DEFINITION or NONE",
            ));
        }
    };
    // A tag of the call replaces one of the definition with the same key.
    tags::merge(&mut all, input.tags.clone());
    tags::check(&all)?;
    Ok(all)
}

/// Returns the tasks that an earlier call with the same token started.
fn find_token(
    state: &State,
    input: &RunTask,
    call: &Call,
) -> Result<Option<Vec<String>>, ApiError> {
    let used = input
        .client_token
        .as_ref()
        .and_then(|token| state.tasks.tokens.get(token));
    let Some(used) = used else {
        return Ok(None);
    };

    // The whole request is compared, as ECS does: the token is for one set of parameters.
    if used.request == *call.body() {
        return Ok(Some(used.tasks.clone()));
    }
    let arns = used.tasks.iter().filter_map(|id| state.tasks.by_id.get(id));
    let arns: Vec<String> = arns.map(|task| document::arn(task, &state.owner)).collect();
    // The exception names the tasks of the earlier call.
    let message = "The request conflicts with an earlier one that has the same clientToken and other parameters.";
    Err(ApiError::new("ConflictException", message).with_member("resourceIds", json!(arns)))
}

fn response(state: &State, ids: &[String], failures: &[Value]) -> Value {
    let tasks = ids.iter().filter_map(|id| state.tasks.by_id.get(id));
    let tasks =
        tasks.map(|task| document::to_json(task, &state.owner, TimeFormat::Seconds, Tags::Include));
    json!({ "tasks": tasks.collect::<Vec<_>>(), "failures": failures })
}

/// Returns the response to a call of RunTask for which there is no capacity.
pub(crate) fn no_capacity() -> Value {
    json!({ "tasks": [], "failures": [{ "reason": NO_CAPACITY }] })
}

impl Stop {
    /// Creates a stop with a code of ECS and a reason.
    pub(crate) fn new(code: &str, reason: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            reason: reason.into(),
        }
    }
}

/// The failure of ECS when Fargate has no capacity.
const NO_CAPACITY: &str = "Capacity is unavailable at this time. Please try again later or in a different availability zone";
