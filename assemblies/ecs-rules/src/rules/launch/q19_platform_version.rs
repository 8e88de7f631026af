use diagnostics::Severity;

use task_definition::ContainerDefinition;
use task_definition::fargate_sizes::parse_cpu;

use crate::launch::LaunchContext;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q19",
    name: "platform-version",
    severity: Severity::Error,
    title: "platform version lacks a feature of the task",
    explanation: "EFS, EBS and S3 Files volumes, ephemeral storage of a chosen size, environment files, \
                  keys of secrets, SYS_PTRACE, the pid mode of a task, ECS Exec, ARM64 and sizes of 8 \
                  vCPU or more need Linux platform version 1.4.0. Version 1.3.0 and earlier \
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

    let exec = match context.request {
        crate::launch::Request::Service(service) => service.enable_execute_command,
        crate::launch::Request::RunTask(run) => run.enable_execute_command,
    };
    let exec = exec.filter(|exec| *exec).map(|_| "ECS Exec");
    let feature = context.definition.and_then(find_feature).or(exec);
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
    let mut volumes = definition.volumes.iter();
    if volumes.any(|volume| volume.s3files_volume_configuration.is_some()) {
        return Some("S3 Files volumes");
    }
    let mut volumes = definition.volumes.iter();
    if volumes.any(|volume| volume.configured_at_launch == Some(true)) {
        return Some("EBS volumes");
    }

    let platform = definition.runtime_platform.as_ref();
    let architecture = platform.and_then(|platform| platform.cpu_architecture.as_deref());
    let cpu = definition.cpu.as_deref().and_then(parse_cpu);
    let mut containers = definition.container_definitions.iter();
    [
        (definition.ephemeral_storage.is_some(), "ephemeralStorage"),
        (definition.pid_mode.is_some(), "pidMode"),
        (architecture == Some("ARM64"), "ARM64"),
        (cpu.is_some_and(|cpu| cpu > 4096), "more than 4 vCPU"),
    ]
    .into_iter()
    .find_map(|(is_used, feature)| is_used.then_some(feature))
    .or_else(|| containers.find_map(find_container_feature))
}

fn find_container_feature(container: &ContainerDefinition) -> Option<&'static str> {
    if !container.environment_files.is_empty() {
        return Some("environment files");
    }
    let linux = container.linux_parameters.as_ref();
    let capabilities = linux.and_then(|linux| linux.capabilities.as_ref());
    if capabilities.is_some_and(|capabilities| !capabilities.add.is_empty()) {
        return Some("capabilities");
    }
    // arn:aws:secretsmanager:region:account:secret:name:key:stage:version
    let has_key = |value: &str| value.contains(":secretsmanager:") && value.split(':').count() > 7;
    let mut secrets = container.secrets.iter();
    secrets
        .any(|secret| has_key(&secret.value_from))
        .then_some("keys of secrets")
}

const LINUX: [&str; 6] = ["LATEST", "1.4.0", "1.3.0", "1.2.0", "1.1.0", "1.0.0"];
const WINDOWS: [&str; 2] = ["LATEST", "1.0.0"];
