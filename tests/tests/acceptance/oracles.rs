//! Judges that are not ours: what we render, held against botocore's model and cfn-lint.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use acceptance::{Finished, Process, workspace};

#[test]
fn botocore_accepts_every_rendered_definition() {
    let finished = judge("register_input.py", &rendered());
    assert_eq!(finished.code, 0, "{}", finished.output());
}

#[test]
fn cfn_lint_finds_nothing_in_any_rendered_definition() {
    let finished = judge("cloudformation.py", &rendered());
    assert_eq!(finished.code, 0, "{}", finished.output());
}

/// An oracle that finds nothing proves nothing until it has been seen to find something.
#[test]
fn both_judges_refuse_a_broken_definition() {
    let folder = tempfile::tempdir().expect("writable");
    let path = folder.path().join("broken.json");
    let broken = r#"{"family": "x", "networkMode": "bride", "requiresCompatibilities": ["FARGATE"],
        "cpu": "300", "memory": "512", "containerDefinitions": [{"name": "a", "image": "a", "memry": 1}]}"#;
    std::fs::write(&path, broken).expect("writable");
    for judge_script in ["register_input.py", "cloudformation.py"] {
        let finished = judge(judge_script, std::slice::from_ref(&path));
        assert_eq!(finished.code, 1, "{judge_script}: {}", finished.output());
    }
}

fn rendered() -> Vec<PathBuf> {
    let folder = workspace().join("assemblies/rendered");
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("`make assemble` has been run")
        .map(|entry| entry.expect("readable").path().join("task-definition.json"))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    assert!(found.len() >= 3, "only {found:?}");
    found
}

fn judge(script: &str, definitions: &[PathBuf]) -> Finished {
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
