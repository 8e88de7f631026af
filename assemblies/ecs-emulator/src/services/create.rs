//! CreateService.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::SystemTime;

use serde_json::{Map, Value, json};
use task_definition::Tag;

use super::settings::{Definition, Settings};
use super::{Key, Revision, Service, Status, document, random_deployment_id, random_number};
use crate::api_error::ApiError;
use crate::clusters;
use crate::deployment::{Event, Scheduler, Timing};
use crate::request::Call;
use crate::state::State;
use crate::{tags, tasks};

/// `CreateService`. The same client token with the same request returns the service that exists.
pub(crate) fn create(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let mut fields = call.body().as_object().cloned().unwrap_or_default();
    let cluster = clusters::resolve(state, fields.get("cluster").and_then(Value::as_str))?;
    let tags = read_tags(&fields)?;
    let token = fields
        .get("clientToken")
        .and_then(Value::as_str)
        .map(str::to_owned);

    complete(&mut fields, state, &cluster)?;
    let settings = Settings::new(fields)?;
    let key: Key = (cluster.clone(), settings.input.service_name.clone());
    // Before the definition is looked up, which may have been deregistered since.
    if let Some(existing) = find_repeated(state, &key, token.as_deref(), call.body())? {
        return Ok(json!({ "service": existing }));
    }

    let definition = settings.find_definition(state)?;
    make_room(state)?;
    let service = Service {
        cluster,
        name: key.1.clone(),
        status: Status::Active,
        created: call.now,
        scheduler: Scheduler::new(
            settings.desired_count(),
            Timing::new(state.options.time_scale),
        ),
        settings,
        tags,
        token: token.map(|token| (token, call.body().clone())),
        revisions: BTreeMap::new(),
        deployment_ids: BTreeMap::new(),
        tasks: BTreeMap::new(),
        messages: VecDeque::new(),
        routes: Vec::new(),
        route_count: 0,
    };

    state.services.by_key.insert(key.clone(), service);
    deploy(state, &key, definition, call.now);

    Ok(json!({ "service": document::with_tags(state, &key) }))
}

/// Adds what a service needs and the caller may omit.
fn complete(fields: &mut Map<String, Value>, state: &State, cluster: &str) -> Result<(), ApiError> {
    if !fields.contains_key("desiredCount") {
        return Err(ApiError::invalid_parameter(
            "desiredCount is required for REPLICA services.",
        ));
    }

    if !fields.contains_key("launchType") && !fields.contains_key("capacityProviderStrategy") {
        fields.insert(
            "capacityProviderStrategy".to_owned(),
            default_strategy(state, cluster)?,
        );
    }

    Ok(())
}

fn make_room(state: &mut State) -> Result<(), ApiError> {
    if state.services.by_key.len() >= MAX_SERVICES {
        state
            .services
            .by_key
            .retain(|_, service| service.status != Status::Inactive);
    }

    if state.services.by_key.len() >= MAX_SERVICES {
        let message = format!("the emulator has at most {MAX_SERVICES} services; restart it");
        return Err(ApiError::client(message));
    }

    Ok(())
}

/// Returns the strategy of the cluster. Without one, a service of ECS would wait for instances for ever.
fn default_strategy(state: &State, cluster: &str) -> Result<Value, ApiError> {
    let strategy = state
        .clusters
        .get(cluster)
        .map(|cluster| &cluster.default_strategy);
    match strategy {
        Some(items) if !items.is_empty() => Ok(json!(items)),
        _ => Err(tasks::no_instances()),
    }
}

fn read_tags(fields: &Map<String, Value>) -> Result<Vec<Tag>, ApiError> {
    let tags = fields.get("tags").cloned().unwrap_or_else(|| json!([]));
    let tags: Vec<Tag> = serde_json::from_value(tags)
        .map_err(|why| ApiError::new("SerializationException", format!("/tags: {why}")))?;
    tags::check(&tags)?;
    Ok(tags)
}

/// Returns the service that an earlier call with this token has created. Another call for a service that exists is
/// an error.
fn find_repeated(
    state: &State,
    key: &Key,
    token: Option<&str>,
    body: &Value,
) -> Result<Option<Value>, ApiError> {
    let Some(service) = state.services.by_key.get(key) else {
        return Ok(None);
    };

    let is_same = service
        .token
        .as_ref()
        .is_some_and(|(own, request)| Some(own.as_str()) == token && request == body);
    match service.status {
        Status::Inactive => Ok(None),
        Status::Active if is_same => Ok(Some(document::with_tags(state, key))),
        Status::Active => Err(ApiError::invalid_parameter(
            "Creation of service was not idempotent.",
        )),
        Status::Draining => Err(ApiError::invalid_parameter(
            "Unable to Start a service that is still Draining.",
        )),
    }
}

/// Creates a revision of the service's settings and deploys it.
pub(super) fn deploy(state: &mut State, key: &Key, definition: Definition, now: SystemTime) {
    let Some(service) = state.services.by_key.get_mut(key) else {
        return;
    };

    // Numbers are for the scheduler; the API has ids.
    let number = service
        .revisions
        .keys()
        .next_back()
        .map_or(1, |last| last + 1);
    let revision = Revision {
        id: random_number(),
        deployment_id: format!("ecs-svc/{}", random_number()),
        created: now,
        settings: service.settings.clone(),
        definition: definition.definition,
        definition_number: definition.number,
        definition_tags: definition.tags,
        definition_arn: definition.arn,
    };

    service.revisions.insert(number, revision);
    service.forget_old();

    let deployment = service
        .scheduler
        .deployments()
        .next_back()
        .map_or(1, |last| last.number + 1);
    service
        .deployment_ids
        .insert(deployment, random_deployment_id());
    // The configuration at this time: later changes are for later deployments.
    let config = service.settings.config.clone();
    state.send(
        key,
        Event::Deploy {
            revision: number,
            config,
        },
        now,
    );
}

impl Service {
    /// Forgets the oldest revisions that neither a known deployment nor a task needs.
    fn forget_old(&mut self) {
        let mut needed: BTreeSet<u64> = self.tasks.values().map(|task| task.revision).collect();
        let mut first = u64::MAX;
        for deployment in self.scheduler.deployments() {
            needed.insert(deployment.target);
            needed.extend(deployment.source);
            first = first.min(deployment.number);
        }
        // Its deployment has not begun yet.
        let newest = self.revisions.keys().next_back().copied();
        self.revisions
            .retain(|number, _| needed.contains(number) || Some(*number) == newest);
        self.deployment_ids.retain(|number, _| *number >= first);
    }
}

const MAX_SERVICES: usize = 1000;
