//! `check --timeline`, as a user meets it.

#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::{Command, Output};

/// The command, run in the project whose assemblies are shipped.
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
fn every_shipped_assembly_stops_before_spot_kills_it() {
    let output = check(&["--format", "json"]);
    assert_eq!(output.status.code(), Some(0));
    let json: serde_json::Value = serde_json::from_str(&out(&output)).expect("JSON");
    let timelines = json["timelines"].as_array().expect("a list");

    assert_eq!(timelines.len(), 4);
    for one in timelines {
        let family = &one["family"];
        assert!(
            one["stopped"].as_f64().expect("a number") <= 120.0,
            "{family}"
        );
        assert_eq!(
            one["started"].as_f64(),
            Some(0.0),
            "{family} waits for nobody"
        );
    }
}

#[test]
fn the_manual_shows_what_is_printed() {
    let output = check(&["coins-secure"]);
    let readme = include_str!("../README.md");
    let text = out(&output);
    assert!(text.contains("task RUNNING"), "{text}");
    assert!(
        readme.contains(text.trim_end()),
        "the README is to show:\n{text}"
    );
}

#[test]
fn a_task_that_may_hang_or_outlive_its_stop_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("task.json");
    std::fs::write(&file, HANGS).expect("a file");

    let text = out(&check(&[&file.display().to_string()]));
    for words in [
        "30 s  app starts, after db HEALTHY",
        "app may wait for ever: `db` has no startTimeout",
        "containers-roadmap#2379",
        "Spot gives 120 s: 10 s too few",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}

#[test]
fn a_circle_has_no_timeline() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("task.json");
    let circle = HANGS.replace(
        r#""image": "db","#,
        r#""image": "db", "dependsOn": [{ "containerName": "app", "condition": "START" }],"#,
    );

    std::fs::write(&file, circle).expect("a file");
    let output = check(&[&file.display().to_string()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("in a circle: db, app"), "{said}");
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
fn a_story_is_played_and_where_it_goes_another_way_is_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../task-runner/scenarios");
    let good = folder.join("what-outlives-its-stop-timeout-is-killed.yaml");
    let output = check(&[good.to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(0), "{}", out(&output));
    assert!(out(&output).contains("3000 ms  tick"), "{}", out(&output));

    let text = std::fs::read_to_string(&good).expect("a file");
    let temporary = tempfile::tempdir().expect("a folder");
    let other = temporary.path().join("other.yaml");
    std::fs::write(&other, text.replace("then: [kill app]", "then: [term app]")).expect("a file");

    let output = check(&[other.to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        out(&output).contains("the story says: term app"),
        "{}",
        out(&output)
    );

    std::fs::write(
        &other,
        "containers: [{ name: app }]\nstory: [{ at: 0, event: ap runs }]\n",
    )
    .expect("a file");

    let output = check(&[other.to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no container `ap`"), "{said}");
}
