use diagnostics::Severity;
use task_definition::CapacityProviderItem;

use crate::launch::LaunchContext;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q09",
    name: "all-spot",
    severity: Severity::Warning,
    title: "service runs on Spot only",
    explanation: "Fargate Spot tasks are interrupted with two minutes' notice, possibly all at once \
                  when capacity is short, and then no new ones start. A base on FARGATE keeps the \
                  service running.",
    source: "ECS developer guide, Fargate Spot and capacity providers",
    hint: "Add FARGATE with a base of at least 1.",
    passing: with_definition!(
        r#"  "service": {
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
  }"#
    ),
    // The strategy consists of Spot only.
    failing: Failing::Change(
        r#""capacityProviderStrategy": [
      { "capacityProvider": "FARGATE", "base": 1, "weight": 0 },
      { "capacityProvider": "FARGATE_SPOT", "weight": 1 }
    ]"#,
        r#""capacityProviderStrategy": [{ "capacityProvider": "FARGATE_SPOT", "weight": 1 }]"#,
    ),
    check: Check::Launch(check),
    ..Rule::DEFAULT
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    let Some(service) = context.service() else {
        return;
    };
    let strategy = &service.capacity_provider_strategy;
    let spot = strategy
        .iter()
        .position(|item| item.capacity_provider == "FARGATE_SPOT");
    let Some(spot) = spot else {
        return;
    };

    // A weight alone guarantees no task on FARGATE.
    let has_base = |item: &CapacityProviderItem| {
        item.capacity_provider == "FARGATE" && item.base.is_some_and(|base| base > 0)
    };
    if strategy.iter().any(has_base) {
        return;
    }

    report.add(
        format!("/capacityProviderStrategy/{spot}"),
        "all tasks may be interrupted at once: there is no base on FARGATE",
        "add { \"capacityProvider\": \"FARGATE\", \"base\": 1 }",
    );
}
