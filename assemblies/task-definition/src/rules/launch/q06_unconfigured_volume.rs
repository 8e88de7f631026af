use crate::finding::Severity;
use crate::request::LaunchContext;
use crate::request::Request;
use crate::rules::{Check, Report, Rule};
use crate::spelling::nearest;

pub(super) const RULE: Rule = Rule {
    id: "Q06",
    name: "unconfigured-volume",
    severity: Severity::Error,
    title: "volume configuration missing at launch",
    explanation: "A definition with a volume that has configuredAtLaunch says nothing of its \
                  size or role. The service, or the request to run the task, must: by the \
                  volume's name, and for no other.",
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
    failing: r#"{
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
    check: Check::Launch(check),
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    let configured: Vec<&str> = match context.request {
        Request::Service(one) => one
            .volume_configurations
            .iter()
            .map(|one| &*one.name)
            .collect(),
        Request::RunTask(one) => one
            .volume_configurations
            .iter()
            .map(|one| &*one.name)
            .collect(),
    };

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
    let waiting = definition
        .volumes
        .iter()
        .filter(|one| one.configured_at_launch == Some(true));
    let waiting: Vec<&str> = waiting.map(|one| &*one.name).collect();

    for name in waiting.iter().filter(|name| !configured.contains(name)) {
        let what = context.request.noun();
        let message = format!("the volume `{name}` is to be configured at launch; {what} does not");
        let hint = format!("add \"volumeConfigurations\" with the name `{name}`");
        report.add("/volumeConfigurations", message, hint);
    }

    for (index, name) in configured.iter().enumerate() {
        if !waiting.contains(name) {
            let message =
                format!("the definition has no volume `{name}` that is configured at launch");
            let hint = match nearest(name, waiting.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "remove it, or add \"configuredAtLaunch\": true to the volume".to_owned(),
            };
            report.add(format!("/volumeConfigurations/{index}/name"), message, hint);
        }
    }
}
