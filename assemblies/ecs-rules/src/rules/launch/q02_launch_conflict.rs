use diagnostics::Severity;
use task_definition::TaskDefinition;

use crate::launch::{LaunchContext, Request};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q02",
    name: "launch-conflict",
    severity: Severity::Error,
    title: "conflicting launch settings",
    explanation: "A request has either a launch type or a capacity provider strategy. On Fargate a \
                  service uses REPLICA scheduling, has no placement settings, and its definition is \
                  compatible with FARGATE. Managed Instances are selected by a capacity provider, not by a \
                  launch type. Tasks with awsvpc need networkConfiguration with subnets.",
    source: "ECS API, CreateService and RunTask; cfn-lint E3044, E3052 and E3054",
    hint: "Choose one way to launch, and the network it needs.",
    passing: with_definition!(
        r#"  "service": {
    "serviceName": "web",
    "taskDefinition": "web",
    "desiredCount": 2,
    "launchType": "FARGATE",
    "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    "deploymentConfiguration": {
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }
  }"#
    ),
    // The definition uses awsvpc, but the service has no network configuration.
    failing: Failing::Document(with_definition!(
        r#"  "service": {
    "serviceName": "web",
    "taskDefinition": "web",
    "desiredCount": 2,
    "launchType": "FARGATE",
    "deploymentConfiguration": {
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }
  }"#
    )),
    check: Check::Launch(check),
    ..Rule::DEFAULT
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    let request = context.request;
    let what = request.noun();
    if request.launch_type().is_some() && !request.capacity_providers().is_empty() {
        let message = format!("{what} has a launch type and a capacity provider strategy");
        report.add("/launchType", message, "remove one of the two");
    }

    if request.launch_type() == Some("MANAGED_INSTANCES") {
        let message = "Managed Instances are used through a capacity provider strategy";
        let hint = "write \"capacityProviderStrategy\" in place of \"launchType\"";
        report.add("/launchType", message, hint);
    }
    if request.is_fargate() {
        check_fargate(context, report);
    }
    let Some(definition) = context.definition else {
        return;
    };
    let awsvpc = definition.network_mode.as_deref() == Some("awsvpc");
    let network = request
        .network()
        .and_then(|network| network.awsvpc_configuration.as_ref());

    if awsvpc && network.is_none() {
        let message = format!("{what} has no network configuration, which awsvpc needs");
        let hint = "add \"networkConfiguration\" with the subnets of the tasks";
        report.add("/networkConfiguration", message, hint);
    } else if network.is_some() && has_other_mode(definition) {
        let message = "the network configuration is for awsvpc, which the definition does not use";
        let hint = "remove it, or write \"networkMode\": \"awsvpc\" in the definition";
        report.add("/networkConfiguration", message, hint);
    }
}

/// Returns whether the definition uses another network mode. On Fargate that is T04's.
fn has_other_mode(definition: &TaskDefinition) -> bool {
    let mode = definition.network_mode.as_deref();
    !definition.is_fargate() && mode.is_some_and(|mode| mode != "awsvpc")
}

fn check_fargate(context: &LaunchContext<'_>, report: &mut Report) {
    let request = context.request;
    // Without requiresCompatibilities ECS accepts any launch type.
    let is_for_other = |definition: &&TaskDefinition| {
        !definition.is_fargate() && !definition.requires_compatibilities.is_empty()
    };

    if let Some(definition) = context.definition.filter(is_for_other) {
        let compatibilities = definition.requires_compatibilities.join(", ");
        let message = format!(
            "{} uses Fargate, but its definition is for {compatibilities}",
            request.noun()
        );
        let hint = "add FARGATE to \"requiresCompatibilities\" of the definition";
        report.add("/taskDefinition", message, hint);
    }

    let (constraints, strategy) = match request {
        Request::Service(service) => {
            if service.scheduling_strategy.as_deref() == Some("DAEMON") {
                let message = "Fargate does not support DAEMON scheduling";
                report.add(
                    "/schedulingStrategy",
                    message,
                    "write REPLICA, or remove it",
                );
            }
            (&service.placement_constraints, &service.placement_strategy)
        }
        Request::RunTask(run) => (&run.placement_constraints, &run.placement_strategy),
    };

    for (field, given) in [
        ("placementConstraints", !constraints.is_empty()),
        ("placementStrategy", !strategy.is_empty()),
    ] {
        if given {
            let message = format!("Fargate does not support {field}");
            report.add(format!("/{field}"), message, format!("remove `{field}`"));
        }
    }
}
