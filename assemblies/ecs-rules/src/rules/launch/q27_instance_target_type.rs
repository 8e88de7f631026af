use diagnostics::Severity;

use crate::rules::{Check, Failing, Rule};

pub(super) const RULE: Rule = Rule {
    id: "Q27",
    name: "instance-target-type",
    severity: Severity::Error,
    title: "target group of a template registers instances, not addresses",
    explanation: "A task with awsvpc has a network interface of its own, so its target group needs \
                  TargetType ip. The default is instance, and ECS rejects the service: \"the \
                  network mode awsvpc is incompatible with target type instance\".",
    source: "ECS API, LoadBalancer, field targetGroupArn; CloudFormation, \
             AWS::ElasticLoadBalancingV2::TargetGroup",
    hint: "Write TargetType: ip.",
    passing: stack_with_listener!(),
    // The type of targets on EC2.
    failing: Failing::Change(r#""TargetType": "ip""#, r#""TargetType": "instance""#),
    check: Check::Parser,
    ..Rule::DEFAULT
};
