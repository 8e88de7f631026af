//! DeleteService.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Status, document};
use crate::api_error::ApiError;
use crate::deployment::Event;
use crate::request::Call;
use crate::state::State;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DeleteService {
    cluster: Option<String>,
    service: String,
    #[serde(default)]
    force: bool,
}

/// `DeleteService`: the service is DRAINING until its tasks have stopped, then INACTIVE.
pub(crate) fn delete(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: DeleteService = call.read()?;
    let key = state.find_service(input.cluster.as_deref(), &input.service)?;
    let Some(service) = state.services.by_key.get_mut(&key) else {
        return Err(ApiError::new(
            "ServiceNotFoundException",
            "Service not found.",
        ));
    };

    if service.status == Status::Inactive {
        return Err(ApiError::new(
            "ServiceNotFoundException",
            "Service not found.",
        ));
    }

    if service.scheduler.desired_count() > 0 && !input.force {
        return Err(ApiError::invalid_parameter(
            "The service cannot be stopped while it is scaled above 0.",
        ));
    }

    // From now on ListServices omits it.
    service.status = Status::Draining;
    state.send(&key, Event::Desired(0), call.now);

    Ok(json!({ "service": document::with_tags(state, &key) }))
}
