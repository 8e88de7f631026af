//! The normal form drops values without effect, and changes identify list members by name.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use diagnostics::source::Source;
use serde_json::json;
use task_definition::{TaskDefinition, diff, normalise, read};

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

const RESPONSE: &str = r#"{
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
fn a_describe_response_equals_its_registration_input() {
    let (plain, response) = (
        normalise(&definition(PLAIN)),
        normalise(&definition(RESPONSE)),
    );
    assert_eq!(diff(&plain, &response), []);
    assert_eq!(plain.to_json(), response.to_json());
}

#[test]
fn changes_identify_list_members_by_name() {
    let before = definition(PLAIN);
    let mut after = before.clone();
    after.cpu = Some("512".to_owned());
    after.container_definitions[0].environment[1].value = "one".to_owned();
    // Removes B, so A moves from index 1 to 0 and keeps its identity.
    after.container_definitions[0].environment.remove(0);
    after.container_definitions[0].command = vec!["serve".to_owned()];
    after.volumes.clear();

    let changes: Vec<_> = diff(&normalise(&before), &normalise(&after))
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
fn explicit_values_are_kept() {
    // Each value differs from its default.
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
