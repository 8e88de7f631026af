use diagnostics::Severity;

use crate::rules::{Check, Failing, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q26",
    name: "service-before-listener",
    severity: Severity::Error,
    title: "service of a template may be created before its listener",
    explanation: "ECS rejects a service whose target group no load balancer uses yet: \"The target \
                  group does not have an associated load balancer\". CloudFormation creates \
                  resources in parallel, and the service refers to the target group only, so it has \
                  to wait for the listener or its rule with DependsOn.",
    source: "ECS developer guide, service load balancing; CloudFormation, DependsOn attribute",
    hint: "Add DependsOn with the listener to the service.",
    passing: stack_with_listener!(),
    // The service does not wait.
    failing: Failing::Change(
        r#"
      "DependsOn": "Listener","#,
        "",
    ),
    check: Check::Parser,
    ..Rule::DEFAULT
};
