use diagnostics::Severity;
use task_definition::Service;

use crate::launch::LaunchContext;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q10",
    name: "conflicting-settings",
    severity: Severity::Error,
    title: "conflicting service settings",
    explanation: "The circuit breaker, alarms and strategies require the deployment controller ECS. \
                  A health check grace period is rejected without a load balancer. With maximumPercent and \
                  minimumHealthyPercent both 100 a rolling update can replace no task, and ECS rejects \
                  them. One item of a \
                  capacity provider strategy may have a base.",
    source: "ECS API, CreateService, fields deploymentConfiguration, \
                  healthCheckGracePeriodSeconds and capacityProviderStrategy",
    hint: "Remove one of the conflicting settings.",
    passing: with_definition!(
        r#"  "service": {
    "serviceName": "web",
    "taskDefinition": "web",
    "desiredCount": 2,
    "launchType": "FARGATE",
    "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    "healthCheckGracePeriodSeconds": 60,
    "loadBalancers": [
      {
        "targetGroupArn": "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/web/0123456789abcdef",
        "containerName": "app",
        "containerPort": 8080
      }
    ],
    "deploymentConfiguration": {
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }
  }"#
    ),
    // A grace period without a load balancer.
    failing: Failing::Document(with_definition!(
        r#"  "service": {
    "serviceName": "web",
    "taskDefinition": "web",
    "desiredCount": 2,
    "launchType": "FARGATE",
    "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    "healthCheckGracePeriodSeconds": 60,
    "deploymentConfiguration": {
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }
  }"#
    )),
    check: Check::Launch(check),
    ..Rule::DEFAULT
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    let request = context.request;
    let with_base = request
        .capacity_providers()
        .iter()
        .enumerate()
        .filter(|(_, item)| item.base.is_some_and(|base| base > 0));
    for (index, _) in with_base.skip(1) {
        let message = "a second capacity provider has a base";
        let pointer = format!("/capacityProviderStrategy/{index}/base");
        report.add(pointer, message, "keep one base");
    }

    let Some(service) = context.service() else {
        return;
    };
    // VPC Lattice and gateways check tasks like a load balancer.
    let has_load_balancer = !service.load_balancers.is_empty()
        || !service.vpc_lattice_configurations.is_empty()
        || !service.gateway_connectors.is_empty();

    if service.health_check_grace_period_seconds.is_some() && !has_load_balancer {
        let message = "healthCheckGracePeriodSeconds is set without a load balancer";
        let hint = "remove `healthCheckGracePeriodSeconds`, or add \"loadBalancers\"";
        report.add("/healthCheckGracePeriodSeconds", message, hint);
    }

    check_percentages(service, report);
    let controller = service.deployment_controller.as_ref();
    let deployment = service.deployment_configuration.as_ref();
    let (Some(controller), Some(deployment)) = (controller, deployment) else {
        return;
    };
    let breaker = deployment.deployment_circuit_breaker.as_ref();

    if controller.kind != "ECS" && breaker.is_some_and(|breaker| breaker.enable) {
        let message = format!(
            "the circuit breaker is not supported with {}",
            controller.kind
        );
        let hint = "remove it, or remove \"deploymentController\"";
        report.add(
            "/deploymentConfiguration/deploymentCircuitBreaker",
            message,
            hint,
        );
    }
}

fn check_percentages(service: &Service, report: &mut Report) {
    let Some(deployment) = &service.deployment_configuration else {
        return;
    };
    let least = deployment.minimum_healthy_percent;
    if blocks_deployments(service) {
        let message =
            "maximumPercent and minimumHealthyPercent are both 100, so no task can be replaced";
        let hint = "write \"maximumPercent\": 200, or lower \"minimumHealthyPercent\"";
        report.add("/deploymentConfiguration/maximumPercent", message, hint);
    }
    if let Some(least) = least.filter(|least| *least > 100) {
        let message = format!("minimumHealthyPercent is {least}; the range is 0 to 100");
        let pointer = "/deploymentConfiguration/minimumHealthyPercent";
        report.add(pointer, message, "write at most 100");
    }
}

/// Returns whether both percentages of a rolling update are 100, which ECS rejects.
pub(super) fn blocks_deployments(service: &Service) -> bool {
    let deployment = service.deployment_configuration.as_ref();
    let controller = service.deployment_controller.as_ref();
    let is_rolling = deployment.is_some_and(|deployment| {
        let strategy = deployment.strategy.as_deref();
        strategy.is_none_or(|strategy| strategy == "ROLLING")
    });
    is_rolling
        && controller.is_none_or(|controller| controller.kind == "ECS")
        && service.scheduling_strategy.as_deref() != Some("DAEMON")
        && deployment.is_some_and(|deployment| {
            deployment.maximum_percent == Some(100)
                && deployment.minimum_healthy_percent == Some(100)
        })
}
