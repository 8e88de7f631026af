use diagnostics::Severity;
use task_definition::find_placeholder;

use crate::launch::LaunchContext;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q25",
    name: "invalid-service-registry",
    severity: Severity::Error,
    title: "invalid Cloud Map registry of a service",
    explanation: "A service has one registry, the ARN of a Cloud Map service, not of its namespace. \
                  For SRV records it has either port or containerName and containerPort, not both.",
    source: "ECS API, ServiceRegistry and CreateService, field serviceRegistries",
    hint: "Keep one registry, and copy the ARN of the Cloud Map service.",
    passing: with_definition!(
        r#"  "service": {
    "serviceName": "web",
    "taskDefinition": "web",
    "desiredCount": 2,
    "launchType": "FARGATE",
    "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    "serviceRegistries": [
      { "registryArn": "arn:aws:servicediscovery:eu-central-1:111122223333:service/srv-0123456789abcdef" }
    ],
    "deploymentConfiguration": {
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }
  }"#
    ),
    // The ARN of a namespace.
    failing: Failing::Change(":service/srv-", ":namespace/ns-"),
    check: Check::Launch(check),
    ..Rule::DEFAULT
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    let Some(service) = context.service() else {
        return;
    };
    let registries = &service.service_registries;
    if registries.len() > 1 {
        let message = format!("{} registries; a service can have one", registries.len());
        report.add("/serviceRegistries/1", message, "keep one of them");
    }

    for (index, registry) in registries.iter().enumerate() {
        let pointer = format!("/serviceRegistries/{index}");
        let arn = registry.registry_arn.as_deref();
        if let Some(arn) = arn.filter(|arn| !is_registry(arn)) {
            let message = format!("`{arn}` is not the ARN of a Cloud Map service");
            let hint = "copy the ARN with :service/srv- in it";
            report.add(format!("{pointer}/registryArn"), message, hint);
        }

        let names_container =
            registry.container_name.is_some() || registry.container_port.is_some();
        if registry.port.is_some() && names_container {
            let message = "a registry has either port or containerName and containerPort";
            report.add(format!("{pointer}/port"), message, "remove `port`");
        } else if registry.container_name.is_some() != registry.container_port.is_some() {
            let message = "containerName and containerPort of a registry must be set together";
            report.add(pointer, message, "add the missing one");
        }
    }
}

fn is_registry(arn: &str) -> bool {
    let is_service = arn.starts_with("arn:")
        && arn.contains(":servicediscovery:")
        && arn.contains(":service/srv-");
    is_service || find_placeholder(arn).is_some()
}
