use diagnostics::Severity;

use crate::launch::LaunchContext;
use crate::rules::launch::q10_conflicting_settings::blocks_deployments;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q07",
    name: "no-deployment-headroom",
    severity: Severity::Warning,
    title: "deployment percentages leave no headroom",
    explanation: "In a rolling update ECS starts new tasks up to maximumPercent of the desired \
                  count, rounded down, and stops old ones down to minimumHealthyPercent, rounded up. \
                  If neither is possible, the deployment never finishes.",
    source: "ECS API, DeploymentConfiguration, fields maximumPercent and minimumHealthyPercent",
    hint: "Raise maximumPercent, or lower minimumHealthyPercent.",
    passing: with_definition!(
        r#"  "service": {
    "serviceName": "web",
    "taskDefinition": "web",
    "desiredCount": 2,
    "launchType": "FARGATE",
    "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    "deploymentConfiguration": {
      "maximumPercent": 200,
      "minimumHealthyPercent": 100,
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }
  }"#
    ),
    // Of two tasks both must keep running, and 125 % of two are two.
    failing: Failing::Change(r#""maximumPercent": 200"#, r#""maximumPercent": 125"#),
    check: Check::Launch(check),
    ..Rule::DEFAULT
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    let Some(service) = context.service() else {
        return;
    };
    let Some(deployment) = &service.deployment_configuration else {
        return;
    };
    let strategy = deployment.strategy.as_deref().unwrap_or("ROLLING");
    let controller = service.deployment_controller.as_ref();
    let is_daemon = service.scheduling_strategy.as_deref() == Some("DAEMON");

    // The percentages apply to rolling updates of replica services only.
    if strategy != "ROLLING"
        || is_daemon
        || controller.is_some_and(|controller| controller.kind != "ECS")
    {
        return;
    }

    // The defaults of CreateService for replica services.
    let max_percent = deployment.maximum_percent.unwrap_or(200);
    let min_percent = deployment.minimum_healthy_percent.unwrap_or(100);
    let desired = u64::from(service.desired_count.unwrap_or(1).max(1));
    // ECS rounds the maximum down and the minimum up.
    let may_run = desired * u64::from(max_percent) / 100;
    let must_run = (desired * u64::from(min_percent)).div_ceil(100);

    // Q10 reports percentages that ECS itself rejects.
    if may_run > desired || must_run < desired || blocks_deployments(service) {
        return;
    }

    let message = format!(
        "of {desired} desired tasks, {must_run} must keep running and at most {may_run} may run, so none can be replaced"
    );
    let field = if deployment.maximum_percent.is_some() {
        "maximumPercent"
    } else {
        "minimumHealthyPercent"
    };

    let hint = "write \"maximumPercent\": 200, or lower \"minimumHealthyPercent\"";
    report.add(format!("/deploymentConfiguration/{field}"), message, hint);
}
