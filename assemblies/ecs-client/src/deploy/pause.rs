//! Answers a hook that waits (PAUSE), and stops deployments.

use serde_json::json;

use super::ServiceName;
use super::service::describe_service;
use super::state::{Pause, describe_deployment};
use crate::api::{Api, Call, Operation};
use crate::error::Error;

/// The answer to a hook that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The deployment goes on.
    Continue,
    /// ECS goes back to the revision before.
    RollBack,
}

/// Answers the hooks of the deployment in progress that wait. Returns the ARN of the deployment and the hooks; no hooks
/// if none waits, and `None` if no deployment is in progress.
pub async fn answer(
    api: &impl Api,
    name: &ServiceName,
    answer: Answer,
) -> Result<Option<(String, Vec<Pause>)>, Error> {
    let service = describe_service(api, name).await?;
    let Some(deployment) = service.current_deployment() else {
        return Ok(None);
    };
    let state = describe_deployment(api, deployment).await?;
    let Some(state) = state.filter(|state| !state.is_final()) else {
        return Ok(None);
    };

    let action = match answer {
        Answer::Continue => "CONTINUE",
        Answer::RollBack => "ROLLBACK",
    };
    for pause in &state.pauses {
        let body =
            json!({ "serviceDeploymentArn": deployment, "hookId": pause.hook, "action": action });
        api.call(&Call::new(Operation::ContinueServiceDeployment, body))
            .await?;
        // One answer goes back as a whole.
        if answer == Answer::RollBack {
            break;
        }
    }
    Ok(Some((deployment.to_owned(), state.pauses)))
}
