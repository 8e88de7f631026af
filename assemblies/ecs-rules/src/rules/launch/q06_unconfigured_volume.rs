use diagnostics::{Severity, nearest};

use crate::launch::{LaunchContext, Request};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q06",
    name: "unconfigured-volume",
    severity: Severity::Error,
    title: "volume configuration missing at launch",
    explanation: "A definition with a configuredAtLaunch volume does not define its size or role. \
                  The service or RunTask request must configure that volume by name, and no other.",
    source: "ECS API, ServiceVolumeConfiguration and TaskVolumeConfiguration",
    hint: "Add volumeConfigurations with the volume's name.",
    passing: r#"{
  "taskDefinition": {
    "family": "web",
    "requiresCompatibilities": ["FARGATE"],
    "networkMode": "awsvpc",
    "cpu": "256",
    "memory": "512",
    "volumes": [{ "name": "data", "configuredAtLaunch": true }],
    "containerDefinitions": [
      {
        "name": "app",
        "image": "app:1",
        "mountPoints": [{ "sourceVolume": "data", "containerPath": "/data" }],
        "portMappings": [{ "containerPort": 8080, "name": "web" }]
      }
    ]
  },
  "service": {
    "serviceName": "web",
    "taskDefinition": "web",
    "desiredCount": 2,
    "launchType": "FARGATE",
    "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    "volumeConfigurations": [
      {
        "name": "data",
        "managedEBSVolume": { "sizeInGiB": 20, "roleArn": "arn:aws:iam::111122223333:role/ecs-volumes" }
      }
    ],
    "deploymentConfiguration": {
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }
  }
}"#,
    // The service does not configure the volume.
    failing: Failing::Document(
        r#"{
  "taskDefinition": {
    "family": "web",
    "requiresCompatibilities": ["FARGATE"],
    "networkMode": "awsvpc",
    "cpu": "256",
    "memory": "512",
    "volumes": [{ "name": "data", "configuredAtLaunch": true }],
    "containerDefinitions": [
      {
        "name": "app",
        "image": "app:1",
        "mountPoints": [{ "sourceVolume": "data", "containerPath": "/data" }],
        "portMappings": [{ "containerPort": 8080, "name": "web" }]
      }
    ]
  },
  "service": {
    "serviceName": "web",
    "taskDefinition": "web",
    "desiredCount": 2,
    "launchType": "FARGATE",
    "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    "deploymentConfiguration": {
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }
  }
}"#,
    ),
    check: Check::Launch(check),
    ..Rule::DEFAULT
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    let configured: Vec<&str> = match context.request {
        Request::Service(service) => service
            .volume_configurations
            .iter()
            .map(|volume| &*volume.name)
            .collect(),
        Request::RunTask(run) => run
            .volume_configurations
            .iter()
            .map(|volume| &*volume.name)
            .collect(),
    };

    // ECS attaches one EBS volume per task.
    if configured.len() > 1 {
        let message = format!(
            "{} volumes are configured; a task can have one",
            configured.len()
        );
        report.add("/volumeConfigurations", message, "keep one of them");
    }

    let Some(definition) = context.definition else {
        return;
    };
    let at_launch: Vec<&str> = definition
        .volumes
        .iter()
        .filter(|volume| volume.configured_at_launch == Some(true))
        .map(|volume| &*volume.name)
        .collect();

    for name in at_launch.iter().filter(|name| !configured.contains(name)) {
        let noun = context.request.noun();
        let message = format!(
            "the volume `{name}` is configured at launch, but {noun} does not configure it"
        );
        let hint = format!("add \"volumeConfigurations\" with the name `{name}`");
        report.add("/volumeConfigurations", message, hint);
    }

    for (index, name) in configured.iter().enumerate() {
        if !at_launch.contains(name) {
            let message =
                format!("the definition has no volume `{name}` that is configured at launch");
            let hint = match nearest(name, at_launch.iter().copied()) {
                Some(suggestion) => format!("did you mean `{suggestion}`?"),
                None => "remove it, or add \"configuredAtLaunch\": true to the volume".to_owned(),
            };
            report.add(format!("/volumeConfigurations/{index}/name"), message, hint);
        }
    }
}
