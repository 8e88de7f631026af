//! UpdateService.

use serde_json::{Map, Value, json};

use super::create::deploy;
use super::settings::Settings;
use super::{Status, document};
use crate::api_error::ApiError;
use crate::deployment::Event;
use crate::request::Call;
use crate::state::State;

/// `UpdateService`. A change of what a service revision has starts a deployment; the desired count and the
/// configuration of deployments do not.
pub(crate) fn update(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let mut changes = call.body().as_object().cloned().unwrap_or_default();
    let cluster = take_text(&mut changes, "cluster")?;
    let name = take_text(&mut changes, "service")?;
    let name = name.ok_or_else(|| ApiError::invalid_parameter("service is required"))?;
    let is_forced = match changes.remove("forceNewDeployment") {
        None => false,
        Some(Value::Bool(is_forced)) => is_forced,
        Some(_) => return Err(wrong_type("forceNewDeployment")),
    };

    // They would pass the checks below, which are those of CreateService.
    for field in CREATE_ONLY {
        if changes.contains_key(field) {
            let message = format!("unknown field `{field}` of UpdateService");
            return Err(ApiError::invalid_parameter(message));
        }
    }

    let key = state.find_service(cluster.as_deref(), &name)?;
    let Some(service) = state.services.by_key.get(&key) else {
        return Err(ApiError::new(
            "ServiceNotFoundException",
            "Service not found.",
        ));
    };

    if service.status != Status::Active {
        return Err(ApiError::new(
            "ServiceNotActiveException",
            "Service was not ACTIVE.",
        ));
    }

    let settings = Settings::new(merge(service.settings.fields.clone(), &changes))?;
    let names_definition = changes.contains_key("taskDefinition");
    let primary = service.primary();
    let current = primary.and_then(|number| service.revisions.get(&number));
    let old_arn = current.map(|revision| revision.definition_arn.clone());
    let is_changed = settings.revision_fields() != service.settings.revision_fields();
    // A family names its newest revision at the time of the call; other updates keep the revision.
    let mut settings = settings;
    if !names_definition && let Some(arn) = &old_arn {
        settings = Settings::new(with_definition(settings.fields, arn))?;
    }

    let needs_definition = names_definition || is_forced || is_changed;
    let definition = needs_definition
        .then(|| settings.find_definition(state))
        .transpose()?;

    let config_changed = settings.config != service.settings.config;
    let desired = settings.desired_count();
    if let Some(service) = state.services.by_key.get_mut(&key) {
        service.settings = settings;
    }

    // Before a deployment, which takes the configuration with it.
    if config_changed && let Some(service) = state.services.by_key.get(&key) {
        let config = service.settings.config.clone();
        state.send(&key, Event::Configure(config), call.now);
    }

    // Before the deployment, too: it should start the right number of tasks.
    state.send(&key, Event::Desired(desired), call.now);
    if let Some(definition) = definition
        && (is_forced || is_changed || old_arn.as_deref() != Some(&definition.arn))
    {
        deploy(state, &key, definition, call.now);
    }

    Ok(json!({ "service": document::with_tags(state, &key) }))
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

fn with_definition(mut fields: Map<String, Value>, arn: &str) -> Map<String, Value> {
    fields.insert("taskDefinition".to_owned(), json!(arn));
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
