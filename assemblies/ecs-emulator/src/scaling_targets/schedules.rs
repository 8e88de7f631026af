//! Scheduled actions.

use serde_json::{Value, json};

use super::{
    DIMENSION, MAX_ITEMS, check_fields, check_names, invalid, is_wanted, not_found, page, resource,
    text,
};
use crate::api_error::ApiError;
use crate::arn::random_uuid;
use crate::request::Call;
use crate::state::State;
use crate::time::seconds;

/// `PutScheduledAction`. What a later call does not name stays.
pub(crate) fn put_action(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let body = call.body();
    check_fields(body, &ACTION_FIELDS)?;
    let (resource, name) = (resource(body)?, text(body, "ScheduledActionName")?);
    if !state.scaling.targets.contains_key(&resource) {
        return Err(not_found("scalable target registered", &resource));
    }

    let key = (resource.clone(), name.clone());
    let old = state.scaling.actions.get(&key);
    // An update may omit the schedule.
    let schedule = body
        .get("Schedule")
        .or_else(|| old.and_then(|old| old.get("Schedule")));
    check_schedule(schedule.and_then(Value::as_str))?;
    if old.is_none() && state.scaling.actions.len() >= MAX_ITEMS {
        return Err(ApiError::new(
            "LimitExceededException",
            "too many scheduled actions",
        ));
    }

    let mut action = old.cloned().unwrap_or_else(|| {
        let owner = &state.owner;
        json!({
            "ScheduledActionARN": format!(
                "arn:aws:autoscaling:{}:{}:scheduledAction:{}:resource/ecs/{resource}:scheduledActionName/{name}",
                owner.region, owner.account, random_uuid()
            ),
            "ScheduledActionName": name,
            "ServiceNamespace": "ecs",
            "ResourceId": resource,
            "ScalableDimension": DIMENSION,
            "CreationTime": seconds(call.now),
        })
    });

    for field in ["Schedule", "Timezone", "StartTime", "EndTime", ACTION] {
        if let Some(value) = body.get(field) {
            action[field] = value.clone();
        }
    }

    state.scaling.actions.insert(key, action);

    Ok(json!({}))
}

/// Checks the form only: nothing runs by it.
fn check_schedule(schedule: Option<&str>) -> Result<(), ApiError> {
    let schedule = schedule
        .filter(|schedule| schedule.ends_with(')'))
        .unwrap_or_default();
    if ["at(", "rate(", "cron("]
        .iter()
        .any(|kind| schedule.starts_with(kind))
    {
        return Ok(());
    }
    Err(invalid("Schedule must be at(…), rate(…) or cron(…)"))
}

/// `DescribeScheduledActions`.
pub(crate) fn describe_actions(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let body = call.body();
    check_names(body)?;
    check_fields(body, &["ScheduledActionNames", "MaxResults", "NextToken"])?;
    let actions = state.scaling.actions.iter();
    let wanted = actions.filter(|(_, action)| {
        is_wanted(body, "ScheduledActionNames", "ScheduledActionName", action)
            && is_wanted(body, "ResourceId", "ResourceId", action)
    });
    page(
        body,
        "ScheduledActions",
        wanted.map(|((resource, name), action)| (format!("{resource}\n{name}"), action.clone())),
    )
}

/// `DeleteScheduledAction`.
pub(crate) fn delete_action(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let body = call.body();
    check_fields(body, &["ScheduledActionName"])?;
    let (resource, name) = (resource(body)?, text(body, "ScheduledActionName")?);
    match state.scaling.actions.remove(&(resource.clone(), name)) {
        Some(_) => Ok(json!({})),
        None => Err(not_found("scheduled action found", &resource)),
    }
}

const ACTION: &str = "ScalableTargetAction";
const ACTION_FIELDS: [&str; 6] = [
    "ScheduledActionName",
    "Schedule",
    "Timezone",
    "StartTime",
    "EndTime",
    ACTION,
];
