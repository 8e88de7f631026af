//! What an assembly and its values say about the service that runs it.

use assembly::Plan;
use assembly::manifest::LoadBalancer;
use serde_json::{Map, Value, json};

/// Returns the part of a service that an assembly decides, in the form of DescribeServices, with `scaling` for the limits
/// of Application Auto Scaling. The network is there if the values have it.
pub(super) fn wanted_service(plan: &Plan, value: impl Fn(&str) -> Option<String>) -> Value {
    let Some(service) = plan.service() else {
        return Value::Null;
    };

    let mut wanted = Map::new();
    let mut set = |name: &str, value: Value| wanted.insert(name.to_owned(), value);
    let deployment = &service.deployment;
    set(
        "deploymentConfiguration",
        json!({ "minimumHealthyPercent": deployment.min_percent,
            "maximumPercent": deployment.max_percent }),
    );
    set("enableExecuteCommand", service.exec.into());
    set("scaling", json!({ "min": service.min, "max": service.max }));

    let balanced = plan
        .public()
        .filter(|_| plan.load_balancer() != LoadBalancer::None);
    let balancers = balanced.map(
        |public| json!({ "containerName": public.container(plan), "containerPort": public.port() }),
    );
    set("loadBalancers", balancers.into_iter().collect());

    let list = |name: &str| {
        let text = value(name)?;
        let mut items: Vec<_> = text.split(',').map(|item| item.trim().to_owned()).collect();
        items.sort();
        Some(json!(items))
    };
    let network = [
        ("subnets", "subnets"),
        ("securityGroups", "security_groups"),
    ];
    let network: Map<_, _> = network
        .into_iter()
        .filter_map(|(field, name)| Some((field.to_owned(), list(name)?)))
        .collect();
    if !network.is_empty() {
        set("network", network.into());
    }
    wanted.into()
}
