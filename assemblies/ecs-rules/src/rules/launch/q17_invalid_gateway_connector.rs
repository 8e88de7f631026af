use diagnostics::Severity;

use crate::launch::LaunchContext;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q17",
    name: "invalid-gateway-connector",
    severity: Severity::Error,
    title: "invalid gateway connector",
    explanation: "A service has one gateway connector, which routes the traffic of a gateway to a \
                  named port. Its health check uses HTTP or HTTPS, and waits for an answer for less \
                  time than passes between two checks.",
    source: "ECS API, GatewayConnector and GatewayConnectorHealthCheck; ECS developer guide, gateways",
    hint: "Keep one connector.",
    passing: with_definition!(
        r#"  "service": {
    "serviceName": "web",
    "taskDefinition": "web",
    "desiredCount": 2,
    "launchType": "FARGATE",
    "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    "gatewayConnectors": [{ "portName": "web" }],
    "deploymentConfiguration": {
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }
  }"#
    ),
    // Two connectors.
    failing: Failing::Change(
        r#"[{ "portName": "web" }]"#,
        r#"[{ "portName": "web" }, { "portName": "web" }]"#,
    ),
    check: Check::Launch(check),
    ..Rule::DEFAULT
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    let connectors = context
        .service()
        .map_or(&[][..], |service| &service.gateway_connectors);
    if connectors.len() > 1 {
        let message = format!("{} gateway connectors; a service has one", connectors.len());
        report.add("/gatewayConnectors/1", message, "keep one of them");
    }

    for (index, connector) in connectors.iter().enumerate() {
        let pointer = format!("/gatewayConnectors/{index}");
        let Some(check) = &connector.health_check else {
            continue;
        };
        let pointer = format!("{pointer}/healthCheck");

        report.check_enum(
            &format!("{pointer}/healthCheckProtocol"),
            check.health_check_protocol.as_deref(),
            &["HTTP", "HTTPS"],
        );
        let port = check.health_check_port;
        if let Some(port) = port.filter(|port| !(1..=65_535).contains(port)) {
            let message = format!("{port} is not a port");
            let hint = "choose a port from 1 to 65535";
            report.add(format!("{pointer}/healthCheckPort"), message, hint);
        }

        let (timeout, interval) = (
            check.health_check_timeout_seconds,
            check.health_check_interval_seconds,
        );
        // A target group rejects a timeout that is not below the interval.
        if let (Some(timeout), Some(interval)) = (timeout, interval)
            && timeout >= interval
        {
            let message =
                format!("the health check waits {timeout} s, but runs every {interval} s");
            let hint = "lower the timeout, or raise the interval";
            report.add(
                format!("{pointer}/healthCheckTimeoutSeconds"),
                message,
                hint,
            );
        }
    }
}
