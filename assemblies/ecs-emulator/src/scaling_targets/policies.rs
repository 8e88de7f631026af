//! Scaling policies.

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

/// `PutScalingPolicy`. There is no CloudWatch, so it has no alarms.
pub(crate) fn put_policy(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let body = call.body();
    check_fields(body, &POLICY_FIELDS)?;
    let (resource, name) = (resource(body)?, text(body, "PolicyName")?);
    if !state.scaling.targets.contains_key(&resource) {
        return Err(not_found("scalable target registered", &resource));
    }

    let key = (resource.clone(), name.clone());
    let old = state.scaling.policies.get(&key);
    // The type of a policy that exists is the default of an update.
    let default = old.map_or("StepScaling", |old| {
        old["PolicyType"].as_str().unwrap_or_default()
    });

    let kind = body
        .get("PolicyType")
        .and_then(Value::as_str)
        .unwrap_or(default);
    let field = check_configuration(kind, body, old.is_some())?;
    if old.is_none() && state.scaling.policies.len() >= MAX_ITEMS {
        return Err(ApiError::new(
            "LimitExceededException",
            "too many scaling policies",
        ));
    }

    // An update keeps the ARN and the time of the policy.
    let old_field = |field: &str| old.and_then(|old| old.get(field)).cloned();
    let arn = old_field("PolicyARN").unwrap_or_else(|| {
        let owner = &state.owner;
        format!(
            "arn:aws:autoscaling:{}:{}:scalingPolicy:{}:resource/ecs/{resource}:policyName/{name}",
            owner.region,
            owner.account,
            random_uuid()
        )
        .into()
    });

    let mut policy = json!({
        "PolicyARN": arn,
        "PolicyName": name,
        "ServiceNamespace": "ecs",
        "ResourceId": resource,
        "ScalableDimension": DIMENSION,
        "PolicyType": kind,
        "Alarms": [],
        "CreationTime": old_field("CreationTime").unwrap_or_else(|| seconds(call.now).into()),
    });

    if let Some(configuration) = body.get(field).cloned().or_else(|| old_field(field)) {
        policy[field] = configuration;
    }

    state.scaling.policies.insert(key, policy);

    Ok(json!({ "PolicyARN": arn, "Alarms": [] }))
}

/// Returns the field that a type of policy needs, and checks it.
fn check_configuration(kind: &str, body: &Value, exists: bool) -> Result<&'static str, ApiError> {
    let field = match kind {
        "StepScaling" => STEPS,
        "TargetTrackingScaling" => TRACKING,
        "PredictiveScaling" => {
            return Err(invalid(
                "the ECS emulator does not support predictive scaling",
            ));
        }
        other => return Err(invalid(format!("unknown PolicyType '{other}'"))),
    };

    let Some(configuration) = body.get(field) else {
        if exists {
            return Ok(field);
        }
        return Err(invalid(format!(
            "{field} is required for the PolicyType {kind}"
        )));
    };

    if !configuration.is_object() {
        return Err(ApiError::new(
            "SerializationException",
            format!("/{field}: is no object"),
        ));
    }

    // Exactly one of them names the metric.
    let metrics = [
        "PredefinedMetricSpecification",
        "CustomizedMetricSpecification",
    ];

    let given = metrics
        .iter()
        .filter(|name| configuration.get(**name).is_some())
        .count();
    if field == TRACKING && (configuration["TargetValue"].as_f64().is_none() || given != 1) {
        return Err(invalid(
            "TargetTrackingScalingPolicyConfiguration needs a TargetValue and one metric specification",
        ));
    }

    Ok(field)
}

/// `DescribeScalingPolicies`.
pub(crate) fn describe_policies(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let body = call.body();
    check_names(body)?;
    check_fields(body, &["PolicyNames", "MaxResults", "NextToken"])?;
    let policies = state.scaling.policies.iter();
    let wanted = policies.filter(|(_, policy)| {
        is_wanted(body, "PolicyNames", "PolicyName", policy)
            && is_wanted(body, "ResourceId", "ResourceId", policy)
    });
    page(
        body,
        "ScalingPolicies",
        wanted.map(|((resource, name), policy)| (format!("{resource}\n{name}"), policy.clone())),
    )
}

/// `DeleteScalingPolicy`.
pub(crate) fn delete_policy(state: &mut State, call: &Call) -> Result<Value, ApiError> {
    let body = call.body();
    check_fields(body, &["PolicyName"])?;
    let (resource, name) = (resource(body)?, text(body, "PolicyName")?);
    match state.scaling.policies.remove(&(resource.clone(), name)) {
        Some(_) => Ok(json!({})),
        None => Err(not_found("scaling policy found", &resource)),
    }
}

const STEPS: &str = "StepScalingPolicyConfiguration";
const TRACKING: &str = "TargetTrackingScalingPolicyConfiguration";
const PREDICTION: &str = "PredictiveScalingPolicyConfiguration";
const POLICY_FIELDS: [&str; 5] = ["PolicyName", "PolicyType", STEPS, TRACKING, PREDICTION];
