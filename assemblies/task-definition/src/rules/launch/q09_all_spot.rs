use crate::finding::Severity;
use crate::request::LaunchContext;
use crate::rules::{Check, Report, Rule};
use crate::service::CapacityProviderItem;

pub(super) const RULE: Rule = Rule {
    id: "Q09",
    name: "all-spot",
    severity: Severity::Warning,
    title: "service runs on Spot only",
    explanation: "FARGATE_SPOT is taken back with two minutes' notice, from all tasks at \
                  once when capacity is short, and then none can be started. A base on \
                  FARGATE keeps the service up.",
    source: "ECS developer guide, Fargate Spot and capacity providers",
    hint: "Add FARGATE with a base of at least 1.",
    passing: r#"{
  "taskDefinition": {
    "family": "web",
    "requiresCompatibilities": ["FARGATE"],
    "networkMode": "awsvpc",
    "cpu": "256",
    "memory": "512",
    "containerDefinitions": [
      {
        "name": "app",
        "image": "app:1",
        "portMappings": [{ "containerPort": 8080, "name": "web" }]
      }
    ]
  },
  "service": {
    "serviceName": "web",
    "taskDefinition": "web",
    "desiredCount": 2,
    "capacityProviderStrategy": [
      { "capacityProvider": "FARGATE", "base": 1, "weight": 0 },
      { "capacityProvider": "FARGATE_SPOT", "weight": 1 }
    ],
    "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    "deploymentConfiguration": {
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }
  }
}"#,
    failing: r#"{
  "taskDefinition": {
    "family": "web",
    "requiresCompatibilities": ["FARGATE"],
    "networkMode": "awsvpc",
    "cpu": "256",
    "memory": "512",
    "containerDefinitions": [
      {
        "name": "app",
        "image": "app:1",
        "portMappings": [{ "containerPort": 8080, "name": "web" }]
      }
    ]
  },
  "service": {
    "serviceName": "web",
    "taskDefinition": "web",
    "desiredCount": 2,
    "capacityProviderStrategy": [{ "capacityProvider": "FARGATE_SPOT", "weight": 1 }],
    "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    "deploymentConfiguration": {
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }
  }
}"#,
    check: Check::Launch(check),
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    let Some(service) = context.service() else {
        return;
    };
    let strategy = &service.capacity_provider_strategy;
    let spot = strategy
        .iter()
        .position(|one| one.capacity_provider == "FARGATE_SPOT");
    let Some(spot) = spot else {
        return;
    };

    let has_base = |one: &CapacityProviderItem| {
        one.capacity_provider == "FARGATE" && one.base.is_some_and(|base| base > 0)
    };
    if strategy.iter().any(has_base) {
        return;
    }

    report.add(
        format!("/capacityProviderStrategy/{spot}"),
        "every task may be taken back at once: Spot has no base of FARGATE beside it",
        "add { \"capacityProvider\": \"FARGATE\", \"base\": 1 }",
    );
}
