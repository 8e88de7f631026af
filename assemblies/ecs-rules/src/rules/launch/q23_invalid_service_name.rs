use diagnostics::Severity;
use task_definition::find_placeholder;

use crate::launch::LaunchContext;
use crate::rules::shared::is_name;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q23",
    name: "invalid-service-name",
    severity: Severity::Error,
    title: "invalid name, revision or role of a service",
    explanation: "The name of a service has up to 255 letters, digits, hyphens and underscores. \
                  taskDefinition is a family, family:revision with a number, or an ARN. role is for \
                  network modes other than awsvpc, where ECS uses its service-linked role.",
    source: "ECS API, CreateService, fields serviceName, taskDefinition and role",
    hint: "Correct the name.",
    passing: with_definition!(
        r#"  "service": {
    "serviceName": "web",
    "taskDefinition": "web:7",
    "desiredCount": 2,
    "launchType": "FARGATE",
    "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    "deploymentConfiguration": {
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }
  }"#
    ),
    // A space.
    failing: Failing::Change(r#""serviceName": "web""#, r#""serviceName": "web shop""#),
    check: Check::Launch(check),
    ..Rule::DEFAULT
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    let reference = context.request.task_definition();
    if let Some(text) = reference.filter(|text| !is_reference(text)) {
        let message = format!("`{text}` is not a task definition");
        let hint = "write the family, family:revision with a number, or the ARN";
        report.add("/taskDefinition", message, hint);
    }
    let Some(service) = context.service() else {
        return;
    };

    let name = &service.service_name;
    // C06 reports a missing name.
    if !name.is_empty() && !is_name(name) && find_placeholder(name).is_none() {
        let shown: String = name.chars().take(40).collect();
        let message = match name.len() {
            0..=255 => format!("`{name}` is not a valid name of a service"),
            length => format!("`{shown}…` has {length} characters; the limit is 255"),
        };
        let hint = "use up to 255 letters, digits, hyphens and underscores";
        report.add("/serviceName", message, hint);
    }

    let network = context.request.network();
    let awsvpc = network.is_some_and(|network| network.awsvpc_configuration.is_some());
    if service.role.is_some() && awsvpc {
        let message = "role is not permitted with awsvpc: ECS uses its service-linked role";
        report.add("/role", message, "remove `role`");
    } else if service.role.is_some() && service.load_balancers.is_empty() {
        let message = "role is for a load balancer, and the service has none";
        report.add("/role", message, "remove `role`, or add \"loadBalancers\"");
    }
}

/// Returns whether a text is a family, a family with the number of a revision, or an ARN.
fn is_reference(text: &str) -> bool {
    if find_placeholder(text).is_some() {
        return true;
    }
    if text.starts_with("arn:") {
        return text.contains(":task-definition/");
    }
    let (family, revision) = text.split_once(':').unwrap_or((text, "1"));
    is_name(family) && !revision.is_empty() && revision.bytes().all(|byte| byte.is_ascii_digit())
}
