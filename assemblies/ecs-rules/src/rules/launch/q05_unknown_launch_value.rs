use diagnostics::Severity;
use task_definition::Service;

use crate::launch::{LaunchContext, Request};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q05",
    name: "unknown-launch-value",
    severity: Severity::Error,
    title: "unknown enum value in a service or request",
    explanation: "Launch types, strategies, controllers and similar settings accept fixed upper-case \
                  values. ECS rejects others.",
    source: "ECS API, CreateService and RunTask; cfn-lint E3030",
    hint: "Use one of the values in the message.",
    passing: with_definition!(
        r#"  "service": {
    "serviceName": "web",
    "taskDefinition": "web",
    "desiredCount": 2,
    "launchType": "FARGATE",
    "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    "propagateTags": "SERVICE",
    "deploymentConfiguration": {
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }
  }"#
    ),
    // The value is in lower case.
    failing: Failing::Change(
        r#""propagateTags": "SERVICE""#,
        r#""propagateTags": "service""#,
    ),
    check: Check::Launch(check),
    ..Rule::DEFAULT
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    let request = context.request;
    report.check_enum("/launchType", request.launch_type(), LAUNCH_TYPES);
    let network = request
        .network()
        .and_then(|network| network.awsvpc_configuration.as_ref());
    let public = network.and_then(|network| network.assign_public_ip.as_deref());
    let pointer = "/networkConfiguration/awsvpcConfiguration/assignPublicIp";

    report.check_enum(pointer, public, ENABLED_OR_DISABLED);
    match request {
        Request::Service(service) => check_service(service, report),
        Request::RunTask(run) => {
            report.check_enum("/propagateTags", run.propagate_tags.as_deref(), TAGS);
        }
    }
}

fn check_service(service: &Service, report: &mut Report) {
    let deployment = service.deployment_configuration.as_ref();
    let controller = service.deployment_controller.as_ref();
    // A missing value is its default and always valid.
    for (pointer, word, known) in [
        ("/propagateTags", service.propagate_tags.as_deref(), TAGS),
        (
            "/schedulingStrategy",
            service.scheduling_strategy.as_deref(),
            &["REPLICA", "DAEMON"],
        ),
        (
            "/availabilityZoneRebalancing",
            service.availability_zone_rebalancing.as_deref(),
            ENABLED_OR_DISABLED,
        ),
        (
            "/deploymentController/type",
            controller.map(|controller| controller.kind.as_str()),
            &["ECS", "CODE_DEPLOY", "EXTERNAL"],
        ),
        (
            "/deploymentConfiguration/strategy",
            deployment.and_then(|deployment| deployment.strategy.as_deref()),
            &["ROLLING", "BLUE_GREEN", "LINEAR", "CANARY"],
        ),
    ] {
        report.check_enum(pointer, word, known);
    }

    for (index, strategy) in service.placement_strategy.iter().enumerate() {
        let pointer = format!("/placementStrategy/{index}/type");
        report.check_enum(
            &pointer,
            strategy.kind.as_deref(),
            &["random", "spread", "binpack"],
        );
    }

    for (index, constraint) in service.placement_constraints.iter().enumerate() {
        let pointer = format!("/placementConstraints/{index}/type");
        report.check_enum(
            &pointer,
            constraint.kind.as_deref(),
            &["distinctInstance", "memberOf"],
        );
    }
}

const LAUNCH_TYPES: &[&str] = &["EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"];
const ENABLED_OR_DISABLED: &[&str] = &["ENABLED", "DISABLED"];
const TAGS: &[&str] = &["TASK_DEFINITION", "SERVICE", "NONE"];
