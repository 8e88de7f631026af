//! Services of ECS Express Mode are checked with the task that they run; other new forms are named.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use diagnostics::Finding;
use diagnostics::source::Source;
use ecs_rules::inputs::{check_input, read_input};

const REQUEST: &str = r#"{
  "serviceName": "web",
  "infrastructureRoleArn": "arn:aws:iam::111122223333:role/infrastructure",
  "executionRoleArn": "arn:aws:iam::111122223333:role/execution",
  "cpu": "256",
  "memory": "512",
  "healthCheckPath": "/health",
  "scalingTarget": { "minTaskCount": 1, "maxTaskCount": 4, "autoScalingMetric": "AVERAGE_CPU" },
  "primaryContainer": {
    "image": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/web:1.2.3",
    "containerPort": 8080,
    "environment": [{ "name": "A", "value": "b" }],
    "awsLogsConfiguration": { "logGroup": "/ecs/web", "logStreamPrefix": "web" }
  }
}"#;

fn findings(name: &str, text: &str) -> Vec<String> {
    let format = |finding: &Finding| {
        let pointer = finding.pointer.as_deref().unwrap_or_default();
        format!(
            "{} {} {pointer}",
            finding.rule,
            finding.location.sort_key().0
        )
    };
    check_input(&Source::new(name, text))
        .iter()
        .map(format)
        .collect()
}

fn find_after_change(from: &str, to: &str) -> Vec<String> {
    assert!(REQUEST.contains(from));
    findings("express.json", &REQUEST.replace(from, to))
}

#[test]
fn a_valid_request_has_no_findings() {
    assert_eq!(findings("express.json", REQUEST), [""; 0]);

    // It is evaluated, and not passed over.
    let input = read_input(&Source::new("express.json", REQUEST));
    assert_eq!((input.not_evaluated.len(), input.documents().len()), (0, 1));
}

#[test]
fn the_container_is_checked_at_its_own_lines() {
    assert_eq!(find_after_change("\"512\"", "\"500\""), ["T06 6 /memory"]);
    assert_eq!(
        find_after_change("8080", "80800"),
        ["P01 11 /primaryContainer/containerPort"]
    );
    assert_eq!(
        find_after_change("web:1.2.3", "web:"),
        ["C03 10 /primaryContainer/image"]
    );
    assert_eq!(
        find_after_change("\"b\" }", "3 }"),
        ["C06 12 /primaryContainer/environment/0/value"]
    );
    assert_eq!(
        find_after_change("\"containerPort\"", "\"port\""),
        ["C05 11 /primaryContainer/port"]
    );
}

#[test]
fn settings_of_the_service_are_checked() {
    assert_eq!(
        find_after_change("\"/health\"", "\"health\""),
        ["C06 7 /healthCheckPath"]
    );
    assert_eq!(
        find_after_change("\"maxTaskCount\": 4", "\"maxTaskCount\": 0"),
        ["C06 8 /scalingTarget"]
    );
    assert_eq!(
        find_after_change("AVERAGE_CPU", "CPU"),
        ["C06 8 /scalingTarget"]
    );

    // A missing field is reported at the beginning of the request.
    let without_role =
        "  \"infrastructureRoleArn\": \"arn:aws:iam::111122223333:role/infrastructure\",\n";
    assert_eq!(
        find_after_change(without_role, ""),
        ["C06 1 /infrastructureRoleArn"]
    );
}

#[test]
fn a_task_definition_excludes_the_settings_that_it_has() {
    let text = r#"{
  "infrastructureRoleArn": "arn:aws:iam::111122223333:role/infrastructure",
  "taskDefinitionArn": "arn:aws:ecs:eu-west-1:111122223333:task-definition/web:3",
  "cpu": "256",
  "executionRoleArn": "arn:aws:iam::111122223333:role/execution"
}"#;
    assert_eq!(
        findings("express.json", text),
        ["Q10 4 /cpu", "Q10 5 /executionRoleArn"]
    );
}

