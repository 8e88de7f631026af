//! `up` runs a task definition in every form that `check` reads.
#![cfg(feature = "up")]
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::io::Write as _;
use std::process::{Command, Stdio};

use support::Project;

/// Runs a file until it is ready, with a stub in place of each container.
fn up(file: &str, text: &str, stubs: &[&str]) -> (Option<i32>, String) {
    let project = Project::empty();
    project.write(file, text);
    let mut arguments = vec!["up", file, "--until-ready", "--timeout", "60s"];
    for stub in stubs {
        arguments.extend(["--stub", stub]);
    }
    let output = project.assemble(&arguments);
    (output.code, output.out + &output.err)
}

const CONTAINER: &str =
    r#"{ "name": "app", "image": "app:1", "essential": true, "entryPoint": null }"#;

#[test]
fn a_response_of_ecs_runs() {
    let text = format!(
        r#"{{ "taskDefinition": {{ "family": "web", "revision": 3, "status": "ACTIVE", "containerDefinitions": [{CONTAINER}] }}, "tags": [] }}"#
    );
    let (code, output) = up("task.json", &text, &["app"]);
    assert_eq!(code, Some(0), "{output}");
}

#[test]
fn a_list_of_containers_runs_with_the_volumes_that_it_mounts() {
    let text = r#"[{ "name": "app", "image": "app:1", "volumes": [], "mountPoints": [{ "sourceVolume": "data",
      "containerPath": "/data", "readOnly": null }] }]"#;
    let (code, output) = up("containers.json", text, &["app"]);
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("is a list of containers"), "{output}");
    // Terraform drops the field, so it is a message and no reason to stop.
    assert!(
        output.contains("a container has no field `volumes`"),
        "{output}"
    );
}

#[test]
fn a_template_runs_with_the_defaults_of_its_parameters() {
    let text = "Parameters: { Tag: { Type: String, Default: '1' }, Key: { Type: String } }
Resources:
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      Family: web
      ContainerDefinitions:
        - { Name: app, Image: !Sub 'app:${Tag}', Environment: [{ Name: KEY, Value: !Ref Key }] }
";
    let (code, output) = up("stack.yaml", text, &["app"]);
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("is a CloudFormation template"), "{output}");
    assert!(
        output.contains("does not have the values of /containerDefinitions/0/environment/0/value"),
        "{output}"
    );
}

#[test]
fn a_compose_file_runs_and_says_what_differs() {
    let text = "services:
  web: { image: 'web:1', env_file: .env, depends_on: [db] }
  db: { image: 'db:1' }
";
    let (code, output) = up("compose.yaml", text, &["web", "db"]);
    assert_eq!(code, Some(0), "{output}");
    assert!(
        output.contains("`compose.yaml` is a Compose file"),
        "{output}"
    );
    assert!(
        output.contains("compose.yaml:2: `env_file` of `web` is not evaluated"),
        "{output}"
    );
}

#[test]
fn a_copilot_manifest_runs() {
    let text = "name: api\ntype: Backend Service\nimage: { build: Dockerfile }\n";
    let (code, output) = up("manifest.yml", text, &["api"]);
    assert_eq!(code, Some(0), "{output}");
}

#[test]
fn files_without_one_task_definition_are_refused_with_the_reason() {
    let several = "Resources:
  A: { Type: AWS::ECS::TaskDefinition, Properties: { ContainerDefinitions: [{ Name: a, Image: 'a:1' }] } }
  B: { Type: AWS::ECS::TaskDefinition, Properties: { ContainerDefinitions: [{ Name: b, Image: 'b:1' }] } }
";
    let service = r#"{ "serviceName": "web", "taskDefinition": "web", "desiredCount": 1 }"#;
    for (file, text, expected) in [
        ("stack.yaml", several, "has several task definitions (A, B)"),
        (
            "service.json",
            service,
            "is a service without a task definition to run",
        ),
        ("policy.json", r#"{ "Statement": [] }"#, "is an IAM policy"),
    ] {
        let (code, output) = up(file, text, &[]);
        assert_eq!(code, Some(125), "{output}");
        assert!(output.contains(expected), "{output}");
    }
}

#[test]
fn the_standard_input_runs_in_the_foreground_only() {
    let project = Project::empty();
    let run = |more: &[&str]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_assemble"))
            .args(["up", "-", "--stub", "app"])
            .args(more)
            .current_dir(project.root())
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let text = format!("[{CONTAINER}]");
        // The command may end before it reads the text.
        let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
        let output = child.wait_with_output().unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, error) = run(&["--until-ready"]);
    assert_eq!(code, Some(0), "{error}");
    let (code, error) = run(&["--detach"]);
    assert_eq!(code, Some(125), "{error}");
    assert!(error.contains("from the standard input"), "{error}");
}
