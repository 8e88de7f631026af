//! Templates with one fault each, compared with cfn-lint (`.venv`): the rules must report every ECS error that
//! cfn-lint reports, and nothing about the template without a fault.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use std::collections::{BTreeMap, BTreeSet};

use diagnostics::source::Source;
use diagnostics::{Color, Severity};
use ecs_rules::inputs::check_input;

#[path = "../../task-definition/tests/python/mod.rs"]
mod python;

/// The text that a fault replaces, its replacement, cfn-lint's rules of which one must match (empty if it reports
/// nothing), and our rules.
type Fault = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const FAULTS: &[Fault] = &[
    ("Essential: true", "Essential: false", &["E3042"], &["T03"]),
    (
        "awslogs-region: !Ref AWS::Region",
        "awslogs-regio: !Ref AWS::Region",
        &["E3046"],
        &["L02", "L04"],
    ),
    ("Memory: 512", "Memory: 700", &["E3047"], &["T06"]),
    ("Cpu: 256", "Cpu: !Ref Odd", &[], &["T06"]),
    (
        "NetworkMode: awsvpc",
        "NetworkMode: bridge",
        &["E3048"],
        &["T04"],
    ),
    ("      Memory: 512\n", "", &["E3048"], &["T05"]),
    (
        "LogDriver: awslogs",
        "LogDriver: syslog",
        &["E3713", "E3048"],
        &["L01"],
    ),
    (
        "      Volumes: []\n",
        "      PlacementConstraints: [{ Type: memberOf, Expression: a }]\n",
        &["E3048"],
        &["T10"],
    ),
    (
        "ContainerPort: 80, Name",
        "ContainerPort: 80, HostPort: 81, Name",
        &["E3053"],
        &["P02"],
    ),
    (
        "LaunchType: FARGATE",
        "LaunchType: FARGATE\n      SchedulingStrategy: DAEMON",
        &["E3044"],
        &["Q02"],
    ),
    (
        "      NetworkConfiguration:",
        "      Tags: []\n      # ",
        &["E3052"],
        &["Q02"],
    ),
    (
        "RequiresCompatibilities: [FARGATE]",
        "RequiresCompatibilities: [EC2]",
        &[],
        &["Q02"],
    ),
    (
        "LaunchType: FARGATE",
        "LaunchType: Fargate",
        &["E3030"],
        &["Q05"],
    ),
    (
        "AssignPublicIp: DISABLED",
        "AssignPublicIp: disabled",
        &["E3030"],
        &["Q05"],
    ),
    ("Memory: 512", "Memry: 512", &["E3002"], &["C05"]),
    (
        "ContainerName: app",
        "ContainerNam: app",
        &["E3002"],
        &["C05"],
    ),
    (
        "Essential: true",
        "Essential: perhaps",
        &["E3012"],
        &["C06"],
    ),
    ("Image: app:1", "Image: [app]", &["E3012"], &["C06"]),
    (
        "Condition: START",
        "Condition: STARTED",
        &["E3030"],
        &["D05"],
    ),
    (
        "CpuArchitecture: ARM64",
        "CpuArchitecture: arm",
        &["E3030"],
        &["T12"],
    ),
];

#[test]
fn reports_the_errors_that_cfn_lint_reports() {
    let mut templates: BTreeMap<String, String> = BTreeMap::new();
    templates.insert("right".to_owned(), TEMPLATE.to_owned());
    for (index, (from, to, ..)) in FAULTS.iter().enumerate() {
        assert_eq!(TEMPLATE.matches(from).count(), 1, "{from}");
        templates.insert(format!("{index:02}"), TEMPLATE.replace(from, to));
    }

    // Our findings are checked even if cfn-lint is not installed.
    assert_eq!(errors(&templates["right"]), [""; 0].into());
    let differs = FAULTS.iter().enumerate().filter_map(|(index, fault)| {
        let (from, to, _, ours) = fault;
        let found = errors(&templates[&format!("{index:02}")]);
        (found != ours.iter().copied().collect()).then(|| format!("{from} -> {to}: {found:?}"))
    });

    assert_eq!(differs.collect::<Vec<_>>(), [""; 0]);
    let input = serde_json::to_string(&templates).unwrap();
    let Some(theirs) = python::run_with_input("faults of templates", "cfnlint", LINT, &input)
    else {
        return;
    };
    let theirs: BTreeMap<String, BTreeSet<String>> = serde_json::from_value(theirs).unwrap();

    assert_eq!(theirs["right"], [].into());
    let differs = FAULTS.iter().enumerate().filter_map(|(index, fault)| {
        let (from, to, expected, _) = fault;
        let found = &theirs[&format!("{index:02}")];
        let as_expected = found.is_empty() && expected.is_empty()
            || expected.iter().any(|id| found.contains(*id));
        (!as_expected).then(|| format!("{from} -> {to}: {found:?}"))
    });
    assert_eq!(differs.collect::<Vec<_>>(), [""; 0]);
}

fn errors(text: &str) -> BTreeSet<&'static str> {
    let found = check_input(&Source::new("stack.yaml", text));
    for finding in &found {
        assert!(finding.render(Color::No).contains("--> stack.yaml:"));
    }
    let errors = found
        .iter()
        .filter(|finding| finding.severity == Severity::Error);
    errors.map(|finding| finding.rule).collect()
}

const LINT: &str = r#"
import json, sys
from cfnlint.api import ManualArgs, lint
templates = json.load(sys.stdin)
def errors(text):
    return sorted({one.rule.id for one in lint(text, config=ManualArgs(regions=["us-east-1"])) if one.rule.id.startswith("E")})
