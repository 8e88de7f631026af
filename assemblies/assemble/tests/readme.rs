//! Runs the `import` and `inject` commands of `docs/import.md` in order.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

#[test]
fn the_commands_of_the_readme_succeed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().expect("the project");
    let folder = TempDir::new().expect("a folder");
    let here = folder.path();

    fs::create_dir_all(here.join("assemblies/values")).expect("a folder");
    let values = fs::copy(
        root.join("assemblies/values/example.yaml"),
        here.join("assemblies/values/example.yaml"),
    );

    values.expect("values");
    symlink(root.join("sidecars"), here.join("sidecars")).expect("a link");
    fs::write(here.join("task-definition.json"), TASK).expect("a file");

    let readme = fs::read_to_string(root.join("docs/import.md")).expect("the README");
    let commands = [
        "assemble import ",
        "assemble render shop ",
        "assemble inject ",
    ];
    let lines = readme
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim());
    let lines: Vec<&str> = lines
        .filter(|line| commands.iter().any(|start| line.starts_with(start)))
        .collect();

    // Fails if the README loses a command or gains one that is not run here.
    assert_eq!(lines.len(), 6, "{lines:#?}");
    for line in lines {
        let output = Command::new(env!("CARGO_BIN_EXE_assemble"))
            .args(line.split_whitespace().skip(1))
            .current_dir(here)
            .output()
            .expect("the command runs");
        let messages = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{line}\n{messages}");
    }

    assert!(
        here.join("assemblies/rendered/shop/task-definition.json")
            .is_file()
    );
    let written = fs::read_to_string(here.join("task-definition.json")).expect("a file");
    assert!(written.contains("\"telemetry-forwarder\""), "{written}");
}

const TASK: &str = r#"{
  "family": "shop", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
  "cpu": "256", "memory": "512",
  "executionRoleArn": "arn:aws:iam::222233334444:role/ecsTaskExecutionRole",
  "containerDefinitions": [
    { "name": "web", "image": "web:1.2", "portMappings": [{ "containerPort": 80 }],
      "environment": [{ "name": "LISTEN", "value": "0.0.0.0:80" }] }
  ]
}"#;
