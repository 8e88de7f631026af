//! Independent oracles: rendered documents, checked with botocore's model and cfn-lint.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use acceptance::{Process, ProcessOutput, workspace};

#[test]
fn botocore_accepts_every_rendered_definition() {
    let finished = run_oracle("register_input.py", &rendered_definitions());
    assert_eq!(finished.code, 0, "{}", finished.output());
}

#[test]
fn cfn_lint_finds_nothing_in_any_rendered_definition() {
    let finished = run_oracle("cloudformation.py", &rendered_definitions());
    assert_eq!(finished.code, 0, "{}", finished.output());
}

/// Without this test, oracles that find nothing would prove nothing.
#[test]
fn both_oracles_reject_an_invalid_definition() {
    let folder = tempfile::tempdir().expect("writable");
    let path = folder.path().join("broken.json");
    // An invalid network mode, a CPU value that Fargate does not have, and a misspelt key.
    let broken = r#"{"family": "x", "networkMode": "bride", "requiresCompatibilities": ["FARGATE"],
        "cpu": "300", "memory": "512", "containerDefinitions": [{"name": "a", "image": "a", "memry": 1}]}"#;
    std::fs::write(&path, broken).expect("writable");
    for script in ["register_input.py", "cloudformation.py"] {
        let finished = run_oracle(script, std::slice::from_ref(&path));
        assert_eq!(finished.code, 1, "{script}: {}", finished.output());
    }
}

fn rendered_definitions() -> Vec<PathBuf> {
    let folder = workspace().join("assemblies/rendered");
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("`make assemble` has been run")
        .map(|entry| entry.expect("readable").path().join("task-definition.json"))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    // Guards against an empty folder, over which every oracle would pass.
    assert!(found.len() >= 3, "only {found:?}");
    found
}

fn run_oracle(script: &str, definitions: &[PathBuf]) -> ProcessOutput {
    let python = workspace().join(".venv/bin/python");
    assert!(
        python.exists(),
        "the oracles are not installed: run `make setup`"
    );
    let mut command = Command::new(python);
    command
        .arg(workspace().join("tests/oracles").join(script))
        .args(definitions);
    Process::finish(command, Duration::from_mins(2))
}
