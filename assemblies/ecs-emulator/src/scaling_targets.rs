//! Application Auto Scaling for services: scalable targets, scaling policies and scheduled actions.
//!
//! They are stored and returned; nothing scales by them.
//!
//! | file | is |
//! |---|---|
//! | `targets` | RegisterScalableTarget and its counterparts |
//! | `policies` | PutScalingPolicy and its counterparts |
//! | `schedules` | PutScheduledAction and its counterparts |

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api_error::ApiError;
use crate::page::{Order, PageRequest};
use crate::request::Call;
use crate::state::State;

mod policies;
mod schedules;
mod targets;

pub(crate) use policies::{delete_policy, describe_policies, put_policy};
pub(crate) use schedules::{delete_action, describe_actions, put_action};
pub(crate) use targets::{deregister, describe_targets, register};

/// Stored items by resource (`service/CLUSTER/NAME`).
#[derive(Debug, Default)]
pub(crate) struct ScalingTargets {
    targets: BTreeMap<String, Value>,
    /// By resource and name.
    policies: BTreeMap<(String, String), Value>,
    /// By resource and name.
    actions: BTreeMap<(String, String), Value>,
}

/// `DescribeScalingActivities`: nothing scales, so there are none.
pub(crate) fn describe_activities(_: &mut State, call: &Call) -> Result<Value, ApiError> {
    check_names(call.body())?;
    Ok(json!({ "ScalingActivities": [] }))
}

/// Checks that a call is about ECS services. Calls that describe may omit the dimension.
fn check_names(body: &Value) -> Result<(), ApiError> {
    for (field, wanted) in [
        ("ServiceNamespace", "ecs"),
        ("ScalableDimension", DIMENSION),
    ] {
        match body.get(field) {
            // Calls that describe everything omit it.
            None if field == "ScalableDimension" => {}
            Some(value) if value == wanted => {}
            Some(Value::String(other)) => {
                return Err(invalid(format!(
                    "the ECS emulator does not support the {field} {other}"
                )));
            }
            _ => return Err(invalid(format!("{field} is required"))),
        }
    }

    Ok(())
}

/// Returns the resource of a call that changes something, and checks the rest of its name.
fn resource(body: &Value) -> Result<String, ApiError> {
    check_names(body)?;
    if body["ScalableDimension"].is_null() {
        return Err(invalid("ScalableDimension is required"));
    }
    let text = text(body, "ResourceId")?;
    match text.split('/').collect::<Vec<_>>()[..] {
        ["service", cluster, name] if !cluster.is_empty() && !name.is_empty() => Ok(text),
        _ => Err(invalid(format!(
            "Unsupported service namespace, resource type or scalable dimension: '{text}' is not \
             service/CLUSTER/SERVICE"
        ))),
    }
}

/// Returns a required text.
fn text(body: &Value, name: &str) -> Result<String, ApiError> {
    let text = body.get(name).and_then(Value::as_str);
    // The limits of ResourceId and of names in the API.
    let text = text.filter(|text| !text.is_empty() && text.len() <= 1600);
    text.map(str::to_owned)
        .ok_or_else(|| invalid(format!("{name} is required")))
}

/// Checks that a call has only these fields.
fn check_fields(body: &Value, known: &[&str]) -> Result<(), ApiError> {
    let fields = body.as_object().into_iter().flatten();
    let unknown: Vec<&str> = fields
        .map(|(name, _)| name.as_str())
        .filter(|name| !known.contains(name) && !NAME_FIELDS.contains(name))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(invalid(format!("unknown fields: {}", unknown.join(", "))))
}

/// Returns a page of a description.
fn page(
    body: &Value,
    name: &str,
    items: impl IntoIterator<Item = (String, Value)>,
) -> Result<Value, ApiError> {
    let request = PageRequest {
        max_results: body["MaxResults"].as_i64().or(Some(DEFAULT_PAGE)),
        next_token: body["NextToken"].as_str(),
        order: Order::Ascending,
    };

    let page = request.cut(items);
    let page = page.map_err(|error| {
        if body["NextToken"].is_null() {
            invalid(error.message)
        } else {
            ApiError::new("InvalidNextTokenException", error.message)
        }
    })?;

    let mut response = json!({ name: page.items });
    if let Some(token) = page.next_token {
        response["NextToken"] = token.into();
    }

    Ok(response)
}

/// Returns whether an item is one that a description asks for.
fn is_wanted(body: &Value, list: &str, field: &str, item: &Value) -> bool {
    match body.get(list) {
        Some(Value::Array(wanted)) => wanted.contains(&item[field]),
        Some(wanted) => *wanted == item[field],
        None => true,
    }
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationException", message)
}

fn not_found(what: &str, resource: &str) -> ApiError {
    let message = format!(
        "No {what} for service namespace: ecs, resource ID: {resource}, scalable dimension: {DIMENSION}"
    );
    ApiError::new("ObjectNotFoundException", message)
}

const DIMENSION: &str = "ecs:service:DesiredCount";
const NAME_FIELDS: [&str; 3] = ["ServiceNamespace", "ResourceId", "ScalableDimension"];
const DEFAULT_PAGE: i64 = 50;
/// Of targets, of policies and of scheduled actions.
const MAX_ITEMS: usize = 5000;
