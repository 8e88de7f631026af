//! Application Auto Scaling of the service's task count.

use serde_json::{Value, json};

use super::balancer::Balancer;
use super::service::SERVICE;
use super::stack::{Stack, reference, substitute};
use super::target_group;
use crate::manifest::{Service, Target};
use crate::plan::Plan;

const TARGET: &str = "ScalableTarget";

/// Adds the scalable target and one policy per metric.
///
/// With several policies, Application Auto Scaling takes the one with the highest task count.
pub(super) fn add(stack: &mut Stack, plan: &Plan, service: &Service, balancer: Option<&Balancer>) {
    let Some(target) = service
        .target
        .as_ref()
        .filter(|_| service.min < service.max)
    else {
        return;
    };

    for (name, about, default) in [
        ("MinTasks", "The minimum number of tasks.", service.min),
        ("MaxTasks", "The maximum number of tasks.", service.max),
    ] {
        let fields = json!({ "Type": "Number", "Default": default, "MinValue": 0 });
        stack.parameter(name, about, fields);
    }

    // `.Name` makes the target depend on the service, which must exist first.
    let why = "The range of the task count. Application Auto Scaling uses its service-linked role.";
    let properties = json!({
        "ServiceNamespace": "ecs",
        "ScalableDimension": "ecs:service:DesiredCount",
        "ResourceId": substitute(&format!("service/${{Cluster}}/${{{SERVICE}.Name}}")),
        "MinCapacity": reference("MinTasks"),
        "MaxCapacity": reference("MaxTasks"),
    });

    stack.resource(
        TARGET,
        "AWS::ApplicationAutoScaling::ScalableTarget",
        why,
        properties,
    );

    for policy in policies(target, service, balancer) {
        policy.add(stack, plan, service);
    }
}

struct Policy {
    name: &'static str,
    value: u32,
    metric: Value,
    why: String,
}

fn policies(target: &Target, service: &Service, balancer: Option<&Balancer>) -> Vec<Policy> {
    let is_high_resolution = service.resolution == Some(20);
    let utilization = |name, metric: &str, value: u32| {
        let (kind, period) = if is_high_resolution {
            (
                format!("ECSServiceAverage{metric}UtilizationHighResolution"),
                "20 seconds",
            )
        } else {
            (format!("ECSServiceAverage{metric}Utilization"), "minute")
        };
        Policy {
            name,
            value,
            metric: json!({ "PredefinedMetricType": kind }),
            why: format!(
                "Keeps the tasks' average utilization, sidecars included, at {value} %; measured every {period}."
            ),
        }
    };

    let cpu = target.cpu.map(|value| utilization("Cpu", "CPU", value));
    let memory = target
        .memory
        .map(|value| utilization("Memory", "Memory", value));
    let requests = target.requests_per_task.and_then(|value| {
        // Without a load balancer there is no request metric.
        balancer?;
        let label = target_group::label();
        Some(Policy {
            name: "Requests",
            value,
            metric: json!({ "PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": label }),
            why: format!(
                "Keeps the rate at {value} requests per task and minute. Unlike CPU utilization, which ends at 100 %, \
                it shows the whole load, so one step can add enough tasks."
            ),
        })
    });

    [cpu, memory, requests].into_iter().flatten().collect()
}

impl Policy {
    fn add(&self, stack: &mut Stack, plan: &Plan, service: &Service) {
        // Policy names must be unique per scalable target.
        let cooldown = service.cooldown.unwrap_or_default();
        let name = format!("{}Scaling", self.name);
        let properties = json!({
            "PolicyName": format!("{}-{}", plan.name(), self.name.to_lowercase()),
            "PolicyType": "TargetTrackingScaling",
            "ScalingTargetId": reference(TARGET),
            "TargetTrackingScalingPolicyConfiguration": {
                "PredefinedMetricSpecification": self.metric,
                "TargetValue": self.value,
                "ScaleOutCooldown": cooldown.out,
                "ScaleInCooldown": cooldown.inward,
                "DisableScaleIn": !service.scale_in,
            },
        });

        let kind = "AWS::ApplicationAutoScaling::ScalingPolicy";
        stack.resource(&name, kind, &self.why, properties);
    }
}