const TEMPLATE: &str = "Parameters: { Tag: { Type: String } }
Resources:
  Web:
    Type: AWS::ECS::ExpressGatewayService
    Properties:
      ServiceName: web
      InfrastructureRoleArn: !GetAtt Infrastructure.Arn
      ExecutionRoleArn: !GetAtt Execution.Arn
      Cpu: 256
      Memory: 512
      PrimaryContainer:
        Image: !Sub \"web:${Tag}\"
        ContainerPort: 8080
        AwsLogsConfiguration: { LogGroup: !Ref Logs, LogStreamPrefix: web }
        Secrets: [{ Name: KEY, ValueFrom: !Ref Key }]
      NetworkConfiguration: { Subnets: [!Ref Subnet], SecurityGroups: [!Ref Group] }
";

#[test]
fn a_resource_of_a_template_is_checked() {
    assert_eq!(findings("t.yaml", TEMPLATE), [""; 0]);

    // CloudFormation accepts a number for a text.
    let found = findings("t.yaml", &TEMPLATE.replace("Memory: 512", "Memory: 600"));
    assert_eq!(found, ["T06 10 /Resources/Web/Properties/Memory"]);
    let found = findings("t.yaml", &TEMPLATE.replace("ContainerPort", "Port"));
    assert_eq!(
        found,
        ["C05 13 /Resources/Web/Properties/PrimaryContainer/Port"]
    );
}

#[test]
fn the_task_definition_of_a_resource_has_a_container_main() {
    let template = |container: &str| {
        format!(
            "Resources:
  Web:
    Type: AWS::ECS::ExpressGatewayService
    Properties: {{ InfrastructureRoleArn: !Ref Role, TaskDefinitionArn: !Ref Task }}
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      RequiresCompatibilities: [FARGATE]
      NetworkMode: awsvpc
      Cpu: 256
      Memory: 512
      ContainerDefinitions: [{container}]
"
        )
    };
    let valid = "{ Name: Main, Image: 'a:1', PortMappings: [{ ContainerPort: 80, Name: http }] }";
    assert_eq!(findings("t.yaml", &template(valid)), [""; 0]);

    let pointer = "P07 4 /Resources/Web/Properties/TaskDefinitionArn";
    for wrong in [
        valid.replace("Main", "app"),
        valid.replace(", Name: http", ""),
        valid.replace(
            "Name: http }",
            "Name: http }, { ContainerPort: 81, Name: b }",
        ),
        valid.replace("Name: http", "Name: http, Protocol: udp"),
    ] {
        assert_eq!(findings("t.yaml", &template(&wrong)), [pointer], "{wrong}");
    }
}

#[test]
fn other_new_forms_are_named_and_not_judged() {
    for (text, what) in [
        (
            r#"{ "daemonName": "d", "daemonTaskDefinitionArn": "x" }"#,
            "a managed daemon",
        ),
        (
            r#"{ "daemonTaskDefinition": { "family": "d", "containerDefinitions": [] } }"#,
            "the task definition of a managed",
        ),
        (
            r#"{ "name": "g", "infrastructureRoleArn": "x", "configuration": { "a": 1 } }"#,
            "a gateway",
        ),
        (
            r#"{ "name": "p", "managedInstancesProvider": { "a": 1 } }"#,
            "a capacity provider",
        ),
        (
            r#"{ "capacityProviders": [{ "name": "p" }] }"#,
            "a list of capacity providers",
        ),
        (
            r#"{ "service": { "serviceArn": "x", "activeConfigurations": [] } }"#,
            "a response about a service of ECS Express",
        ),
    ] {
        let source = Source::new("new.json", text);
        assert_eq!(check_input(&source), [], "{text}");
        let notes = read_input(&source).not_evaluated;
        assert_eq!(notes.len(), 1, "{text}");
        assert!(notes[0].message.starts_with(what), "{:?}", notes[0]);
    }
    let template =
        "Resources: { P: { Type: AWS::ECS::CapacityProvider }, D: { Type: AWS::ECS::Daemon } }\n";
    let notes = read_input(&Source::new("t.yaml", template)).not_evaluated;
    assert_eq!(notes.len(), 2);
}
