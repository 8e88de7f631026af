use diagnostics::Severity;

use task_definition::LoadBalancer;

use crate::launch::LaunchContext;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q18",
    name: "invalid-target-group",
    severity: Severity::Error,
    title: "not the ARN of a target group or listener",
    explanation: "targetGroupArn is the ARN of a target group. That of the load balancer or of its \
                  listener looks similar and is rejected. loadBalancerName is for Classic Load \
                  Balancers, which awsvpc does not support. Each of up to five target groups has the \
                  container and the port that receive its traffic.",
    source: "ECS API, LoadBalancer and AdvancedConfiguration",
    hint: "Copy the ARN of the target group.",
    passing: with_definition!(
        r#"  "service": {
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
  }"#
    ),
    // The ARN of the load balancer.
    failing: Failing::Change("targetgroup/web/", "loadbalancer/app/web/"),
    check: Check::Launch(check),
    ..Rule::DEFAULT
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    let Some(service) = context.service() else {
        return;
    };
    let network = context.request.network();
    let awsvpc = network.is_some_and(|network| network.awsvpc_configuration.is_some());

    if service.load_balancers.len() > 5 {
        let count = service.load_balancers.len();
        let message = format!("{count} target groups; a service has at most 5");
        report.add("/loadBalancers/5", message, "remove some");
    }

    for (index, target) in service.load_balancers.iter().enumerate() {
        let pointer = format!("/loadBalancers/{index}");
        check_parts(target, &pointer, report);
        let is_same = |other: &LoadBalancer| other.target_group_arn.is_some() && other == target;
        if service.load_balancers[..index].iter().any(is_same) {
            let message = "the same target is registered twice in one target group";
            report.add(
                format!("{pointer}/targetGroupArn"),
                message,
                "remove one of them",
            );
        }
        let group = target.target_group_arn.as_deref();
        check_arn(
            &format!("{pointer}/targetGroupArn"),
            group,
            TARGET_GROUP,
            report,
        );
        let is_classic = target.load_balancer_name.is_some() && group.is_none();
        if is_classic && (awsvpc || context.request.is_fargate()) {
            let message = "a Classic Load Balancer does not reach tasks with awsvpc";
            let hint = "write \"targetGroupArn\" with a target group of type ip";
            report.add(format!("{pointer}/loadBalancerName"), message, hint);
        }

        let Some(advanced) = &target.advanced_configuration else {
            continue;
        };
        let pointer = format!("{pointer}/advancedConfiguration");
        for (field, value, kinds) in [
            (
                "alternateTargetGroupArn",
                &advanced.alternate_target_group_arn,
                TARGET_GROUP,
            ),
            (
                "productionListenerRule",
                &advanced.production_listener_rule,
                LISTENER,
            ),
            ("testListenerRule", &advanced.test_listener_rule, LISTENER),
        ] {
            check_arn(
                &format!("{pointer}/{field}"),
                value.as_deref(),
                kinds,
                report,
            );
        }
    }

    for (index, lattice) in service.vpc_lattice_configurations.iter().enumerate() {
        let pointer = format!("/vpcLatticeConfigurations/{index}/targetGroupArn");
        check_arn(
            &pointer,
            Some(&lattice.target_group_arn),
            TARGET_GROUP,
            report,
        );
    }
}

/// Reports missing and conflicting parts of a load balancer.
fn check_parts(target: &LoadBalancer, pointer: &str, report: &mut Report) {
    let (group, classic) = (&target.target_group_arn, &target.load_balancer_name);
    if group.is_none() && classic.is_none() {
        let message = "a load balancer needs targetGroupArn";
        report.add_missing(
            &format!("{pointer}/targetGroupArn"),
            pointer,
            message,
            "add the ARN of a target group",
        );
    } else if group.is_some() && classic.is_some() {
        let message = "a load balancer has either targetGroupArn or loadBalancerName";
        let hint = "remove `loadBalancerName`";
        report.add(format!("{pointer}/loadBalancerName"), message, hint);
    }

    for (field, is_missing) in [
        ("containerName", target.container_name.is_none()),
        ("containerPort", target.container_port.is_none()),
    ] {
        if is_missing {
            let message = format!("a load balancer needs {field}");
            let hint = format!("add \"{field}\" of the container that receives the traffic");
            report.add_missing(&format!("{pointer}/{field}"), pointer, message, hint);
        }
    }
}

fn check_arn(pointer: &str, arn: Option<&str>, kinds: &[&str], report: &mut Report) {
    let Some(arn) = arn else {
        return;
    };
    // arn:partition:service:region:account:kind/name/id
    let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
    let kind = resource.split('/').next().unwrap_or_default();
    let is_lattice = arn.contains(":vpc-lattice:");
    if is_lattice && pointer.starts_with("/loadBalancers") {
        let message = "this is a target group of VPC Lattice";
        let hint = "move it to vpcLatticeConfigurations";
        report.add(pointer, message, hint);
        return;
    }
    if arn.starts_with("arn:") && kinds.contains(&kind) {
        return;
    }

    let what = kinds.first().copied().unwrap_or_default();
    let message = match kind {
        "" => format!("`{arn}` is not an ARN"),
        _ => format!("this is the ARN of a {kind}, not of a {what}"),
    };
    report.add(
        pointer,
        message,
        format!("copy the whole ARN of the {what}"),
    );
}

const TARGET_GROUP: &[&str] = &["targetgroup"];
// A Network Load Balancer has listeners without rules.
const LISTENER: &[&str] = &["listener-rule", "listener"];
