use diagnostics::Severity;
use task_definition::{DeploymentConfiguration, EarlySuccess};

use crate::launch::LaunchContext;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q13",
    name: "invalid-early-success",
    severity: Severity::Error,
    title: "invalid early success criteria",
    explanation: "Early success criteria apply to rolling updates. When enabled, they need \
                  healthyPercent, from 0 to 100 and at least minimumHealthyPercent, and \
                  sourceServiceRevisionCleanup, which is BLOCKING or DEFERRED.",
    source: "ECS API, DeploymentEarlySuccessCriteria",
    hint: "Set both fields, or disable the criteria.",
    passing: with_definition!(
        r#"  "service": {
    "serviceName": "web",
    "taskDefinition": "web",
    "desiredCount": 20,
    "launchType": "FARGATE",
    "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    "deploymentConfiguration": {
      "minimumHealthyPercent": 75,
      "earlySuccessCriteria": {
        "enable": true,
        "healthyPercent": 90,
        "sourceServiceRevisionCleanup": "DEFERRED"
      },
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }
  }"#
    ),
    // Fewer healthy tasks than the update itself keeps.
    failing: Failing::Change(r#""healthyPercent": 90"#, r#""healthyPercent": 50"#),
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
    let Some(criteria) = &deployment.early_success_criteria else {
        return;
    };
    let pointer = "/deploymentConfiguration/earlySuccessCriteria";

    let cleanup = criteria.source_service_revision_cleanup.as_deref();
    report.check_enum(
        &format!("{pointer}/sourceServiceRevisionCleanup"),
        cleanup,
        &["BLOCKING", "DEFERRED"],
    );
    check_percent(deployment, criteria, pointer, report);

    // Disabled criteria need nothing, and DescribeServices returns them for every service.
    if !criteria.enable {
        return;
    }
    let strategy = deployment.strategy.as_deref().unwrap_or("ROLLING");
    if matches!(strategy, "BLUE_GREEN" | "LINEAR" | "CANARY") {
        let message = format!("early success criteria are for rolling updates, not for {strategy}");
        report.add(pointer, message, "remove `earlySuccessCriteria`");
    }

    for (field, is_missing) in [
        ("healthyPercent", criteria.healthy_percent.is_none()),
        ("sourceServiceRevisionCleanup", cleanup.is_none()),
    ] {
        if is_missing {
            let message = format!("early success criteria need {field}");
            let hint = format!("add \"{field}\" to earlySuccessCriteria");
            report.add_missing(&format!("{pointer}/{field}"), pointer, message, hint);
        }
    }
}

fn check_percent(
    deployment: &DeploymentConfiguration,
    criteria: &EarlySuccess,
    pointer: &str,
    report: &mut Report,
) {
    let Some(percent) = criteria.healthy_percent else {
        return;
    };
    let pointer = format!("{pointer}/healthyPercent");
    // The default of CreateService for replica services is not compared: it may be that of a daemon.
    let least = deployment.minimum_healthy_percent.unwrap_or(0);

    if percent > 100 {
        let message = format!("healthyPercent is {percent}; the range is 0 to 100");
        report.add(pointer, message, "write at most 100");
    } else if criteria.enable && percent < least {
        let message = format!("healthyPercent is {percent}, below minimumHealthyPercent {least}");
        report.add(pointer, message, format!("write at least {least}"));
    }
}
