//! The normal form forgets what says nothing, and differences are named by what differs.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may fail loudly and talk"
)]

use serde_json::json;
use task_definition::source::Source;
use task_definition::{TaskDefinition, difference, normalise, read};

fn definition(text: &str) -> TaskDefinition {
    read(&Source::new("task", text)).unwrap().definition
}

const PLAIN: &str = r#"{
  "family": "web", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc",
  "cpu": ".25 vCPU", "memory": "1GB",
  "volumes": [{ "name": "scratch" }],
  "containerDefinitions": [{
    "name": "app", "image": "app:1", "portMappings": [{ "containerPort": 8080 }],
    "environment": [{ "name": "B", "value": "2" }, { "name": "A", "value": "1" }],
    "mountPoints": [{ "sourceVolume": "scratch", "containerPath": "/tmp" }],
    "healthCheck": { "command": ["CMD", "/app", "probe"] },
    "restartPolicy": { "enabled": true }
  }]
}"#;

const ANSWER: &str = r#"{
  "family": "web", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc",
  "cpu": "256", "memory": "1024", "revision": 7, "status": "ACTIVE", "placementConstraints": [],
  "volumes": [{ "name": "scratch", "host": {} }],
  "runtimePlatform": { "cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX" },
  "containerDefinitions": [{
    "name": "app", "image": "app:1", "cpu": 0, "essential": true,
    "portMappings": [{ "containerPort": 8080, "hostPort": 8080, "protocol": "tcp" }],
    "environment": [{ "name": "A", "value": "1" }, { "name": "B", "value": "2" }],
    "mountPoints": [{ "sourceVolume": "scratch", "containerPath": "/tmp", "readOnly": false }],
    "volumesFrom": [], "systemControls": [], "privileged": false, "stopTimeout": 30,
    "healthCheck": { "command": ["CMD", "/app", "probe"], "interval": 30, "timeout": 5, "retries": 3, "startPeriod": 0 },
    "restartPolicy": { "enabled": true, "restartAttemptPeriod": 300, "ignoredExitCodes": [] }
  }]
}"#;

#[test]
fn an_answer_and_what_was_asked_for_are_the_same() {
    let (plain, answer) = (
        normalise(&definition(PLAIN)),
        normalise(&definition(ANSWER)),
    );
    assert_eq!(difference(&plain, &answer), []);
    assert_eq!(plain.to_json(), answer.to_json());
}

#[test]
fn each_change_is_named() {
    let before = definition(PLAIN);
    let mut after = before.clone();
    after.cpu = Some("512".to_owned());
    after.container_definitions[0].environment[1].value = "one".to_owned();
    after.container_definitions[0].environment.remove(0);
    after.container_definitions[0].command = vec!["serve".to_owned()];
    after.volumes.clear();

    let changes: Vec<_> = difference(&normalise(&before), &normalise(&after))
        .into_iter()
        .map(|change| (change.pointer, change.before, change.after))
        .collect();

    assert_eq!(
        changes,
        [
            (
                "/containerDefinitions/app/environment/A/value".to_owned(),
                Some(json!("1")),
                Some(json!("one"))
            ),
            (
                "/containerDefinitions/app/environment/B".to_owned(),
                Some(json!({ "name": "B", "value": "2" })),
                None
            ),
            (
                "/containerDefinitions/app/command".to_owned(),
                None,
                Some(json!(["serve"]))
            ),
            (
                "/volumes".to_owned(),
                Some(json!([{ "name": "scratch" }])),
                None
            ),
            ("/cpu".to_owned(), Some(json!("256")), Some(json!("512"))),
        ]
    );
}

#[test]
fn what_is_said_survives() {
    let text = r#"{ "family": "web", "containerDefinitions": [{ "name": "app", "image": "app:1",
        "essential": false, "readonlyRootFilesystem": true, "cpu": 64, "stopTimeout": 5,
        "versionConsistency": "disabled", "portMappings": [{ "containerPort": 53, "protocol": "udp" }] }] }"#;
    let normal = normalise(&definition(text));
    let app = &normal.container_definitions[0];

    assert_eq!(
        (app.essential, app.readonly_root_filesystem),
        (Some(false), Some(true))
    );
    assert_eq!((app.cpu, app.stop_timeout), (Some(64), Some(5)));
    assert_eq!(app.version_consistency.as_deref(), Some("disabled"));
    assert_eq!(app.port_mappings[0].protocol.as_deref(), Some("udp"));
}
