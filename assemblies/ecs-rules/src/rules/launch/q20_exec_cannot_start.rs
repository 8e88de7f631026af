use diagnostics::Severity;
use task_definition::ContainerDefinition;

use crate::launch::{LaunchContext, Request};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q20",
    name: "exec-cannot-start",
    severity: Severity::Error,
    title: "ECS Exec cannot work with the task definition",
    explanation: "ECS Exec opens its channels with the task role and is rejected without one. Its \
                  agent writes into the container, so a read-only root file system prevents it, \
                  unless volumes cover its folders.",
    source: "ECS developer guide, ECS Exec, prerequisites and considerations",
    hint: "Set taskRoleArn, and leave readonlyRootFilesystem out where exec is needed.",
    passing: r#"{
  "taskDefinition": {
    "family": "web",
    "requiresCompatibilities": ["FARGATE"],
    "networkMode": "awsvpc",
    "cpu": "256",
    "memory": "512",
    "taskRoleArn": "arn:aws:iam::111122223333:role/web",
    "containerDefinitions": [{ "name": "app", "image": "app:1" }]
  },
  "service": {
    "serviceName": "web",
    "taskDefinition": "web",
    "desiredCount": 2,
    "launchType": "FARGATE",
    "enableExecuteCommand": true,
    "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    "deploymentConfiguration": {
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }
  }
}"#,
    // The task role is missing.
    failing: Failing::Change(
        r#"
    "taskRoleArn": "arn:aws:iam::111122223333:role/web","#,
        "",
    ),
    check: Check::Launch(check),
    ..Rule::DEFAULT
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    let (enabled, role) = match context.request {
        Request::Service(service) => (service.enable_execute_command, None),
        Request::RunTask(run) => {
            let overrides = run.overrides.as_ref();
            let role = overrides.and_then(|overrides| overrides.task_role_arn.as_deref());
            (run.enable_execute_command, role)
        }
    };
    let Some(definition) = context.definition.filter(|_| enabled == Some(true)) else {
        return;
    };
    let pointer = "/enableExecuteCommand";
    if definition.task_role_arn.is_none() && role.is_none() {
        let message = "ECS Exec needs a task role, which the definition does not have";
        let hint = "set \"taskRoleArn\" to a role that allows ssmmessages, or remove `enableExecuteCommand`";
        report.add(pointer, message, hint);
    }

    let mut all = definition.container_definitions.iter();
    if let Some(container) = all.find(|container| is_read_only(container)) {
        let message = format!(
            "ECS Exec does not work in `{}`, whose root file system is read-only",
            container.name
        );
        let hint = "make the root of that container writable, or remove `enableExecuteCommand`";
        report.warn(pointer, message, hint);
    }
}

/// Returns whether the agent of ECS Exec cannot write its files.
fn is_read_only(container: &ContainerDefinition) -> bool {
    // Volumes at its folders are a known way out (aws/containers-roadmap#1359).
    let covers = |path: &str| AGENT_FOLDERS.iter().any(|folder| folder.starts_with(path));
    let is_covered = container
        .mount_points
        .iter()
        .any(|mount| covers(&mount.container_path));
    container.readonly_root_filesystem == Some(true) && !is_covered
}

const AGENT_FOLDERS: [&str; 3] = ["/managed-agents", "/var/lib/amazon", "/var/log/amazon"];
