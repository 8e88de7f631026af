//! The ECS service of an assembly.

use serde_json::{Value, json};

use super::balancer::{self, Balancer};
use super::stack::{Stack, attribute, if_else, is_set, reference};
use super::task::TASK_DEFINITION;
use super::{network, scaling, target_group};
use crate::manifest::{Service, Spot};
use crate::plan::Plan;

/// The logical id of the service.
pub(super) const SERVICE: &str = "Service";
/// The parameter with the revision of a rollback.
pub(super) const TASK_REVISION: &str = "TaskRevision";
const HAS_REVISION: &str = "HasTaskRevision";

/// Adds the service, with its load balancer and scaling.
pub(super) fn add(stack: &mut Stack, plan: &Plan, service: &Service) {
    let why = "Only the outermost hop is open: on Fargate every port that a container listens on is reachable at \
    the task's address, whether it is mapped or not.";
    network::add_task_group(stack, plan, why);

    let balancer = balancer::add(stack, plan);
    // With a parameter, a rollback needs only the template that the stack has, on any machine.
    stack.parameter(
        TASK_REVISION,
        "The ARN of an earlier revision to run, set by a rollback; if empty, the service runs that of the stack.",
        json!({ "Type": "String", "Default": "" }),
    );
    stack.condition(HAS_REVISION, is_set(TASK_REVISION));

    let why = "The circuit breaker rolls back a deployment whose tasks do not start.";
    let properties = properties(plan, service, balancer.as_ref());
    stack.resource(SERVICE, "AWS::ECS::Service", why, properties);
    add_comments(stack, service);
    // Last, since the scalable target refers to the service.
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
        "TaskDefinition": if_else(HAS_REVISION, reference(TASK_REVISION), reference(TASK_DEFINITION)),
        "PlatformVersion": "LATEST",
        "SchedulingStrategy": "REPLICA",
    });

    match &service.spot {
        None => all["LaunchType"] = json!("FARGATE"),
        Some(spot) => all["CapacityProviderStrategy"] = strategy(spot),
    }

    // With scaling, an update must keep the count that scaling has set. Without DesiredCount it does, and a
    // new service starts with one task.
    if service.min == service.max {
        all["DesiredCount"] = json!(service.min);
    }
    all["DeploymentConfiguration"] = json!({
        "DeploymentCircuitBreaker": { "Enable": true, "Rollback": true },
        "MinimumHealthyPercent": service.deployment.min_percent,
        "MaximumPercent": service.deployment.max_percent,
    });
    // ECS rebalances only if it may start a task before it stops another (developer guide, Availability Zone
    // rebalancing). For services created since 2025-06-30 it is on by default, so the template says which.
    let rebalances = service.deployment.max_percent > 100;
    all["AvailabilityZoneRebalancing"] = json!(if rebalances { "ENABLED" } else { "DISABLED" });
    all["NetworkConfiguration"] = json!({ "AwsvpcConfiguration": network::awsvpc() });

    if balancer.is_some() {
        all["LoadBalancers"] = json!([target_group::registration(plan)]);
        all["HealthCheckGracePeriodSeconds"] = json!(grace(plan));
    }

    all["EnableExecuteCommand"] = json!(service.exec);
    all["EnableECSManagedTags"] = json!(true);
    all["PropagateTags"] = json!("SERVICE");
    // The tag refers to the listener, so the service is created after it: ECS rejects a target group that no
    // listener uses.
    if let Some(balancer) = balancer {
        all["Tags"] = json!([{ "Key": "listener", "Value": balancer.listener_reference() }]);
    }

    all
}

fn add_comments(stack: &mut Stack, service: &Service) {
    if service.spot.is_some() {
        let why = "The cluster must have both capacity providers \
                   (`aws ecs put-cluster-capacity-providers`).";
        stack.comment(SERVICE, "CapacityProviderStrategy", why);
    }
    let why = if service.deployment.max_percent > 100 {
        "ECS moves tasks when an Availability Zone has more of them than the others: it starts a new task, then stops one. \
         This is the default for new services."
    } else {
        "Rebalancing starts a task before it stops another, which the maximum percentage does not allow."
    };
    stack.comment(SERVICE, "AvailabilityZoneRebalancing", why);
    let why = "The time in which a new task can fail the load balancer's checks while its containers start.";
    stack.comment(SERVICE, "HealthCheckGracePeriodSeconds", why);
}

/// Returns the capacity provider strategy: weights divide the tasks above the base.
fn strategy(spot: &Spot) -> Value {
    let (spot_weight, on_demand_weight) = (spot.percent, 100 - spot.percent);
    // Weights are relative, so they are reduced: 20 and 80 become 1 and 4.
    let divisor = greatest_common_divisor(spot_weight, on_demand_weight);
    let mut providers = Vec::new();
    if on_demand_weight > 0 || spot.base > 0 {
        providers.push(json!({
            "CapacityProvider": "FARGATE",
            "Base": spot.base,
            "Weight": on_demand_weight / divisor,
        }));
    }

    providers.push(json!({ "CapacityProvider": "FARGATE_SPOT", "Weight": spot_weight / divisor }));
    Value::from(providers)
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

/// Returns the health check grace period in seconds: every wait for a dependency, the slowest health check,
/// and the load balancer's two checks.
fn grace(plan: &Plan) -> u32 {
    let containers = &plan.definition().container_definitions;
    let waits: u32 = containers
        .iter()
        .filter_map(|container| container.start_timeout)
        .sum();
    // ECS's defaults: an interval of 30 seconds and three retries.
    let slowest_check = containers
        .iter()
        .filter_map(|container| container.health_check.as_ref())
        .map(|check| {
            let (interval, retries) = (check.interval.unwrap_or(30), check.retries.unwrap_or(3));
            check.start_period.unwrap_or(0) + interval * retries
        })
        .max()
        .unwrap_or(0);
    let checks = 2 * target_group::INTERVAL;

    (waits + slowest_check + checks).next_multiple_of(10)
}
