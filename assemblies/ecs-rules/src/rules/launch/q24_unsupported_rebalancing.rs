use diagnostics::Severity;
use task_definition::Service;

use crate::launch::LaunchContext;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q24",
    name: "unsupported-rebalancing",
    severity: Severity::Error,
    title: "service cannot be rebalanced across Availability Zones",
    explanation: "ECS starts the replacement before it stops the old task, so maximumPercent must be \
                  above 100. Daemons, the launch type EXTERNAL, Classic Load Balancers and a first \
                  placement strategy other than a spread over zones are not supported.",
    source: "ECS developer guide, balancing a service across Availability Zones",
    hint: "Write \"availabilityZoneRebalancing\": \"DISABLED\", or change the setting.",
    passing: with_definition!(
        r#"  "service": {
    "serviceName": "web",
    "taskDefinition": "web",
    "desiredCount": 2,
    "launchType": "FARGATE",
    "availabilityZoneRebalancing": "ENABLED",
    "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    "deploymentConfiguration": {
      "maximumPercent": 150,
      "minimumHealthyPercent": 50,
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }
  }"#
    ),
    // No task can be started in addition.
    failing: Failing::Change(r#""maximumPercent": 150"#, r#""maximumPercent": 100"#),
    check: Check::Launch(check),
    ..Rule::DEFAULT
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    let Some(service) = context.service() else {
        return;
    };
    let is_enabled = service.availability_zone_rebalancing.as_deref() == Some("ENABLED");
    let Some((pointer, what)) = find_obstacle(service).filter(|_| is_enabled) else {
        return;
    };
    let message = format!("Availability Zone rebalancing does not support {what}");
    let hint = "write \"availabilityZoneRebalancing\": \"DISABLED\", or change it";
    report.add(pointer, message, hint);
}

fn find_obstacle(service: &Service) -> Option<(String, &'static str)> {
    let deployment = service.deployment_configuration.as_ref();
    let most = deployment.and_then(|deployment| deployment.maximum_percent);
    let classic = service
        .load_balancers
        .iter()
        .position(|target| target.load_balancer_name.is_some());
    let first = service.placement_strategy.first();
    // Without a strategy ECS spreads tasks over the zones.
    let spreads = first.is_none_or(|strategy| {
        strategy.kind.as_deref() == Some("spread")
            && strategy.field.as_deref() == Some("attribute:ecs.availability-zone")
    });

    if service.scheduling_strategy.as_deref() == Some("DAEMON") {
        return Some(("/schedulingStrategy".to_owned(), "DAEMON scheduling"));
    }
    if service.launch_type.as_deref() == Some("EXTERNAL") {
        return Some(("/launchType".to_owned(), "the launch type EXTERNAL"));
    }
    if let Some(index) = classic {
        let pointer = format!("/loadBalancers/{index}/loadBalancerName");
        return Some((pointer, "a Classic Load Balancer"));
    }
    if !spreads {
        let pointer = "/placementStrategy/0".to_owned();
        return Some((
            pointer,
            "a first placement strategy other than a spread over zones",
        ));
    }
    most.filter(|most| *most <= 100).map(|_| {
        let pointer = "/deploymentConfiguration/maximumPercent".to_owned();
        (pointer, "a maximumPercent of 100 or less")
    })
}
