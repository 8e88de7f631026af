//! StopServiceDeployment and ContinueServiceDeployment.

use serde::Deserialize;
use serde_json::{Value, json};

use super::history::hook_id;
use crate::api_error::ApiError;
use crate::deployment::{Event, HookStatus, Status, TimeoutAction};
use crate::request::Call;
use crate::state::State;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StopServiceDeployment {
    service_deployment_arn: String,
    stop_type: Option<String>,
}

/// `StopServiceDeployment`: rolls the deployment back.
pub(crate) fn stop_deployment(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: StopServiceDeployment = call.read()?;
    match input.stop_type.as_deref() {
        // The default of the API.
        None | Some("ROLLBACK") => {}
        // The API reference calls ROLLBACK the only valid value, although the model has another.
        Some("ABORT") => return Err(ApiError::from_unsupported_feature("the stop type ABORT")),
        Some(other) => {
            return Err(ApiError::invalid_parameter(format!(
                "Invalid stop type: {other}"
            )));
        }
    }

    let arn = input.service_deployment_arn;
    let (service, deployment) = state.find_deployment(&arn).ok_or_else(|| not_found(&arn))?;
    if deployment.status != Status::InProgress {
        let status = deployment.status.as_str();
        let message = format!("The service deployment cannot be stopped: its status is {status}.");
        return Err(ApiError::new("ConflictException", message));
    }

    // The borrow of the state ends here.
    let key = service.key();
    state.send(&key, Event::StopDeployment, call.now);

    Ok(json!({ "serviceDeploymentArn": arn }))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ContinueServiceDeployment {
    service_deployment_arn: String,
    hook_id: String,
    action: Option<String>,
}

/// `ContinueServiceDeployment`: the answer to a lifecycle hook. The emulator invokes no functions, so this answers
/// their hooks too.
pub(crate) fn continue_deployment(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let input: ContinueServiceDeployment = call.read()?;
    let action = match input.action.as_deref() {
        None | Some("CONTINUE") => TimeoutAction::Continue,
        Some("ROLLBACK") => TimeoutAction::Rollback,
        Some(other) => {
            return Err(ApiError::invalid_parameter(format!(
                "Invalid action: {other}"
            )));
        }
    };

    let arn = input.service_deployment_arn;
    let (service, deployment) = state.find_deployment(&arn).ok_or_else(|| not_found(&arn))?;
    let hooks = deployment.hooks.iter();
    let mut waiting = hooks.filter(|hook| hook.status == HookStatus::AwaitingAction);
    let hook = waiting.find(|hook| hook_id(service, deployment, hook) == input.hook_id);
    let hook = hook.ok_or_else(|| {
        let message = format!(
            "The service deployment has no hook {} that waits.",
            input.hook_id
        );
        ApiError::invalid_parameter(message)
    })?;

    let (key, hook) = (service.key(), hook.number);
    state.send(&key, Event::Answer { hook, action }, call.now);

    Ok(json!({ "serviceDeploymentArn": arn }))
}

fn not_found(arn: &str) -> ApiError {
    let message = format!("Service deployment not found: {arn}");
    ApiError::new("ServiceDeploymentNotFoundException", message)
}
