use crate::finding::Severity;
use crate::request::LaunchContext;
use crate::rules::shared::is_port_name;
use crate::rules::{Check, Report, Rule};
use crate::service::ClientAlias;

pub(super) const RULE: Rule = Rule {
    id: "Q03",
    name: "invalid-service-connect",
    severity: Severity::Error,
    title: "invalid Service Connect configuration",
    explanation: "A discovery name has up to 64 small letters, digits, _ and -, and does not \
                  begin with a hyphen. A service has one client alias, whose name has up to \
                  127 characters. The proxy speaks tcp only.",
    source: "ECS API, ServiceConnectService and ServiceConnectClientAlias",
    hint: "Shorten or correct the name, and keep one alias.",
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
    "serviceConnectConfiguration": {
      "enabled": true,
      "services": [{ "portName": "web", "discoveryName": "web", "clientAliases": [{ "port": 80, "dnsName": "web" }] }]
    },
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
    "serviceConnectConfiguration": {
      "enabled": true,
      "services": [{ "portName": "web", "discoveryName": "Web", "clientAliases": [{ "port": 80, "dnsName": "web" }] }]
    },
    "deploymentConfiguration": {
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }
  }
}"#,
    check: Check::Launch(check),
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    let connect = context
        .service()
        .and_then(|one| one.service_connect_configuration.as_ref());
    let Some(connect) = connect.filter(|connect| connect.enabled) else {
        return;
    };
    let mut found: Vec<&str> = Vec::new();

    for (index, one) in connect.services.iter().enumerate() {
        let pointer = format!("/serviceConnectConfiguration/services/{index}");
        let name = one.discovery_name.as_deref();
        if let Some(name) = name.filter(|name| !is_port_name(name)) {
            let message = format!("`{name}` cannot be a discovery name");
            let hint = "use up to 64 small letters, digits, _ and -, no - in front";
            report.add(format!("{pointer}/discoveryName"), message, hint);
        }

        let called = name.unwrap_or(&one.port_name);
        if found.contains(&called) {
            let message = format!("two ports would be found as `{called}`");
            report.add(
                &pointer,
                message,
                "add another \"discoveryName\" to one of them",
            );
        }

        found.push(called);
        aliases(&pointer, &one.client_aliases, report);
        speaks_tcp(&pointer, &one.port_name, context, report);
    }
}

fn aliases(pointer: &str, aliases: &[ClientAlias], report: &mut Report) {
    if aliases.len() > 1 {
        let message = format!("{} client aliases; a port can have one", aliases.len());
        report.add(
            format!("{pointer}/clientAliases"),
            message,
            "keep one of them",
        );
    }

    for (index, alias) in aliases.iter().enumerate() {
        let pointer = format!("{pointer}/clientAliases/{index}");
        let length = alias.dns_name.as_deref().map_or(0, str::len);
        if length > 127 {
            let message = format!("the name of the alias has {length} characters; it may have 127");
            report.add(format!("{pointer}/dnsName"), message, "shorten the name");
        }

        if !(1..=65535).contains(&alias.port) {
            let message = format!("{} is no port", alias.port);
            report.add(
                format!("{pointer}/port"),
                message,
                "choose a port from 1 to 65535",
            );
        }
    }
}

fn speaks_tcp(pointer: &str, name: &str, context: &LaunchContext<'_>, report: &mut Report) {
    let containers = context
        .definition
        .map_or(&[][..], |one| &one.container_definitions);
    let mut ports = containers.iter().flat_map(|one| &one.port_mappings);
    let named = ports.find(|port| port.name.as_deref() == Some(name));

    if named.is_some_and(|port| port.protocol.as_deref() == Some("udp")) {
        let message = format!("the port `{name}` is for udp; Service Connect speaks tcp only");
        report.add(
            format!("{pointer}/portName"),
            message,
            "choose a port for tcp",
        );
    }
}
