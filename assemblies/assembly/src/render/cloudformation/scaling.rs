//! Application Auto Scaling: how many tasks there are.

use serde_json::{Value, json};

use super::balancer::Balancer;
use super::service::SERVICE;
use super::stack::{Stack, filled, reference};
use super::target_group;
use crate::manifest::{Service, Target};
use crate::plan::Plan;

const TARGET: &str = "ScalableTarget";

/// Adds a policy for everything that is to be kept steady; with several, the one that wants most tasks wins.
pub(super) fn add(stack: &mut Stack, plan: &Plan, service: &Service, balancer: Option<&Balancer>) {
    let Some(target) = service
        .target
        .as_ref()
        .filter(|_| service.min < service.max)
    else {
        return;
    };

    for (name, about, default) in [
        ("MinTasks", "The fewest tasks.", service.min),
        ("MaxTasks", "The most tasks.", service.max),
    ] {
        let fields = json!({ "Type": "Number", "Default": default, "MinValue": 0 });
        stack.parameter(name, about, fields);
    }

    let why = "Between these scaling moves. The role is AWS's own, linked to the service.";
    let properties = json!({
        "ServiceNamespace": "ecs",
        "ScalableDimension": "ecs:service:DesiredCount",
        "ResourceId": filled(&format!("service/${{Cluster}}/${{{SERVICE}.Name}}")),
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
    word: &'static str,
    value: u32,
    metric: Value,
    why: String,
}

fn policies(target: &Target, service: &Service, balancer: Option<&Balancer>) -> Vec<Policy> {
    let fast = service.resolution == Some(20);
    let use_of = |word, name: &str, value: u32| {
        let (kind, seen) = if fast {
            (
                format!("ECSServiceAverage{name}UtilizationHighResolution"),
                "20 seconds",
            )
        } else {
            (format!("ECSServiceAverage{name}Utilization"), "minute")
        };
        Policy {
            word,
            value,
            metric: json!({ "PredefinedMetricType": kind }),
            why: format!(
                "Keeps the average use of what the tasks have, sidecars included, at {value} %; looked at every \
                 {seen}."
            ),
        }
    };

    let cpu = target.cpu.map(|value| use_of("Cpu", "CPU", value));
    let memory = target.memory.map(|value| use_of("Memory", "Memory", value));
    let requests = target.requests_per_task.and_then(|value| {
        balancer?;
        let label = target_group::label();
        Some(Policy {
            word: "Requests",
            value,
            metric: json!({ "PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": label }),
            why: format!(
                "Keeps what one task is asked at {value} requests a minute. Unlike CPU it does not stop at 100 %, \
                 so one step can follow any crowd."
            ),
        })
    });

    [cpu, memory, requests].into_iter().flatten().collect()
}

impl Policy {
    fn add(&self, stack: &mut Stack, plan: &Plan, service: &Service) {
        let cooldown = service.cooldown.unwrap_or_default();
        let name = format!("{}Scaling", self.word);
        let properties = json!({
            "PolicyName": format!("{}-{}", plan.name(), self.word.to_lowercase()),
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
