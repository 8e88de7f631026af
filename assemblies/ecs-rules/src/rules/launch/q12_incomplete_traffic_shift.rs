use diagnostics::Severity;
use task_definition::{LoadBalancer, Service};

use crate::launch::LaunchContext;
use crate::rules::roles::find_role_arn_problem;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q12",
    name: "incomplete-traffic-shift",
    severity: Severity::Error,
    title: "deployment that shifts traffic lacks a setting",
    explanation: "BLUE_GREEN needs bakeTimeInMinutes. With BLUE_GREEN, LINEAR and CANARY each load \
                  balancer has an advancedConfiguration with a second target group, the production \
                  listener rule and the ARN of the role with which ECS changes it. ECS rejects the service with \
                  \"advancedConfiguration field is required for all loadBalancers\".",
    source: "ECS API, DeploymentConfiguration, field bakeTimeInMinutes, and AdvancedConfiguration; \
             terraform-aws-modules/terraform-aws-ecs#377",
    hint: "Add the missing setting, or use strategy ROLLING.",
    passing: with_definition!(
        r#"  "service": {
    "serviceName": "web",
    "taskDefinition": "web",
    "desiredCount": 2,
    "launchType": "FARGATE",
    "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
    "loadBalancers": [
      {
        "targetGroupArn": "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/blue/0123456789abcdef",
        "containerName": "app",
        "containerPort": 8080,
        "advancedConfiguration": {
          "alternateTargetGroupArn": "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/green/0123456789abcdef",
          "productionListenerRule": "arn:aws:elasticloadbalancing:eu-central-1:111122223333:listener-rule/app/web/0123456789abcdef/0123456789abcdef/0123456789abcdef",
          "roleArn": "arn:aws:iam::111122223333:role/ecs-load-balancers"
        }
      }
    ],
    "deploymentConfiguration": {
      "strategy": "BLUE_GREEN",
      "bakeTimeInMinutes": 5,
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }
  }"#
    ),
    // The bake time is missing.
    failing: Failing::Change(
        r#"
      "bakeTimeInMinutes": 5,"#,
        "",
    ),
    check: Check::Launch(check),
    ..Rule::DEFAULT
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    let Some(service) = context.service() else {
        return;
    };
    let Some(strategy) = shifting_strategy(service) else {
        check_unused(service, report);
        return;
    };
    let deployment = service.deployment_configuration.as_ref();
    let bake = deployment.and_then(|deployment| deployment.bake_time_in_minutes);

    // The other strategies have a default.
    if strategy == "BLUE_GREEN" && bake.is_none() {
        report.add_missing(
            "/deploymentConfiguration/bakeTimeInMinutes",
            "/deploymentConfiguration",
            "BLUE_GREEN needs bakeTimeInMinutes",
            "add \"bakeTimeInMinutes\" with the minutes for which both versions keep running",
        );
    }

    for (index, target) in service.load_balancers.iter().enumerate() {
        check_load_balancer(target, strategy, &format!("/loadBalancers/{index}"), report);
    }
    for (index, lattice) in service.vpc_lattice_configurations.iter().enumerate() {
        let advanced = lattice.advanced_configuration.as_ref();
        let second = advanced.and_then(|advanced| advanced.alternate_target_group_arn.as_ref());
        if second == Some(&lattice.target_group_arn) {
            let pointer = format!("/vpcLatticeConfigurations/{index}/advancedConfiguration");
            add_same_group(format!("{pointer}/alternateTargetGroupArn"), report);
        }
    }
}

/// Returns the strategy of the service, if it shifts traffic between two versions.
fn shifting_strategy(service: &Service) -> Option<&str> {
    let deployment = service.deployment_configuration.as_ref()?;
    let strategy = deployment.strategy.as_deref()?;
    matches!(strategy, "BLUE_GREEN" | "LINEAR" | "CANARY").then_some(strategy)
}

/// Reports settings of a second target group that a rolling update does not use.
fn check_unused(service: &Service, report: &mut Report) {
    for (index, target) in service.load_balancers.iter().enumerate() {
        let deployment = service.deployment_configuration.as_ref();
        let strategy = deployment.and_then(|deployment| deployment.strategy.as_deref());
        // An unknown word is Q05's; after its correction the settings may be used.
        let is_rolling = strategy.is_none_or(|strategy| strategy == "ROLLING");
        if is_rolling && target.advanced_configuration.is_some() {
            let message = "advancedConfiguration is for deployments that shift traffic, but the strategy is ROLLING";
            let hint = "set \"strategy\", or remove `advancedConfiguration`";
            let pointer = format!("/loadBalancers/{index}/advancedConfiguration");
            report.warn(pointer, message, hint);
        }
    }
}

fn check_load_balancer(target: &LoadBalancer, strategy: &str, pointer: &str, report: &mut Report) {
    let Some(advanced) = &target.advanced_configuration else {
        let message = format!("{strategy} needs advancedConfiguration for every load balancer");
        let hint = "add \"advancedConfiguration\" with a second target group, the listener rule and a role";
        report.add_missing(
            &format!("{pointer}/advancedConfiguration"),
            pointer,
            message,
            hint,
        );
        return;
    };
    let pointer = format!("{pointer}/advancedConfiguration");

    for (field, value) in [
        (
            "alternateTargetGroupArn",
            &advanced.alternate_target_group_arn,
        ),
        ("productionListenerRule", &advanced.production_listener_rule),
        ("roleArn", &advanced.role_arn),
    ] {
        if value.as_deref().is_none_or(str::is_empty) {
            let message = format!("{strategy} needs {field} for every load balancer");
            let hint = format!("add \"{field}\" to advancedConfiguration");
            report.add_missing(&format!("{pointer}/{field}"), &pointer, message, hint);
        }
    }

    let role = advanced.role_arn.as_deref().filter(|role| !role.is_empty());
    if let Some(problem) = role.and_then(find_role_arn_problem) {
        let hint = "copy the whole ARN of the role: arn:aws:iam::ACCOUNT:role/NAME";
        report.add(
            format!("{pointer}/roleArn"),
            format!("roleArn {problem}"),
            hint,
        );
    }
    let test = advanced.test_listener_rule.as_ref();
    if test.is_some() && test == advanced.production_listener_rule.as_ref() {
        let message = "test and production traffic have the same listener rule";
        let hint = "write the ARN of a second rule, or remove `testListenerRule`";
        report.add(format!("{pointer}/testListenerRule"), message, hint);
    }

    let second = advanced.alternate_target_group_arn.as_ref();
    if second.is_some() && second == target.target_group_arn.as_ref() {
        add_same_group(format!("{pointer}/alternateTargetGroupArn"), report);
    }
}

fn add_same_group(pointer: String, report: &mut Report) {
    let message = "both target groups are the same, so no traffic can be shifted";
    report.add(pointer, message, "write the ARN of a second target group");
}
