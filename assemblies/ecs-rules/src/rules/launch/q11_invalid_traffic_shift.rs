use diagnostics::Severity;
use task_definition::DeploymentConfiguration;

use crate::launch::LaunchContext;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q11",
    name: "invalid-traffic-shift",
    severity: Severity::Error,
    title: "invalid canary, linear or bake settings",
    explanation: "canaryPercent is a multiple of 0.1 from 0.1 to 100, stepPercent one from 3 to 100, \
                  and each bake time lasts 0 to 1440 minutes. canaryConfiguration is valid with \
                  strategy CANARY only, linearConfiguration with LINEAR only.",
    source: "ECS API, CanaryConfiguration, LinearConfiguration and DeploymentConfiguration; Terraform \
             AWS provider, aws_ecs_service, bake_time_in_minutes",
    hint: "Correct the number, or the strategy.",
    passing: with_definition!(
        r#"  "service": {
    "serviceName": "web",
    "taskDefinition": "web",
    "desiredCount": 2,
    "launchType": "FARGATE",
    "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    "deploymentConfiguration": {
      "strategy": "CANARY",
      "canaryConfiguration": { "canaryPercent": 5, "canaryBakeTimeInMinutes": 10 },
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }
  }"#
    ),
    // More than all of the traffic.
    failing: Failing::Change(r#""canaryPercent": 5"#, r#""canaryPercent": 105"#),
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
    let enclosing = "/deploymentConfiguration";

    check_minutes(
        &format!("{enclosing}/bakeTimeInMinutes"),
        deployment.bake_time_in_minutes,
        report,
    );
    if let Some(canary) = &deployment.canary_configuration {
        let pointer = format!("{enclosing}/canaryConfiguration");
        check_percent(
            &format!("{pointer}/canaryPercent"),
            canary.canary_percent,
            0.1,
            report,
        );
        check_minutes(
            &format!("{pointer}/canaryBakeTimeInMinutes"),
            canary.canary_bake_time_in_minutes,
            report,
        );
        check_pair(deployment, "CANARY", &pointer, report);
    }

    if let Some(linear) = &deployment.linear_configuration {
        let pointer = format!("{enclosing}/linearConfiguration");
        check_percent(
            &format!("{pointer}/stepPercent"),
            linear.step_percent,
            3.0,
            report,
        );
        check_minutes(
            &format!("{pointer}/stepBakeTimeInMinutes"),
            linear.step_bake_time_in_minutes,
            report,
        );
        check_pair(deployment, "LINEAR", &pointer, report);
    }
}

fn check_minutes(pointer: &str, minutes: Option<u32>, report: &mut Report) {
    if let Some(minutes) = minutes.filter(|minutes| *minutes > 1440) {
        let message = format!("{} is {minutes}; the range is 0 to 1440", field(pointer));
        report.add(pointer, message, "write at most 1440, which is a day");
    }
}

fn check_percent(pointer: &str, percent: Option<f64>, least: f64, report: &mut Report) {
    let Some(percent) = percent else {
        return;
    };
    let tenths = percent * 10.0;
    // 0.1 has no exact binary form, so a small difference is not a violation.
    let is_multiple = (tenths - tenths.round()).abs() < 1e-6;
    if (least..=100.0).contains(&percent) && is_multiple {
        return;
    }

    let name = field(pointer);
    let message = format!("{name} is {percent}; the range is {least} to 100 in steps of 0.1");
    report.add(
        pointer,
        message,
        format!("write a percentage from {least} to 100"),
    );
}

fn check_pair(
    deployment: &DeploymentConfiguration,
    needed: &str,
    pointer: &str,
    report: &mut Report,
) {
    // Without a strategy ECS uses ROLLING. An unknown word is Q05's.
    let strategy = deployment.strategy.as_deref().unwrap_or("ROLLING");
    let is_other = ["ROLLING", "BLUE_GREEN", "LINEAR", "CANARY"].contains(&strategy);
    if is_other && strategy != needed {
        let message = format!("{} is set, but the strategy is {strategy}", field(pointer));
        let hint = format!("write \"strategy\": \"{needed}\", or remove it");
        report.add(pointer, message, hint);
    }
}

fn field(pointer: &str) -> &str {
    pointer.rsplit('/').next().unwrap_or(pointer)
}
