//! The task scale-in protection endpoint: a task asks not to be stopped.
//!
//! Source: ECS developer guide, "Task scale-in protection endpoint".

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::server::{JsonResponse, Origin};
use super::timestamp::rfc3339;
use super::view::TaskView;

/// The end of the task's protection, if it is protected.
#[derive(Debug)]
pub(super) enum Protection {
    /// Only this endpoint knows it.
    Own(Mutex<Option<SystemTime>>),
    /// A file has it, which the process that started the task reads and writes too.
    File(PathBuf),
}

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
        match self.set(until) {
            Ok(()) => self.state_response(view),
            Err(error) => error_response(view, 500, "ServerException", &error.to_string()),
        }
    }

    fn until(&self) -> Option<SystemTime> {
        match self {
            Self::Own(until) => *until.lock().unwrap_or_else(PoisonError::into_inner),
            Self::File(file) => read_protection(file),
        }
    }

    fn set(&self, until: Option<SystemTime>) -> io::Result<()> {
        match self {
            Self::Own(own) => {
                *own.lock().unwrap_or_else(PoisonError::into_inner) = until;
                Ok(())
            }
            Self::File(file) => write_protection(file, until),
        }
    }

    fn state_response(&self, view: &TaskView) -> JsonResponse {
        let until = self.until();
        // Protection expires by itself.
        let until = until.filter(|until| *until > SystemTime::now());
        let mut state = json!({ "ProtectionEnabled": until.is_some(), "TaskArn": view.arn() });
        if let Some(until) = until {
            state["ExpirationDate"] = rfc3339(until).into();
        }
        (200, json!({ "protection": state }))
    }
}

/// Reads the end of a task's protection, in seconds since 1970. Without a file, and with an empty one, there is none.
pub fn read_protection(file: &Path) -> Option<SystemTime> {
    let mut text = String::new();
    // A longer text is no number of seconds.
    let mut file = File::open(file).ok()?.take(MAX_FILE_BYTES);
    file.read_to_string(&mut text).ok()?;
    let seconds = text.trim().parse().ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Replaces the end of a task's protection atomically, for concurrent readers.
pub fn write_protection(file: &Path, until: Option<SystemTime>) -> io::Result<()> {
    let since = until.and_then(|until| until.duration_since(SystemTime::UNIX_EPOCH).ok());
    let text = since.map_or_else(String::new, |since| since.as_secs().to_string());
    // Two writers may be at it at the same time.
    let beside = file.with_extension(format!("{}.new", std::process::id()));
    fs::write(&beside, text).and_then(|()| fs::rename(&beside, file))
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
/// A number of seconds has 20 digits at most.
const MAX_FILE_BYTES: u64 = 32;
/// Two days, the maximum of ECS.
const MAX_MINUTES: u64 = 2880;

fn error_response(view: &TaskView, status: u16, code: &str, message: &str) -> JsonResponse {
    let error = json!({ "Arn": view.arn(), "Code": code, "Message": message });
    (
        status,
        json!({ "requestID": "00000000-0000-0000-0000-000000000000", "error": error }),
    )
}
