//! UpdateService.

use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::create::deploy;
use super::settings::Settings;
use super::{Key, Status, document};
use crate::api_error::ApiError;
use crate::deployment::Event;
use crate::request::Call;
use crate::state::State;

/// `UpdateService`. A change of what a service revision has starts a deployment; the desired count and the
/// configuration of deployments do not.
pub(crate) fn update(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let update = Update::read(call)?;
    let key = state.find_service(update.cluster.as_deref(), &update.service)?;
    let Some(service) = state.services.by_key.get(&key) else {
        let message = "Service not found.";
        return Err(ApiError::new("ServiceNotFoundException", message));
    };

    if service.status != Status::Active {
        let message = "Service was not ACTIVE.";
        return Err(ApiError::new("ServiceNotActiveException", message));
    }

    let primary = service.primary();
    let current = primary.and_then(|number| service.revisions.get(&number));
    let old_arn = current.map(|revision| revision.definition_arn.clone());
    let names_definition = update.changes.contains_key("taskDefinition");
    let mut fields = merge(service.settings.fields.clone(), &update.changes);
    // A family names its newest revision at the time of the call; other updates keep the revision.
    if let Some(arn) = old_arn.as_ref().filter(|_| !names_definition) {
        fields.insert("taskDefinition".to_owned(), json!(arn));
    }

    let settings = Settings::new(fields)?;
    let is_changed = settings.revision_fields() != service.settings.revision_fields();
    let needs_definition = names_definition || update.is_forced || is_changed;
    let definition = needs_definition
        .then(|| settings.find_definition(state))
        .transpose()?;

    // From here on nothing can fail.
    apply(state, &key, settings, call.now);
    if let Some(definition) = definition
        && (update.is_forced || is_changed || old_arn.as_deref() != Some(&definition.arn))
    {
        deploy(state, &key, definition, call.now);
    }

    Ok(json!({ "service": document::with_tags(state, &key) }))
}

/// The input of UpdateService.
struct Update {
    cluster: Option<String>,
    service: String,
    is_forced: bool,
    /// Fields that CreateService has, too.
    changes: Map<String, Value>,
}

impl Update {
    fn read(call: &Call) -> Result<Self, ApiError> {
        let mut changes = call.body().as_object().cloned().unwrap_or_default();
        let cluster = take_text(&mut changes, "cluster")?;
        let service = take_text(&mut changes, "service")?;
        let service = service.ok_or_else(|| ApiError::invalid_parameter("service is required"))?;
        let is_forced = match changes.remove("forceNewDeployment") {
            None => false,
            Some(Value::Bool(is_forced)) => is_forced,
            Some(_) => return Err(wrong_type("forceNewDeployment")),
        };

        // They would pass the checks of the settings, which are those of CreateService.
        let unknown = CREATE_ONLY
            .iter()
            .find(|field| changes.contains_key(**field));
        if let Some(field) = unknown {
            let message = format!("unknown field `{field}` of UpdateService");
            return Err(ApiError::invalid_parameter(message));
        }

        Ok(Self {
            cluster,
            service,
            is_forced,
            changes,
        })
    }
}

/// Gives the service its new settings, without a deployment.
fn apply(state: &mut State, key: &Key, settings: Settings, now: SystemTime) {
    let Some(service) = state.services.by_key.get_mut(key) else {
        return;
    };

    let has_new_config = settings.config != service.settings.config;
    let (config, desired) = (settings.config.clone(), settings.desired_count());
    service.settings = settings;
    // Both before a deployment: it starts the right number of tasks with the right limits.
    if has_new_config {
        state.send(key, Event::Configure(config), now);
    }
    state.send(key, Event::Desired(desired), now);
}

/// Applies the changes. An empty list or object removes a setting.
fn merge(mut fields: Map<String, Value>, changes: &Map<String, Value>) -> Map<String, Value> {
    for (name, value) in changes {
        let is_empty = value.as_array().is_some_and(Vec::is_empty);
        if is_empty {
            fields.remove(name);
        } else {
            fields.insert(name.clone(), value.clone());
        }
    }
    if changes.contains_key("capacityProviderStrategy") {
        // ECS accepts one or the other.
        fields.remove("launchType");
    }
    fields
}

fn take_text(fields: &mut Map<String, Value>, name: &str) -> Result<Option<String>, ApiError> {
    match fields.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong_type(name)),
    }
}

fn wrong_type(name: &str) -> ApiError {
    ApiError::new(
        "SerializationException",
        format!("/{name}: has the wrong type"),
    )
}

/// Fields of CreateService that UpdateService does not have.
const CREATE_ONLY: [&str; 6] = [
    "clientToken",
    "launchType",
    "role",
    "schedulingStrategy",
    "serviceName",
    "tags",
];
