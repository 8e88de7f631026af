//! The number of tasks of a service.

use serde_json::{Value, json};

use super::ServiceName;
use crate::api::{Api, Call, Operation};
use crate::error::Error;

/// The limits of Application Auto Scaling for a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScalableTarget {
    /// The smallest number of tasks.
    pub min: u64,
    /// The largest number of tasks.
    pub max: u64,
}

/// What limits the number of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scaling {
    /// Nothing: the number is set by hand.
    Fixed,
    /// Application Auto Scaling changes it.
    Automatic(ScalableTarget),
}

/// Returns the limits of Application Auto Scaling, if the service is registered there.
pub async fn scalable_target(api: &impl Api, name: &ServiceName) -> Result<Scaling, Error> {
    let body = json!({ "ServiceNamespace": NAMESPACE, "ResourceIds": [resource(name)],
        "ScalableDimension": DIMENSION });
    let response = api
        .call(&Call::new(Operation::DescribeScalableTargets, body))
        .await?;
    let target = &response["ScalableTargets"][0];
    let limit = |field: &str| target[field].as_u64();
    Ok(match (limit("MinCapacity"), limit("MaxCapacity")) {
        (Some(min), Some(max)) => Scaling::Automatic(ScalableTarget { min, max }),
        _ => Scaling::Fixed,
    })
}

/// Sets the number of tasks, and returns the service.
pub async fn scale(api: &impl Api, name: &ServiceName, count: u64) -> Result<Value, Error> {
    let body =
        json!({ "cluster": name.cluster(), "service": name.service(), "desiredCount": count });
    let mut response = api.call(&Call::new(Operation::UpdateService, body)).await?;
    Ok(response["service"].take())
}

/// Sets the limits of Application Auto Scaling.
pub async fn set_limits(
    api: &impl Api,
    name: &ServiceName,
    target: ScalableTarget,
) -> Result<(), Error> {
    let body = json!({ "ServiceNamespace": NAMESPACE, "ResourceId": resource(name),
        "ScalableDimension": DIMENSION, "MinCapacity": target.min, "MaxCapacity": target.max });
    api.call(&Call::new(Operation::RegisterScalableTarget, body))
        .await?;
    Ok(())
}

fn resource(name: &ServiceName) -> String {
    format!("service/{name}")
}

/// Source: the API reference of Application Auto Scaling.
const NAMESPACE: &str = "ecs";
const DIMENSION: &str = "ecs:service:DesiredCount";
