use diagnostics::Severity;
use task_definition::{LocatedDefinition, ProxyConfiguration, TaskDefinition};

use crate::rules::shared::{has_placeholder_names, suggest_container};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "X08",
    name: "unknown-proxy-container",
    severity: Severity::Error,
    title: "invalid proxy configuration",
    explanation: "proxyConfiguration names the container that is the proxy. ECS rejects a definition \
                  without that container. The type is APPMESH, the network mode is awsvpc, and the \
                  properties include AppPorts, ProxyIngressPort, ProxyEgressPort, and IgnoredUID or \
                  IgnoredGID.",
    source: "ECS API, ProxyConfiguration, field containerName",
    hint: "Name a container of the task.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "envoy", "image": "envoy:1" }]
}"#,
    // No container is called `proxy`.
    failing: Failing::Change(
        r#""memory": "512""#,
        r#""memory": "512",
  "proxyConfiguration": { "type": "APPMESH", "containerName": "proxy" }"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let definition = &located.definition;
    let Some(proxy) = &definition.proxy_configuration else {
        return;
    };
    check_settings(definition, proxy, report);
    let name = &proxy.container_name;
    if definition.container(name).is_some() || has_placeholder_names(located) {
        return;
    }
    let message = match name.as_str() {
        "" => "proxyConfiguration does not name its container".to_owned(),
        name => format!("the task has no container `{name}` to be its proxy"),
    };
    let hint = suggest_container(definition, name);
    report.add("/proxyConfiguration/containerName", message, hint);
}

fn check_settings(definition: &TaskDefinition, proxy: &ProxyConfiguration, report: &mut Report) {
    let enclosing = "/proxyConfiguration";
    report.check_enum(
        &format!("{enclosing}/type"),
        proxy.kind.as_deref(),
        &["APPMESH"],
    );
    let mode = definition.network_mode.as_deref();
    // T04 reports the mode of a task on Fargate.
    if !definition.is_fargate() && mode.unwrap_or("bridge") != "awsvpc" {
        let message = "a proxy needs the network mode awsvpc";
        let hint = "write \"networkMode\": \"awsvpc\", or remove `proxyConfiguration`";
        report.add(enclosing, message, hint);
    }

    let has = |name: &str| {
        proxy
            .properties
            .iter()
            .any(|property| property.name == name)
    };
    for (index, property) in proxy.properties.iter().enumerate() {
        let pointer = format!("{enclosing}/properties/{index}/name");
        report.check_enum(&pointer, Some(&property.name), &PROPERTIES);
    }
    // Without any properties the configuration is a fragment, as in documentation.
    if proxy.properties.is_empty() {
        return;
    }
    for name in ["AppPorts", "ProxyIngressPort", "ProxyEgressPort"] {
        if !has(name) {
            let message = format!("the proxy has no property {name}");
            let hint = format!("add {{ \"name\": \"{name}\", \"value\": \"…\" }}");
            report.add(format!("{enclosing}/properties"), message, hint);
        }
    }
    if !has("IgnoredUID") && !has("IgnoredGID") {
        let message = "the proxy has neither IgnoredUID nor IgnoredGID, so it would forward its own traffic to itself";
        let hint = "add { \"name\": \"IgnoredUID\", \"value\": \"1337\" }, the user of the proxy";
        report.add(format!("{enclosing}/properties"), message, hint);
    }
}

const PROPERTIES: [&str; 7] = [
    "IgnoredUID",
    "IgnoredGID",
    "AppPorts",
    "ProxyIngressPort",
    "ProxyEgressPort",
    "EgressIgnoredPorts",
    "EgressIgnoredIPs",
];
