//! Scalable targets.

use serde_json::{Value, json};

use super::{
    DIMENSION, MAX_ITEMS, check_fields, check_names, invalid, is_wanted, not_found, page, resource,
};
use crate::api_error::ApiError;
use crate::arn::{Owner, random_id};
use crate::request::Call;
use crate::state::State;
use crate::time::seconds;

/// `RegisterScalableTarget`. Without a capacity, that of the registered target stays.
pub(crate) fn register(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let body = call.body();
    check_fields(body, &TARGET_FIELDS)?;
    let resource = resource(body)?;
    let mut parts = resource.split('/').skip(1);
    let (cluster, name) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );

    // Application Auto Scaling asks ECS, too.
    if !state.services.is_active(cluster, name) {
        return Err(invalid(format!("ECS service doesn't exist: {resource}")));
    }

    let old = state.scaling.targets.get(&resource);
    let (least, most) = capacities(body, old)?;
    if old.is_none() && state.scaling.targets.len() >= MAX_ITEMS {
        return Err(ApiError::new(
            "LimitExceededException",
            "too many scalable targets",
        ));
    }

    let suspended = suspended_state(body, old)?;
    let old_field = |field: &str| old.and_then(|old| old.get(field)).cloned();
    let arn = old_field("ScalableTargetARN").unwrap_or_else(|| {
        let owner = &state.owner;
        format!(
            "arn:aws:application-autoscaling:{}:{}:scalable-target/{}",
            owner.region,
            owner.account,
            random_id()
        )
        .into()
    });

    let target = json!({
        "ServiceNamespace": "ecs",
        "ResourceId": resource,
        "ScalableDimension": DIMENSION,
        "MinCapacity": least,
        "MaxCapacity": most,
        "RoleARN": body.get("RoleARN").cloned().unwrap_or_else(|| role_arn(&state.owner).into()),
        "CreationTime": old_field("CreationTime").unwrap_or_else(|| seconds(call.now).into()),
        "SuspendedState": suspended,
        "ScalableTargetARN": arn,
    });

    state.scaling.targets.insert(resource, target);

    Ok(json!({ "ScalableTargetARN": arn }))
}

/// Returns the ARN of the role that scales services.
fn role_arn(owner: &Owner) -> String {
    format!(
        "arn:aws:iam::{}:role/aws-service-role/ecs.application-autoscaling.amazonaws.com/\
         AWSServiceRoleForApplicationAutoScaling_ECSService",
        owner.account
    )
}

/// Returns the minimum and the maximum.
fn capacities(body: &Value, old: Option<&Value>) -> Result<(u64, u64), ApiError> {
    let capacity = |field: &str| {
        // Values of a registered target may be omitted (RegisterScalableTarget in the API reference).
        let old = old.and_then(|old| old.get(field));
        let value = body.get(field).or(old);
        let value =
            value.ok_or_else(|| invalid(format!("{field} is required for a new target")))?;
        let value = value.as_u64().filter(|value| *value <= MAX_CAPACITY);
        value.ok_or_else(|| {
            let message = format!("{field} must be a whole number from 0 to {MAX_CAPACITY}");
            invalid(message)
        })
    };

    let (least, most) = (capacity("MinCapacity")?, capacity("MaxCapacity")?);
    if most < least {
        let message = "Maximum capacity cannot be less than minimum capacity";
        return Err(invalid(message));
    }
    Ok((least, most))
}

fn suspended_state(body: &Value, old: Option<&Value>) -> Result<Value, ApiError> {
    let old = old.map(|old| &old["SuspendedState"]);
    let given = body.get("SuspendedState");
    let mut state = json!({});
    for field in SUSPENDED_FIELDS {
        let value = given
            .and_then(|given| given.get(field))
            .or(old.and_then(|old| old.get(field)));
        state[field] = match value {
            None => false.into(),
            Some(Value::Bool(value)) => (*value).into(),
            Some(_) => {
                return Err(invalid(format!(
                    "SuspendedState.{field} must be true or false"
                )));
            }
        };
    }

    Ok(state)
}

/// `DescribeScalableTargets`.
pub(crate) fn describe_targets(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let body = call.body();
    check_names(body)?;
    check_fields(body, &["ResourceIds", "MaxResults", "NextToken"])?;
    let targets = state.scaling.targets.iter();
    let wanted = targets.filter(|(_, target)| is_wanted(body, "ResourceIds", "ResourceId", target));
    page(
        body,
        "ScalableTargets",
        wanted.map(|(resource, target)| (resource.clone(), target.clone())),
    )
}

/// `DeregisterScalableTarget`, which removes its policies and scheduled actions too.
pub(crate) fn deregister(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let body = call.body();
    check_fields(body, &[])?;
    let resource = resource(body)?;
    let scaling = &mut state.scaling;
    if scaling.targets.remove(&resource).is_none() {
        return Err(not_found("scalable target found", &resource));
    }
    // As Application Auto Scaling does (DeregisterScalableTarget in the API reference).
    scaling.policies.retain(|(own, _), _| *own != resource);
    scaling.actions.retain(|(own, _), _| *own != resource);
    Ok(json!({}))
}

const TARGET_FIELDS: [&str; 5] = [
    "MinCapacity",
    "MaxCapacity",
    "RoleARN",
    "SuspendedState",
    "Tags",
];
const SUSPENDED_FIELDS: [&str; 3] = [
    "DynamicScalingInSuspended",
    "DynamicScalingOutSuspended",
    "ScheduledScalingSuspended",
];
/// More tasks than a service can have.
const MAX_CAPACITY: u64 = 100_000;
