use diagnostics::Severity;

use crate::launch::LaunchContext;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q19",
    name: "platform-version",
    severity: Severity::Error,
    title: "platform version lacks a feature of the task",
    explanation: "EFS volumes, ephemeral storage of a chosen size and the pid mode of a task need \
                  Linux platform version 1.4.0. Version 1.3.0 and earlier \
                  reject or ignore them. A platform version is valid on Fargate only.",
    source: "ECS API, CreateService, field platformVersion, and RegisterTaskDefinition, field \
             ephemeralStorage; ECS developer guide, Fargate platform versions and EFS volumes",
    hint: "Write LATEST or 1.4.0, or leave it out.",
    passing: with_definition!(
        r#"  "service": {
    "serviceName": "web",
    "taskDefinition": "web",
    "desiredCount": 2,
    "launchType": "FARGATE",
    "platformVersion": "1.4.0",
    "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    "deploymentConfiguration": {
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }
  }"#
    ),
    // The version does not exist.
    failing: Failing::Change(
        r#""platformVersion": "1.4.0""#,
        r#""platformVersion": "1.5""#,
    ),
    check: Check::Launch(check),
    ..Rule::DEFAULT
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    let version = match context.request {
        crate::launch::Request::Service(service) => service.platform_version.as_deref(),
        crate::launch::Request::RunTask(run) => run.platform_version.as_deref(),
    };
    let Some(version) = version else {
        return;
    };
    let pointer = "/platformVersion";
    if matches!(
        context.request.launch_type(),
        Some("EC2" | "EXTERNAL" | "MANAGED_INSTANCES")
    ) {
        let message = "only tasks on Fargate have a platform version";
        report.add(pointer, message, "remove `platformVersion`");
        return;
    }

    let windows = context
        .definition
        .is_some_and(task_definition::TaskDefinition::is_windows);
    let known: &[&str] = if windows { &WINDOWS } else { &LINUX };
    let is_known =
        known.contains(&version) || (context.definition.is_none() && WINDOWS.contains(&version));
    if !is_known {
        let message = format!("Fargate has no platform version `{version}`");
        report.add(pointer, message, "write LATEST or 1.4.0, or leave it out");
        return;
    }

    let feature = context.definition.and_then(find_feature);
    if let Some(feature) = feature.filter(|_| !windows && !matches!(version, "LATEST" | "1.4.0")) {
        let message = format!("platform version {version} does not support {feature}");
        report.add(pointer, message, "write LATEST or 1.4.0, or leave it out");
    }
}

/// Returns a feature of the definition that version 1.4.0 introduced.
fn find_feature(definition: &task_definition::TaskDefinition) -> Option<&'static str> {
    let mut volumes = definition.volumes.iter();
    if volumes.any(|volume| volume.efs_volume_configuration.is_some()) {
        return Some("EFS volumes");
    }
    if definition.ephemeral_storage.is_some() {
        return Some("ephemeralStorage");
    }
    definition.pid_mode.as_ref().map(|_| "pidMode")
}

const LINUX: [&str; 6] = ["LATEST", "1.4.0", "1.3.0", "1.2.0", "1.1.0", "1.0.0"];
const WINDOWS: [&str; 2] = ["LATEST", "1.0.0"];
