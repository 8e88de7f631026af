//! The task scale-in protection endpoint: a task asks not to be stopped.
//!
//! Source: ECS developer guide, "Task scale-in protection endpoint".

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::server::{JsonResponse, Origin};
use super::timestamp::rfc3339;
use super::view::TaskView;

/// The end of the task's protection, if it is protected.
#[derive(Debug, Default)]
pub(super) struct Protection(Mutex<Option<SystemTime>>);

impl Protection {
    /// Handles GET.
    pub(super) fn get(&self, view: &TaskView, origin: Origin) -> JsonResponse {
        rejection(view, origin).unwrap_or_else(|| self.state_response(view))
    }

    /// Handles PUT.
    pub(super) fn put(&self, view: &TaskView, origin: Origin, body: &[u8]) -> JsonResponse {
        let minutes = match parse_request(body) {
            Ok(minutes) => minutes,
            Err(error) => return error_response(view, 400, "InvalidParameterException", &error),
        };
        if let Some(rejection) = rejection(view, origin) {
            return rejection;
        }
        let until = minutes.map(|minutes| SystemTime::now() + Duration::from_secs(60 * minutes));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = until;
        self.state_response(view)
    }

    fn state_response(&self, view: &TaskView) -> JsonResponse {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Protection expires by itself.
        let until = until.filter(|until| *until > SystemTime::now());
        let mut state = json!({ "ProtectionEnabled": until.is_some(), "TaskArn": view.arn() });
        if let Some(until) = until {
            state["ExpirationDate"] = rfc3339(until).into();
        }
        (200, json!({ "protection": state }))
    }
}

/// Returns the rejection of a task without a role, or of one that no service runs.
fn rejection(view: &TaskView, origin: Origin) -> Option<JsonResponse> {
    if view.role.is_none() {
        let message = "the task definition has no taskRoleArn, whose permissions the call needs";
        return Some(error_response(view, 403, "AccessDeniedException", message));
    }

    // ECS reports this as a failure in a response with status 200.
    (origin == Origin::RunTask).then(|| {
        let arn = view.arn();
        let detail = "only tasks of a service can be protected";
        (
            200,
            json!({ "failure": { "Arn": arn, "Detail": detail, "Reason": "TASK_NOT_VALID" } }),
        )
    })
}

/// Parses the requested minutes of protection; `None` disables it.
fn parse_request(body: &[u8]) -> Result<Option<u64>, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let fields = value.as_object().ok_or("the body is not a JSON object")?;
    let unknown = fields.keys().find(|name| !FIELDS.contains(&name.as_str()));
    if let Some(name) = unknown {
        return Err(format!("unknown field `{name}`"));
    }

    let enabled = fields.get(FIELDS[0]).and_then(Value::as_bool);
    let enabled = enabled.ok_or("ProtectionEnabled must be true or false")?;
    let minutes = match fields.get(FIELDS[1]) {
        None => DEFAULT_MINUTES,
        Some(minutes) => minutes
            .as_u64()
            .filter(|minutes| (1..=MAX_MINUTES).contains(minutes))
            .ok_or(format!("ExpiresInMinutes must be from 1 to {MAX_MINUTES}"))?,
    };

    Ok(enabled.then_some(minutes))
}

const FIELDS: [&str; 2] = ["ProtectionEnabled", "ExpiresInMinutes"];
/// Two hours, the default of ECS.
const DEFAULT_MINUTES: u64 = 120;
/// Two days, the maximum of ECS.
const MAX_MINUTES: u64 = 2880;

fn error_response(view: &TaskView, status: u16, code: &str, message: &str) -> JsonResponse {
    let error = json!({ "Arn": view.arn(), "Code": code, "Message": message });
    (
        status,
        json!({ "requestID": "00000000-0000-0000-0000-000000000000", "error": error }),
    )
}
