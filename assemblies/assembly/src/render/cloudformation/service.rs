//! The ECS service of an assembly that serves.

use serde_json::{Value, json};

use super::balancer::{self, Balancer};
use super::stack::{Stack, attribute, reference};
use super::task::TASK_DEFINITION;
use super::{network, scaling, target_group};
use crate::manifest::{Service, Spot};
use crate::plan::Plan;

/// The logical name of the service.
pub(super) const SERVICE: &str = "Service";

/// Adds it, with what leads to it and what changes its size.
pub(super) fn add(stack: &mut Stack, plan: &Plan, service: &Service) {
    let why = "Only the outermost hop can be reached: on Fargate every port that a container listens on is on \
               the task's address, whatever the port mappings say.";
    network::closed_group(stack, plan, why);

    let balancer = balancer::add(stack, plan);
    let why = "A deployment whose tasks do not come up is rolled back by itself.";
    let properties = properties(plan, service, balancer.as_ref());
    stack.resource(SERVICE, "AWS::ECS::Service", why, properties);
    words(stack, service);
    scaling::add(stack, plan, service, balancer.as_ref());

    stack.output(
        "Service",
        "The service's name.",
        &attribute(SERVICE, "Name"),
    );
}

fn properties(plan: &Plan, service: &Service, balancer: Option<&Balancer>) -> Value {
    let mut all = json!({
        "ServiceName": plan.name(),
        "Cluster": reference("Cluster"),
        "TaskDefinition": reference(TASK_DEFINITION),
        "PlatformVersion": "LATEST",
        "SchedulingStrategy": "REPLICA",
    });

    match &service.spot {
        None => all["LaunchType"] = json!("FARGATE"),
        Some(spot) => all["CapacityProviderStrategy"] = strategy(spot),
    }

    // Without it a new service begins with one task, and an update keeps what scaling has decided.
    if service.min == service.max {
        all["DesiredCount"] = json!(service.min);
    }
    all["DeploymentConfiguration"] = json!({
        "DeploymentCircuitBreaker": { "Enable": true, "Rollback": true },
        "MinimumHealthyPercent": service.deployment.min_percent,
        "MaximumPercent": service.deployment.max_percent,
    });
    all["NetworkConfiguration"] = json!({ "AwsvpcConfiguration": network::awsvpc() });

    if balancer.is_some() {
        all["LoadBalancers"] = json!([target_group::registration(plan)]);
        all["HealthCheckGracePeriodSeconds"] = json!(grace(plan));
    }

    all["EnableExecuteCommand"] = json!(service.exec);
    all["EnableECSManagedTags"] = json!(true);
    all["PropagateTags"] = json!("SERVICE");
    if let Some(balancer) = balancer {
        all["Tags"] = json!([{ "Key": "listener", "Value": balancer.leads() }]);
    }

    all
}

fn words(stack: &mut Stack, service: &Service) {
    if service.spot.is_some() {
        let why = "The cluster must have both capacity providers \
                   (`aws ecs put-cluster-capacity-providers`).";
        stack.say(SERVICE, "CapacityProviderStrategy", why);
    }
    let why =
        "So long a new task may fail the load balancer's checks: its containers settle first.";
    stack.say(SERVICE, "HealthCheckGracePeriodSeconds", why);
}

/// Weights that divide what is above the base; a provider without a part is left out.
fn strategy(spot: &Spot) -> Value {
    let (spot_weight, own_weight) = (spot.percent, 100 - spot.percent);
    let shared = common(spot_weight, own_weight);
    let mut providers = Vec::new();
    if own_weight > 0 || spot.base > 0 {
        providers.push(json!({
            "CapacityProvider": "FARGATE",
            "Base": spot.base,
            "Weight": own_weight / shared,
        }));
    }

    providers.push(json!({ "CapacityProvider": "FARGATE_SPOT", "Weight": spot_weight / shared }));
    Value::from(providers)
}

fn common(one: u32, other: u32) -> u32 {
    if other == 0 {
        one
    } else {
        common(other, one % other)
    }
}

/// Seconds until a new task must answer the load balancer: every wait for a dependency, the slowest health
/// check, and the load balancer's own two checks.
fn grace(plan: &Plan) -> u32 {
    let containers = &plan.definition().container_definitions;
    let waits: u32 = containers.iter().filter_map(|one| one.start_timeout).sum();
    let health = containers
        .iter()
        .filter_map(|one| one.health_check.as_ref());
    let settles = health.map(|check| {
        let (interval, retries) = (check.interval.unwrap_or(30), check.retries.unwrap_or(3));
        check.start_period.unwrap_or(0) + interval * retries
    });
    let checks = 2 * target_group::INTERVAL;

    (waits + settles.max().unwrap_or(0) + checks).next_multiple_of(10)
}
