//! Definitions for EC2 are checked for Fargate: each finding is something that has to change.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use diagnostics::source::Source;
use diagnostics::{Finding, Severity};
use ecs_rules::ImageFacts;
use ecs_rules::inputs::{check_input_with, read_input, retarget_to_fargate};

fn check(text: &str) -> Vec<Finding> {
    let mut input = read_input(&Source::new("task.json", text));
    let changes = retarget_to_fargate(&mut input);
    let found = check_input_with(&input, &[], &ImageFacts::default());
    changes.into_iter().chain(found).collect()
}

fn errors(text: &str) -> Vec<String> {
    let errors = check(text)
        .into_iter()
        .filter(|finding| finding.severity == Severity::Error);
    let format =
        |finding: Finding| format!("{} {}", finding.rule, finding.pointer.unwrap_or_default());
    errors.map(format).collect()
}

const EC2: &str = r#"{
  "family": "web",
  "requiresCompatibilities": ["EC2"],
  "networkMode": "bridge",
  "pidMode": "host",
  "ipcMode": "host",
  "placementConstraints": [{ "type": "memberOf", "expression": "attribute:ecs.os-type == linux" }],
  "volumes": [
    { "name": "logs", "host": { "sourcePath": "/var/log" } },
    { "name": "data", "dockerVolumeConfiguration": { "scope": "shared", "driver": "local" } }
  ],
  "containerDefinitions": [{
    "name": "app",
    "image": "app:1",
    "cpu": 300,
    "memory": 900,
    "privileged": true,
    "links": ["db"],
    "hostname": "app",
    "portMappings": [{ "containerPort": 80, "hostPort": 8080 }],
    "resourceRequirements": [{ "type": "GPU", "value": "1" }],
    "logConfiguration": { "logDriver": "json-file" },
    "mountPoints": [{ "sourceVolume": "logs", "containerPath": "/logs" }, { "sourceVolume": "data", "containerPath": "/data" }],
    "linuxParameters": {
      "sharedMemorySize": 64,
      "devices": [{ "hostPath": "/dev/fuse" }],
      "capabilities": { "add": ["NET_ADMIN"] }
    },
    "ulimits": [{ "name": "nofile", "softLimit": 1024, "hardLimit": 2000000 }]
  },
  { "name": "db", "image": "db:1", "memory": 500 }]
}"#;

#[test]
fn every_setting_that_has_to_change_is_reported_at_once() {
    let found = errors(EC2);
    for expected in [
        "Q02 /requiresCompatibilities",
        "T04 /networkMode",
        "T05 /cpu",
        "T05 /memory",
        "T08 /pidMode",
        "T09 /ipcMode",
        "T10 /placementConstraints",
        "V04 /volumes/0/host/sourcePath",
        "V04 /volumes/1/dockerVolumeConfiguration",
        "X01 /containerDefinitions/0/privileged",
        "X01 /containerDefinitions/0/links",
        "X01 /containerDefinitions/0/hostname",
        "X01 /containerDefinitions/0/linuxParameters/sharedMemorySize",
        "X01 /containerDefinitions/0/linuxParameters/devices",
        "X02 /containerDefinitions/0/linuxParameters/capabilities/add/0",
        "X05 /containerDefinitions/0/ulimits/0/hardLimit",
        "P02 /containerDefinitions/0/portMappings/0/hostPort",
        "T11 /containerDefinitions/0/resourceRequirements/0",
        "L01 /containerDefinitions/0/logConfiguration/logDriver",
    ] {
        let is_found = found.iter().any(|finding| finding.starts_with(expected));
        assert!(is_found, "{expected}: {found:#?}");
    }
}

#[test]
fn the_smallest_size_that_fits_is_named() {
    let findings = check(EC2);
    let size = findings
        .iter()
        .find(|finding| finding.rule == "T05")
        .unwrap();
    assert!(size.hint.contains("512 / 2048"), "{}", size.hint);
}

#[test]
fn without_compatibilities_the_definition_is_checked_too() {
    let text = r#"{ "family": "web", "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 128 }] }"#;
    let findings = check(text);
    let first = findings
        .iter()
        .find(|finding| finding.rule == "Q02")
        .unwrap();
    assert_eq!(first.severity, Severity::Warning);
    assert_eq!(
        errors(text),
        ["T04 /networkMode", "T05 /cpu", "T05 /memory"]
    );
}

#[test]
fn a_definition_for_fargate_stays_as_it_is() {
    let text = r#"{ "family": "web", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "256",
      "memory": "512", "containerDefinitions": [{ "name": "app", "image": "app:1" }] }"#;
    assert_eq!(check(text), []);
}

#[test]
fn a_service_for_ec2_is_checked_for_fargate() {
    let text = r#"{ "serviceName": "web", "taskDefinition": "web", "launchType": "EC2", "schedulingStrategy": "DAEMON",
      "placementStrategy": [{ "type": "binpack", "field": "memory" }] }"#;
    let found = errors(text);
    for expected in [
        "Q02 /launchType",
        "Q02 /networkConfiguration",
        "Q02 /schedulingStrategy",
        "Q02 /placementStrategy",
    ] {
        assert!(
            found.iter().any(|finding| finding == expected),
            "{expected}: {found:?}"
        );
    }
    let provider = r#"{ "serviceName": "web", "taskDefinition": "web", "desiredCount": 1,
      "capacityProviderStrategy": [{ "capacityProvider": "asg", "weight": 1 }],
      "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } } }"#;
    assert_eq!(errors(provider), ["Q02 /capacityProviderStrategy"]);
}

#[test]
fn a_template_is_reported_with_its_own_names() {
    let text = "Resources:
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      RequiresCompatibilities: [EC2]
      NetworkMode: host
      ContainerDefinitions: [{ Name: app, Image: 'app:1', Memory: 128 }]
";
    let pointer = |name: &str| format!("/Resources/Task/Properties/{name}");
    let found = errors(text);
    assert!(
        found.contains(&format!("Q02 {}", pointer("RequiresCompatibilities"))),
        "{found:?}"
    );
    assert!(
        found.contains(&format!("T04 {}", pointer("NetworkMode"))),
        "{found:?}"
    );
}
