use diagnostics::Severity;
use task_definition::ClientAlias;

use crate::launch::LaunchContext;
use crate::rules::shared::is_port_name;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q03",
    name: "invalid-service-connect",
    severity: Severity::Error,
    title: "invalid Service Connect configuration",
    explanation: "A discovery name has up to 64 lower-case letters, digits, _ and -, and does not \
                  begin with a hyphen. A service has one client alias, whose name has up to 127 \
                  characters. The proxy supports tcp and the network modes awsvpc and bridge only.",
    source: "ECS API, ServiceConnectService and ServiceConnectClientAlias",
    hint: "Shorten or correct the name, and keep one alias.",
    passing: with_definition!(
        r#"  "service": {
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
  }"#
    ),
    // The discovery name has an upper-case letter.
    failing: Failing::Change(r#""discoveryName": "web""#, r#""discoveryName": "Web""#),
    check: Check::Launch(check),
    ..Rule::DEFAULT
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    let connect = context
        .service()
        .and_then(|service| service.service_connect_configuration.as_ref());
    let Some(connect) = connect.filter(|connect| connect.enabled) else {
        return;
    };
    let mode = context
        .definition
        .and_then(|definition| definition.network_mode.as_deref());
    if let Some(mode) = mode.filter(|mode| matches!(*mode, "host" | "none")) {
        let message = format!("Service Connect does not support the network mode {mode}");
        let hint = "write \"networkMode\": \"awsvpc\" in the definition";
        report.add("/serviceConnectConfiguration", message, hint);
    }
    let mut found: Vec<&str> = Vec::new();

    for (index, exposed) in connect.services.iter().enumerate() {
        let pointer = format!("/serviceConnectConfiguration/services/{index}");
        let name = exposed.discovery_name.as_deref();
        if let Some(name) = name.filter(|name| !is_port_name(name)) {
            let message = format!("`{name}` is not a valid discovery name");
            let hint = "use up to 64 lower-case letters, digits, _ and -, not beginning with -";
            report.add(format!("{pointer}/discoveryName"), message, hint);
        }

        // Without a discovery name the port name is used.
        let discovery_name = name.unwrap_or(&exposed.port_name);
        if found.contains(&discovery_name) {
            let message = format!("two ports have the discovery name `{discovery_name}`");
            report.add(
                &pointer,
                message,
                "add another \"discoveryName\" to one of them",
            );
        }

        found.push(discovery_name);
        check_aliases(&pointer, &exposed.client_aliases, report);
        check_protocol(&pointer, &exposed.port_name, context, report);
    }
}

fn check_aliases(pointer: &str, aliases: &[ClientAlias], report: &mut Report) {
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
            let message =
                format!("the name of the alias has {length} characters; the limit is 127");
            report.add(format!("{pointer}/dnsName"), message, "shorten the name");
        }

        if !(1..=65535).contains(&alias.port) {
            let message = format!("{} is not a port", alias.port);
            report.add(
                format!("{pointer}/port"),
                message,
                "choose a port from 1 to 65535",
            );
        }
    }
}

fn check_protocol(pointer: &str, name: &str, context: &LaunchContext<'_>, report: &mut Report) {
    let containers = context
        .definition
        .map_or(&[][..], |definition| &definition.container_definitions);
    let mut ports = containers
        .iter()
        .flat_map(|container| &container.port_mappings);
    let port = ports.find(|port| port.name.as_deref() == Some(name));

    if port.is_some_and(|port| port.protocol.as_deref() == Some("udp")) {
        let message = format!("the port `{name}` is for udp; Service Connect supports tcp only");
        report.add(format!("{pointer}/portName"), message, "use a tcp port");
    }
}