print(json.dumps({name: errors(text) for name, text in templates.items()}))
"#;

const TEMPLATE: &str = "AWSTemplateFormatVersion: '2010-09-09'
Parameters:
  Odd:
    Type: Number
    Default: 300
  Subnets:
    Type: List<AWS::EC2::Subnet::Id>
  Group:
    Type: String
  Env:
    Type: String
    AllowedValues: [dev, prod]
    Default: dev
Conditions:
  IsProd: !Equals [!Ref Env, prod]
Resources:
  Execution:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: '2012-10-17'
        Statement:
          - Effect: Allow
            Principal: { Service: ecs-tasks.amazonaws.com }
            Action: sts:AssumeRole
  Logs:
    Type: AWS::Logs::LogGroup
    Properties:
      RetentionInDays: 7
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      Family: !Sub 'web-${Env}'
      RequiresCompatibilities: [FARGATE]
      NetworkMode: awsvpc
      Cpu: 256
      Memory: 512
      Volumes: []
      ExecutionRoleArn: !GetAtt Execution.Arn
      RuntimePlatform: { CpuArchitecture: ARM64, OperatingSystemFamily: LINUX }
      ContainerDefinitions:
        - Name: app
          Image: app:1
          Essential: true
          PortMappings: [{ ContainerPort: 80, Name: web, AppProtocol: http }]
          Environment:
            - { Name: REGION, Value: !Ref AWS::Region }
            - !If [IsProd, { Name: LEVEL, Value: warn }, !Ref AWS::NoValue]
          DependsOn: [{ ContainerName: init, Condition: START }]
          LogConfiguration:
            LogDriver: awslogs
            Options:
              awslogs-group: !Ref Logs
              awslogs-region: !Ref AWS::Region
              awslogs-stream-prefix: app
        - Name: init
          Image: !Sub '${AWS::AccountId}.dkr.ecr.${AWS::Region}.${AWS::URLSuffix}/init:1'
          Essential: false
  Service:
    Type: AWS::ECS::Service
    Properties:
      Cluster: main
      LaunchType: FARGATE
      DesiredCount: 2
      TaskDefinition: !Ref Task
      NetworkConfiguration: { AwsvpcConfiguration: { Subnets: !Ref Subnets, AssignPublicIp: DISABLED } }
      LoadBalancers: [{ TargetGroupArn: !Ref Group, ContainerName: app, ContainerPort: 80 }]
      DeploymentConfiguration:
        DeploymentCircuitBreaker: { Enable: true, Rollback: true }
";

/// A template with a target group, a listener and a service, with changes of its parts.
fn balancer_template(group: &str, service: &str, more: &str) -> String {
    format!(
        "Resources:
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      RequiresCompatibilities: [FARGATE]
      NetworkMode: awsvpc
      Cpu: '256'
      Memory: '512'
      ContainerDefinitions:
        - {{ Name: app, Image: 'app:1', PortMappings: [{{ ContainerPort: 8080 }}] }}
  Group:
    Type: AWS::ElasticLoadBalancingV2::TargetGroup
    Properties: {{ {group} }}
  Listener:
    Type: AWS::ElasticLoadBalancingV2::Listener
    Properties:
      LoadBalancerArn: !ImportValue balancer
      DefaultActions: [{{ Type: forward, TargetGroupArn: !Ref Group }}]
  Service:
    Type: AWS::ECS::Service
    {service}
    Properties:
      TaskDefinition: !Ref Task
      LaunchType: FARGATE
      DeploymentConfiguration: {{ DeploymentCircuitBreaker: {{ Enable: true, Rollback: true }} }}
      NetworkConfiguration: {{ AwsvpcConfiguration: {{ Subnets: [subnet-1] }} }}
      LoadBalancers: [{{ TargetGroupArn: !Ref Group, ContainerName: app, ContainerPort: 8080 }}]
{more}"
    )
}

#[test]
fn a_service_waits_for_the_listener_of_its_target_group() {
    let rules = |text: String| -> Vec<&'static str> {
        let found = check_input(&Source::new("stack.yaml", text));
        found.iter().map(|finding| finding.rule).collect()
    };
    let other = "  Other:
    Type: AWS::SNS::Topic
    DependsOn: Listener
";
    for (group, service, more, expected) in [
        ("TargetType: ip", "DependsOn: Listener", "", &[][..]),
        ("TargetType: ip", "DependsOn: [Listener]", "", &[]),
        ("TargetType: ip", "DependsOn: Other", other, &[]),
        ("TargetType: ip", "DependsOn: Task", "", &["Q26"]),
        ("TargetType: ip", "Metadata: {}", "", &["Q26"]),
        ("TargetType: ip", "Metadata: {}", other, &["Q26"]),
        ("Port: 80", "DependsOn: Listener", "", &["Q27"]),
        ("TargetType: instance", "DependsOn: Listener", "", &["Q27"]),
        ("TargetType: !Ref Kind", "DependsOn: Listener", "", &[]),
    ] {
        assert_eq!(
            rules(balancer_template(group, service, more)),
            expected,
            "{group}, {service}"
        );
    }
}

#[test]
fn a_target_group_of_another_stack_is_not_judged() {
    let text = balancer_template("TargetType: ip", "Metadata: {}", "").replace(
        "TargetGroupArn: !Ref Group, Cont",
        "TargetGroupArn: !ImportValue group, Cont",
    );
    assert!(check_input(&Source::new("stack.yaml", text)).is_empty());
}
