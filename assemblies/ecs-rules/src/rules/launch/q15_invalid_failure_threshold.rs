use diagnostics::Severity;

use crate::launch::LaunchContext;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q15",
    name: "invalid-failure-threshold",
    severity: Severity::Error,
    title: "invalid threshold or alarms of a deployment",
    explanation: "The type of the circuit breaker's threshold is COUNT, BOUNDED_PERCENT or \
                  UNBOUNDED_PERCENT. A threshold of 0 tolerates no failed task, and one of more than \
                  100 % is never reached before every task has failed. Enabled alarms need the name \
                  of at least one.",
    source: "ECS API, ThresholdConfiguration and DeploymentAlarms",
    hint: "Correct the type or the value.",
    passing: with_definition!(
        r#"  "service": {
    "serviceName": "web",
    "taskDefinition": "web",
    "desiredCount": 2,
    "launchType": "FARGATE",
    "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    "deploymentConfiguration": {
      "deploymentCircuitBreaker": {
        "enable": true,
        "rollback": true,
        "thresholdConfiguration": { "type": "COUNT", "value": 5 }
      }
    }
  }"#
    ),
    // The type does not exist.
    failing: Failing::Change(r#""type": "COUNT""#, r#""type": "PERCENT""#),
    check: Check::Launch(check),
    ..Rule::DEFAULT
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    let deployment = context
        .service()
        .and_then(|service| service.deployment_configuration.as_ref());
    let Some(deployment) = deployment else {
        return;
    };
    let alarms = deployment.alarms.as_ref();
    if alarms.is_some_and(|alarms| alarms.enable && alarms.alarm_names.is_empty()) {
        let message = "the alarms are enabled, but none is named";
        let hint = "name an alarm, or write \"enable\": false";
        report.add("/deploymentConfiguration/alarms/alarmNames", message, hint);
    }

    let breaker = deployment.deployment_circuit_breaker.as_ref();
    let Some(threshold) = breaker.and_then(|breaker| breaker.threshold_configuration.as_ref())
    else {
        return;
    };
    let pointer = "/deploymentConfiguration/deploymentCircuitBreaker/thresholdConfiguration";
    let kind = threshold.kind.as_str();

    report.check_enum(&format!("{pointer}/type"), Some(kind), &TYPES);
    if threshold.value == 0 {
        let message = "a threshold of 0 fails a deployment before a task has failed";
        report.add(format!("{pointer}/value"), message, "write at least 1");
    } else if kind.ends_with("PERCENT") && threshold.value > 100 {
        let message = format!("{} % of the tasks cannot fail", threshold.value);
        report.add(format!("{pointer}/value"), message, "write at most 100");
    }
}

const TYPES: [&str; 3] = ["COUNT", "BOUNDED_PERCENT", "UNBOUNDED_PERCENT"];
