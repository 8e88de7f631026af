//! Task protection: a task says that it does not want to be stopped now.
//!
//! Source: ECS developer guide, "Task scale-in protection endpoint".

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::calendar::rfc3339;
use super::server::{Answer, Origin};
use super::view::TaskView;

/// Until when the task is protected, if it is.
#[derive(Debug, Default)]
pub(super) struct Protection(Mutex<Option<SystemTime>>);

impl Protection {
    /// What is said of it.
    pub(super) fn get(&self, view: &TaskView, origin: Origin) -> Answer {
        refused(view, origin).unwrap_or_else(|| self.told(view))
    }

    /// Changes it.
    pub(super) fn put(&self, view: &TaskView, origin: Origin, body: &[u8]) -> Answer {
        let wanted = match wanted(body) {
            Ok(wanted) => wanted,
            Err(why) => return failure(view, 400, "InvalidParameterException", &why),
        };
        if let Some(refusal) = refused(view, origin) {
            return refusal;
        }
        let until = wanted.map(|minutes| SystemTime::now() + Duration::from_secs(60 * minutes));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = until;
        self.told(view)
    }

    fn told(&self, view: &TaskView) -> Answer {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let until = until.filter(|until| *until > SystemTime::now());
        let mut told = json!({ "ProtectionEnabled": until.is_some(), "TaskArn": view.arn() });
        if let Some(until) = until {
            told["ExpirationDate"] = rfc3339(until).into();
        }
        (200, json!({ "protection": told }))
    }
}

/// Who has no role may not ask, and only tasks of a service can be protected.
fn refused(view: &TaskView, origin: Origin) -> Option<Answer> {
    if view.role.is_none() {
        let why = "the task definition has no taskRoleArn, whose rights the call needs";
        return Some(failure(view, 403, "AccessDeniedException", why));
    }

    (origin == Origin::RunTask).then(|| {
        let arn = view.arn();
        let why = "only tasks of a service can be protected";
        (
            200,
            json!({ "failure": { "Arn": arn, "Detail": why, "Reason": "TASK_NOT_VALID" } }),
        )
    })
}

/// The minutes for which protection is wanted; none for no protection.
fn wanted(body: &[u8]) -> Result<Option<u64>, String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let fields = value.as_object().ok_or("the body is no JSON object")?;
    let stranger = fields.keys().find(|name| !FIELDS.contains(&name.as_str()));
    if let Some(name) = stranger {
        return Err(format!("there is no field `{name}`"));
    }

    let enabled = fields.get(FIELDS[0]).and_then(Value::as_bool);
    let enabled = enabled.ok_or("ProtectionEnabled must be true or false")?;
    let minutes = match fields.get(FIELDS[1]) {
        None => USUAL,
        Some(minutes) => minutes
            .as_u64()
            .filter(|minutes| (1..=MOST).contains(minutes))
            .ok_or(format!("ExpiresInMinutes must be from 1 to {MOST}"))?,
    };

    Ok(enabled.then_some(minutes))
}

const FIELDS: [&str; 2] = ["ProtectionEnabled", "ExpiresInMinutes"];
const USUAL: u64 = 120;
const MOST: u64 = 2880;

fn failure(view: &TaskView, status: u16, code: &str, message: &str) -> Answer {
    let error = json!({ "Arn": view.arn(), "Code": code, "Message": message });
    (
        status,
        json!({ "requestID": "00000000-0000-0000-0000-000000000000", "error": error }),
    )
}
