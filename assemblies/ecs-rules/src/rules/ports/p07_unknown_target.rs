use diagnostics::{Severity, nearest};
use task_definition::TaskDefinition;

use crate::launch::LaunchContext;
use crate::rules::shared::{range, suggest_container};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "P07",
    name: "unknown-target",
    severity: Severity::Error,
    title: "service names an unknown container or port",
    explanation: "A load balancer targets a container and port; Service Connect, VPC Lattice and \
                  gateways target a port name. ECS rejects a target that the definition does not \
                  have, or its traffic never reaches a container.",
    source: "ECS API, LoadBalancer and ServiceConnectService, field portName",
    hint: "Correct the name, or add the port to the container's portMappings.",
    passing: r#"{
  "taskDefinition": {
    "family": "web",
    "requiresCompatibilities": ["FARGATE"],
    "networkMode": "awsvpc",
    "cpu": "256",
    "memory": "512",
    "containerDefinitions": [
      {
        "name": "app",
        "image": "app:1",
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
    "loadBalancers": [
      {
        "targetGroupArn": "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/web/0123456789abcdef",
        "containerName": "app",
        "containerPort": 8080
      }
    ],
    "deploymentConfiguration": {
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }
  }
}"#,
    // The load balancer targets 8081; the container maps 8080.
    failing: Failing::Change(
        r#"        "containerPort": 8080"#,
        r#"        "containerPort": 8081"#,
    ),
    check: Check::Launch(check),
    ..Rule::DEFAULT
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    // Without the definition nothing is known about its ports.
    let (Some(service), Some(definition)) = (context.service(), context.definition) else {
        return;
    };
    for (index, target) in service.load_balancers.iter().enumerate() {
        let pointer = format!("/loadBalancers/{index}");
        check_target(
            definition,
            target.container_name.as_deref(),
            target.container_port,
            &pointer,
            report,
        );
    }

    for (index, target) in service.service_registries.iter().enumerate() {
        let pointer = format!("/serviceRegistries/{index}");
        check_target(
            definition,
            target.container_name.as_deref(),
            target.container_port,
            &pointer,
            report,
        );
    }

    // A disabled configuration is not evaluated by ECS.
    let connect = service.service_connect_configuration.as_ref();
    for (index, exposed) in connect
        .filter(|connect| connect.enabled)
        .iter()
        .flat_map(|connect| connect.services.iter().enumerate())
    {
        let pointer = format!("/serviceConnectConfiguration/services/{index}/portName");
        check_port_name(definition, &exposed.port_name, &pointer, report);
    }

    for (index, exposed) in service.vpc_lattice_configurations.iter().enumerate() {
        let pointer = format!("/vpcLatticeConfigurations/{index}/portName");
        check_port_name(definition, &exposed.port_name, &pointer, report);
    }

    for (index, exposed) in service.gateway_connectors.iter().enumerate() {
        let pointer = format!("/gatewayConnectors/{index}/portName");
        check_port_name(definition, &exposed.port_name, &pointer, report);
    }
}

/// Checks that a container and its port exist.
fn check_target(
    definition: &TaskDefinition,
    name: Option<&str>,
    port: Option<u32>,
    pointer: &str,
    report: &mut Report,
) {
    let Some(name) = name else {
        return;
    };
    let Some(container) = definition.container(name) else {
        let message = format!("the definition has no container `{name}`");
        let pointer = format!("{pointer}/containerName");
        return report.add(pointer, message, suggest_container(definition, name));
    };

    let Some(port) = port else {
        return;
    };
    let ranges: Vec<_> = container.port_mappings.iter().filter_map(range).collect();

    if !ranges
        .iter()
        .any(|(first, last)| (*first..=*last).contains(&port))
    {
        let message = format!("`{name}` has no port {port} in its portMappings");
        let hint = match &*ranges {
            // With a single port the intended one is clear.
            [(only, last)] if only == last => {
                format!("write {only}, or add {port} to the container's portMappings")
            }
            _ => format!("add {{ \"containerPort\": {port} }} to the container's portMappings"),
        };
        report.add(format!("{pointer}/containerPort"), message, hint);
    }
}

/// Checks that a port with this name exists.
fn check_port_name(definition: &TaskDefinition, name: &str, pointer: &str, report: &mut Report) {
    let containers = definition.container_definitions.iter();
    let ports = containers.flat_map(|container| &container.port_mappings);
    let names: Vec<&str> = ports.filter_map(|port| port.name.as_deref()).collect();
    if names.contains(&name) {
        return;
    }

    let message = format!("the definition has no port named `{name}`");
    let hint = match nearest(name, names.iter().copied()) {
        Some(suggestion) => format!("did you mean `{suggestion}`?"),
        None => format!("add \"name\": \"{name}\" to the port of a container"),
    };

    report.add(pointer, message, hint);
}
