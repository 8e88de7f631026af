use diagnostics::Severity;
use task_definition::find_placeholder;

use crate::launch::LaunchContext;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q04",
    name: "invalid-network",
    severity: Severity::Error,
    title: "invalid subnets or security groups",
    explanation: "The network interface of a task is placed in one of up to 16 subnets and has up to \
                  five security groups, by their ids. The quotas cannot be raised.",
    source: "ECS API, AwsVpcConfiguration; ECS service quotas",
    hint: "Use fewer; one security group can contain the rules of several.",
    passing: with_definition!(
        r#"  "service": {
    "serviceName": "web",
    "taskDefinition": "web",
    "desiredCount": 2,
    "launchType": "FARGATE",
    "networkConfiguration": {
      "awsvpcConfiguration": {
        "subnets": ["subnet-1"],
        "securityGroups": ["sg-1", "sg-2", "sg-3", "sg-4", "sg-5"]
      }
    },
    "deploymentConfiguration": {
      "deploymentCircuitBreaker": { "enable": true, "rollback": true }
    }
  }"#
    ),
    // Six security groups.
    failing: Failing::Change(
        r#""securityGroups": ["sg-1", "sg-2", "sg-3", "sg-4", "sg-5"]"#,
        r#""securityGroups": ["sg-1", "sg-2", "sg-3", "sg-4", "sg-5", "sg-6"]"#,
    ),
    check: Check::Launch(check),
    ..Rule::DEFAULT
};

fn check(context: &LaunchContext<'_>, report: &mut Report) {
    let network = context.request.network();
    let Some(network) = network.and_then(|network| network.awsvpc_configuration.as_ref()) else {
        return;
    };
    let enclosing = "/networkConfiguration/awsvpcConfiguration";
    let (subnets, groups) = (network.subnets.len(), network.security_groups.len());

    if !(1..=16).contains(&subnets) {
        let message = format!("{subnets} subnets; the range is 1 to 16");
        report.add(
            format!("{enclosing}/subnets"),
            message,
            "use 1 to 16 subnets",
        );
    }

    // Without a group ECS uses the default group of the VPC.
    if groups > 5 {
        let message = format!("{groups} security groups; a task has at most 5");
        let hint = "merge the rules of several groups into one";
        report.add(format!("{enclosing}/securityGroups"), message, hint);
    }

    for (field, prefix, ids) in [
        ("subnets", "subnet-", &*network.subnets),
        ("securityGroups", "sg-", &network.security_groups),
    ] {
        check_ids(&format!("{enclosing}/{field}"), prefix, ids, report);
    }
}

fn check_ids(pointer: &str, prefix: &str, ids: &[String], report: &mut Report) {
    for (index, id) in ids.iter().enumerate() {
        let pointer = format!("{pointer}/{index}");
        if !id.starts_with(prefix) && find_placeholder(id).is_none() {
            let message = format!("`{id}` does not begin with `{prefix}`");
            report.add(pointer, message, format!("write the id: {prefix}…"));
        } else if ids[..index].contains(id) {
            report.add(
                pointer,
                format!("`{id}` is listed twice"),
                "remove one of them",
            );
        }
    }
}
