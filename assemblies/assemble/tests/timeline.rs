//! `check --timeline` and scenario files.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::path::Path;
use std::process::{Command, Output};

/// Runs the command in this repository, with its own assemblies.
fn check(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_assemble"))
        .args(["check", "--timeline"])
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .env("NO_COLOR", "1")
        .output()
        .expect("the command runs")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn every_assembly_of_the_repository_stops_within_the_spot_warning() {
    let output = check(&["--format", "json"]);
    assert_eq!(output.status.code(), Some(0));
    let json: serde_json::Value = serde_json::from_str(&out(&output)).expect("JSON");
    let timelines = json["timelines"].as_array().expect("a list");

    assert_eq!(timelines.len(), 4);
    for timeline in timelines {
        let family = &timeline["family"];
        assert!(
            timeline["stopped"].as_f64().expect("a number") <= 120.0,
            "{family}"
        );
        // All dependencies have the condition START.
        assert_eq!(
            timeline["started"].as_f64(),
            Some(0.0),
            "{family} starts without waiting"
        );
    }
}

#[test]
fn the_reference_shows_the_actual_output() {
    let output = check(&["coins-secure"]);
    let reference = include_str!("../../../docs/commands.md");
    let text = out(&output);
    assert!(text.contains("task RUNNING"), "{text}");
    assert!(
        reference.contains(text.trim_end()),
        "docs/commands.md must show:\n{text}"
    );
}

#[test]
fn reports_a_task_that_may_hang_or_stops_too_slowly() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("task.json");
    std::fs::write(&file, HANGS).expect("a file");

    let text = out(&check(&[&file.display().to_string()]));
    for words in [
        // The health check's default interval is 30 s.
        "30 s  app starts, after db HEALTHY",
        "app may wait forever: `db` has no startTimeout",
        "containers-roadmap#2379",
        // 30 s for `db` and 100 s for `app`, one after the other.
        "10 s more than the 120 s of a Spot warning",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}

#[test]
fn a_dependency_cycle_has_no_timeline() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("task.json");
    let cycle = HANGS.replace(
        r#""image": "db","#,
        r#""image": "db", "dependsOn": [{ "containerName": "app", "condition": "START" }],"#,
    );

    std::fs::write(&file, cycle).expect("a file");
    let output = check(&[&file.display().to_string()]);
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{messages}");
    assert!(messages.contains("in a cycle: db, app"), "{messages}");
}

const HANGS: &str = r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "db", "image": "db", "healthCheck": { "command": ["CMD", "/probe"] } },
    { "name": "app", "image": "app", "stopTimeout": 100,
      "dependsOn": [{ "containerName": "db", "condition": "HEALTHY" }] }
  ]
}"#;

#[test]
fn simulates_a_scenario_and_reports_steps_that_do_not_match() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../task-runner/scenarios");
    let good = folder.join("a-container-is-killed-after-its-stop-timeout.yaml");
    let output = check(&[good.to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(0), "{}", out(&output));
    assert!(out(&output).contains("3000 ms  tick"), "{}", out(&output));

    let text = std::fs::read_to_string(&good).expect("a file");
    let temporary = tempfile::tempdir().expect("a folder");
    // The same scenario with a wrong expectation.
    let other = temporary.path().join("other.yaml");
    std::fs::write(&other, text.replace("then: [kill app]", "then: [term app]")).expect("a file");

    let output = check(&[other.to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        out(&output).contains("expected: term app"),
        "{}",
        out(&output)
    );

    // A container that does not exist makes the scenario invalid.
    std::fs::write(
        &other,
        "containers: [{ name: app }]\nsteps: [{ at: 0, event: ap runs }]\n",
    )
    .expect("a file");

    let output = check(&[other.to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(2));
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(messages.contains("no container `ap`"), "{messages}");
}
