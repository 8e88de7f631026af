use diagnostics::Severity;

use crate::launch::LaunchContext;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q08",
    name: "no-circuit-breaker",
    severity: Severity::Warning,
    title: "deployment has no circuit breaker",
    explanation: "Without a circuit breaker or alarms, ECS restarts the tasks of a faulty version \
                  forever, and the deployment neither fails nor rolls back.",
    source: "ECS developer guide, deployment circuit breaker",
    hint: "Enable deploymentCircuitBreaker with rollback.",
    passing: with_definition!(
        r#"  "service": {
    "serviceName": "web",
    "taskDefinition": "web",
    "desiredCount": 2,
    "launchType": "FARGATE",
    "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    "deploymentConfiguration": {
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }
  }"#
    ),
    // The service has no deployment configuration.
    failing: Failing::Change(
        r#""networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    "deploymentConfiguration": {
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }"#,
        r#""networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } }"#,
    ),
    check: Check::Launch(check),
    ..Rule::DEFAULT
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    let Some(service) = context.service() else {
        return;
    };
    let controller = service.deployment_controller.as_ref();

    if controller.is_some_and(|controller| controller.kind != "ECS") {
        return;
    }

    let deployment = service.deployment_configuration.as_ref();
    // Alarms can fail a deployment as well.
    let breaker = deployment.and_then(|deployment| deployment.deployment_circuit_breaker.as_ref());
    let alarms = deployment.and_then(|deployment| deployment.alarms.as_ref());
    if breaker.is_some_and(|breaker| breaker.enable) || alarms.is_some_and(|alarms| alarms.enable) {
        return;
    }

    let pointer = match (deployment, breaker) {
        (_, Some(_)) => "/deploymentConfiguration/deploymentCircuitBreaker",
        (Some(_), None) => "/deploymentConfiguration",
        (None, None) => "",
    };

    let message = "a deployment whose tasks do not start never ends";
    let hint = "add \"deploymentCircuitBreaker\": { \"enable\": true, \"rollback\": true }";
    report.add(pointer, message, hint);
}
