//! `on-demand test` and `on-demand watch` from the command line.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A project with one assembly, and an app that copies its input and appends a line to a log.
struct Project(TempDir);

impl Project {
    fn new() -> Self {
        let project = Self(tempfile::tempdir().unwrap());
        project.write("apps/copy/component.yaml", COMPONENT);
        project.write("assemblies/copies.yaml", ASSEMBLY);
        for environment in ["example", "local"] {
            project.write(&format!("assemblies/values/{environment}.yaml"), VALUES);
        }
        project.write("bin/copy", PROGRAM);
        let program = project.path("bin/copy");
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(project.path("bucket")).unwrap();
        project
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn on_demand(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_assemble"))
            .arg("on-demand")
            .args(arguments)
            // The program of the component is in the project, not next to `assemble`.
            .current_dir(self.0.path())
            .env("ASSEMBLE_BIN_DIR", self.path("bin"))
            .env("NO_COLOR", "1")
            .output()
            .unwrap()
    }
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_matching_key_shows_the_overrides_and_their_size() {
    let project = Project::new();
    // Characters that URLs escape: EventBridge delivers the key as it is.
    let output = project.on_demand(&["test", "--key", "in/a b+ü.txt", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let result: Value = serde_json::from_str(&out(&output)).unwrap();
    let environment = &result["overrides"]["containerOverrides"][0]["environment"];
    assert_eq!(environment[0]["value"], "s3://inbox/in/a b+ü.txt");
    let overrides = result["overrides"].to_string();
    assert_eq!(result["characters"], overrides.chars().count());
    let text = out(&project.on_demand(&["test", "copies", "--key", "in/a.txt"]));
    assert!(text.contains("of the 8192 characters"), "{text}");
}

#[test]
fn a_key_that_does_not_match_is_reported_with_the_reason() {
    let project = Project::new();
    for (arguments, why) in [
        // Each case breaks one condition of the rule's pattern; the last one cannot be put into the template's JSON.
        (vec!["--key", "out/a.txt"], "`detail.object.key` is"),
        (
            vec!["--key", "in/a.txt", "--size", "0"],
            "`detail.object.size` is 0",
        ),
        (
            vec!["--key", "in/a.txt", "--bucket", "other"],
            "`detail.bucket.name` is",
        ),
        (
            vec!["--key", "in/\".txt"],
            "a quote or a backslash in the key",
        ),
    ] {
        let output = project.on_demand(&[&["test"], &arguments[..]].concat());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(out(&output).contains(why), "{why}\n{}", out(&output));
    }

    let output = project.on_demand(&["test", "unknown", "--key", "x"]);
    assert_eq!(output.status.code(), Some(2), "{}", err(&output));
}

#[test]
fn accepts_a_whole_event_of_s3() {
    let project = Project::new();
    let event = out(&project.on_demand(&["test", "--key", "in/a.txt", "--format", "json"]));
    let result: Value = serde_json::from_str(&event).unwrap();
    project.write("event.json", &result["event"].to_string());

    let output = project.on_demand(&["test", "--event", "event.json"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    // Not valid JSON.
    project.write("event.json", "{");

    let output = project.on_demand(&["test", "--event", "event.json"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        err(&output).contains("`event.json` is not a JSON event"),
        "{}",
        err(&output)
    );
}

#[cfg(feature = "up")]
#[test]
fn every_file_has_one_output_although_events_are_duplicated_and_reordered() {
    let project = Project::new();
    for number in 0..6 {
        project.write(
            &format!("bucket/in/{number} ü.txt"),
            &format!("text {number}"),
        );
    }

    project.write("bucket/other.txt", "outside of the prefix");
    let options = [
        "--existing",
        "--until-idle",
        "--duplicate",
        "1",
        "--reorder",
        "--max-parallel",
        "3",
    ];

    let output = project.on_demand(&[&["watch", "bucket"], &options[..]].concat());
    let messages = err(&output);
    assert_eq!(output.status.code(), Some(0), "{messages}");
    // Six files, each delivered twice.
    assert!(
        messages.contains("12 tasks succeeded, none failed"),
        "{messages}"
    );
    assert!(
        messages.contains("other.txt: the rule does not match"),
        "{messages}"
    );

    let folder = project.path(".assemble/on-demand/copies/output/in");
    let mut outputs: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();

    outputs.sort();
    let expected: Vec<String> = (0..6).map(|number| format!("text {number}")).collect();
    assert_eq!(outputs, expected);
    let log = fs::read_to_string(project.path(".assemble/runs.log")).unwrap();
    assert_eq!(log.lines().count(), 12, "each event ran its task");
}

#[cfg(feature = "up")]
#[test]
fn a_task_that_keeps_failing_leaves_a_dead_letter() {
    let project = Project::new();
    project.write("bucket/in/bad.txt", "bad");
    let output = project.on_demand(&[
        "watch",
        "bucket",
        "--existing",
        "--until-idle",
        "--retries",
        "1",
    ]);

    let messages = err(&output);
    assert_eq!(output.status.code(), Some(1), "{messages}");
    let folder = project.path(".assemble/on-demand/copies/dead-letters");
    let letters: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    let letter: Value = serde_json::from_slice(&fs::read(&letters[0]).unwrap()).unwrap();

    assert_eq!(letters.len(), 1);
    assert_eq!(letter["event"]["detail"]["object"]["key"], "in/bad.txt");
    let attempts = letter["attempts"].as_array().unwrap();
    // One attempt and one retry.
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts[1]["exitCode"], 3);
    let text = attempts[1]["output"].as_str().unwrap();
    assert!(text.contains("cannot read this"), "{text}");
}

const COMPONENT: &str = r#"schema: 1
name: copy
kind: app
summary: Copies a file
image: copy:1
commands: { on_demand: [run] }
trigger: { input: "s3://{bucket}/{key}", output: "s3://{output_bucket}/{key}" }
settings:
  input: { type: string, default: "", doc: "File to copy." }
  output: { type: string, default: "", doc: "Where to copy it." }
size: { cpu: 64, memory: 64, weight: 1 }
local: { binary: copy }
"#;

const ASSEMBLY: &str = r"name: copies
app: copy
on_demand:
  bucket: inbox
  prefix: in/
  suffix: .txt
  output_bucket: outbox
";

const VALUES: &str = r#"account: "111122223333"
region: eu-central-1
registry: registry.example
version: "1"
"#;

/// Writes a temporary file and renames it, so that the same input twice has the same output.
const PROGRAM: &str = r#"#!/bin/sh
echo "$COPY_INPUT" >> .assemble/runs.log
if [ "$(cat "$COPY_INPUT")" = bad ]; then echo "cannot read this" >&2; exit 3; fi
temporary=$(mktemp "$COPY_OUTPUT.XXXXXX") && cp "$COPY_INPUT" "$temporary" && mv "$temporary" "$COPY_OUTPUT"
"#;
