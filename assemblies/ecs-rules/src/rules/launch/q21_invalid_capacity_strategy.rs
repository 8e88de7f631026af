use diagnostics::Severity;
use task_definition::CapacityProviderItem;

use crate::launch::LaunchContext;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q21",
    name: "invalid-capacity-strategy",
    severity: Severity::Error,
    title: "capacity provider strategy places no task",
    explanation: "A provider with weight 0, the default, takes tasks up to its base only; a strategy \
                  of several providers needs one with a larger weight. FARGATE and FARGATE_SPOT \
                  cannot be combined with other providers. A strategy has up to 20 providers, \
                  each once. Weights go to 1,000 and bases to 100,000. \
                  Fargate Spot does not run Windows.",
    source: "ECS API, CapacityProviderStrategyItem and CreateService, field \
             capacityProviderStrategy; ECS developer guide, Fargate capacity providers",
    hint: "Give one provider a weight of at least 1.",
    passing: with_definition!(
        r#"  "service": {
    "serviceName": "web",
    "taskDefinition": "web",
    "desiredCount": 2,
    "capacityProviderStrategy": [
      { "capacityProvider": "FARGATE", "base": 1 },
      { "capacityProvider": "FARGATE_SPOT", "weight": 1 }
    ],
    "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    "deploymentConfiguration": {
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }
  }"#
    ),
    // No provider has a weight.
    failing: Failing::Change(r#""weight": 1"#, r#""weight": 0"#),
    check: Check::Launch(check),
    ..Rule::DEFAULT
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    let strategy = context.request.capacity_providers();
    let pointer = "/capacityProviderStrategy";
    let has_weight = |item: &CapacityProviderItem| item.weight.unwrap_or(0) > 0;

    // A single provider takes all tasks, whatever its weight.
    if strategy.len() > 1 && !strategy.iter().any(has_weight) {
        let message = "every capacity provider has weight 0, so no task can be placed";
        report.add(pointer, message, "write \"weight\": 1 for one of them");
    }

    let fargate = strategy.iter().filter(|item| is_fargate(item)).count();
    if fargate > 0 && fargate < strategy.len() {
        let other = strategy.iter().find(|item| !is_fargate(item));
        let name = other.map_or("", |item| &item.capacity_provider);
        let message = format!("Fargate cannot be combined with the capacity provider `{name}`");
        report.add(pointer, message, "use providers of one kind only");
    }

    if strategy.len() > 20 {
        let message = format!(
            "{} capacity providers; a strategy has at most 20",
            strategy.len()
        );
        report.add(format!("{pointer}/20"), message, "remove some");
    }

    for (index, item) in strategy.iter().enumerate() {
        check_name(
            &strategy[..index],
            item,
            &format!("{pointer}/{index}"),
            report,
        );
        check_item(item, &format!("{pointer}/{index}"), report);
        let windows = context
            .definition
            .is_some_and(task_definition::TaskDefinition::is_windows);
        if windows && item.capacity_provider == "FARGATE_SPOT" {
            let message = "Fargate Spot does not run Windows containers";
            report.add(
                format!("{pointer}/{index}/capacityProvider"),
                message,
                "use FARGATE",
            );
        }
    }
}

fn check_name(
    before: &[CapacityProviderItem],
    item: &CapacityProviderItem,
    pointer: &str,
    report: &mut Report,
) {
    let pointer = format!("{pointer}/capacityProvider");
    let name = item.capacity_provider.as_str();
    let upper = name.to_ascii_uppercase().replace('-', "_");
    if name != upper && matches!(upper.as_str(), "FARGATE" | "FARGATE_SPOT") {
        // The names of own providers cannot begin with fargate.
        let message = format!("`{name}` is not a capacity provider");
        report.add(pointer.clone(), message, format!("write {upper}"));
        report.fix_value(pointer, Some(&upper));
    } else if before.iter().any(|other| other.capacity_provider == name) {
        report.add(
            pointer,
            format!("`{name}` is listed twice"),
            "merge the two",
        );
    }
}

fn is_fargate(item: &CapacityProviderItem) -> bool {
    matches!(&*item.capacity_provider, "FARGATE" | "FARGATE_SPOT")
}

fn check_item(item: &CapacityProviderItem, pointer: &str, report: &mut Report) {
    for (field, value, most) in [("weight", item.weight, 1_000), ("base", item.base, 100_000)] {
        if let Some(value) = value.filter(|value| *value > most) {
            let message = format!("{field} is {value}; the range is 0 to {most}");
            report.add(
                format!("{pointer}/{field}"),
                message,
                format!("write at most {most}"),
            );
        }
    }
}
