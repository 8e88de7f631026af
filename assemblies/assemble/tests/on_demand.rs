//! `on-demand test` and `watch`, as a user meets them.

#![allow(clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A project with one assembly, whose app copies its input and appends to a diary.
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
fn a_key_that_matches_shows_the_overrides_and_their_size() {
    let project = Project::new();
    let output = project.on_demand(&["test", "--key", "in/a b+ü.txt", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let told: Value = serde_json::from_str(&out(&output)).unwrap();
    let environment = &told["overrides"]["containerOverrides"][0]["environment"];
    assert_eq!(environment[0]["value"], "s3://inbox/in/a b+ü.txt");
    let written = told["overrides"].to_string();
    assert_eq!(told["characters"], written.chars().count());
    let text = out(&project.on_demand(&["test", "copies", "--key", "in/a.txt"]));
    assert!(text.contains("of the 8192 characters"), "{text}");
}

#[test]
fn a_key_that_does_not_match_is_told_with_the_reason() {
    let project = Project::new();
    for (arguments, why) in [
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
            "a quote or a backslash in a key",
        ),
    ] {
        let output = project.on_demand(&[&["test"], &arguments[..]].concat());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(out(&output).contains(why), "{why}\n{}", out(&output));
    }

    let output = project.on_demand(&["test", "nobody", "--key", "x"]);
    assert_eq!(output.status.code(), Some(2), "{}", err(&output));
}

#[test]
fn an_event_of_s3_can_be_tried_as_it_came() {
    let project = Project::new();
    let event = out(&project.on_demand(&["test", "--key", "in/a.txt", "--format", "json"]));
    let told: Value = serde_json::from_str(&event).unwrap();
    project.write("event.json", &told["event"].to_string());

    let output = project.on_demand(&["test", "--event", "event.json"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    project.write("event.json", "{");

    let output = project.on_demand(&["test", "--event", "event.json"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        err(&output).contains("`event.json` is no event in JSON"),
        "{}",
        err(&output)
    );
}

#[cfg(feature = "up")]
#[test]
fn every_file_has_one_output_though_events_come_twice_and_in_any_order() {
    let project = Project::new();
    for number in 0..6 {
        project.write(
            &format!("bucket/in/{number} ü.txt"),
            &format!("text {number}"),
        );
    }

    project.write("bucket/other.txt", "not meant");
    let chaos = [
        "--existing",
        "--until-idle",
        "--duplicate",
        "1",
        "--reorder",
        "--max-parallel",
        "3",
    ];

    let output = project.on_demand(&[&["watch", "bucket"], &chaos[..]].concat());
    let said = err(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("12 tasks done, none failed"), "{said}");
    assert!(
        said.contains("other.txt: the rule does not match"),
        "{said}"
    );

    let folder = project.path(".assemble/on-demand/copies/output/in");
    let mut made: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();

    made.sort();
    let wanted: Vec<String> = (0..6).map(|number| format!("text {number}")).collect();
    assert_eq!(made, wanted);
    let diary = fs::read_to_string(project.path(".assemble/diary")).unwrap();
    assert_eq!(diary.lines().count(), 12, "each event ran its task");
}

#[cfg(feature = "up")]
#[test]
fn what_fails_for_good_is_a_dead_letter_with_the_event_and_the_last_words() {
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

    let said = err(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let folder = project.path(".assemble/on-demand/copies/dead-letters");
    let letters: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    let letter: Value = serde_json::from_slice(&fs::read(&letters[0]).unwrap()).unwrap();

    assert_eq!(letters.len(), 1);
    assert_eq!(letter["event"]["detail"]["object"]["key"], "in/bad.txt");
    let tries = letter["tries"].as_array().unwrap();
    assert_eq!(tries.len(), 2);
    assert_eq!(tries[1]["exitCode"], 3);
    let words = tries[1]["said"].as_str().unwrap();
    assert!(words.contains("cannot read this"), "{words}");
}

const COMPONENT: &str = r#"schema: 1
name: copy
kind: app
summary: Copies a text
image: copy:1
commands: { on_demand: [run] }
trigger: { input: "s3://{bucket}/{key}", output: "s3://{output_bucket}/{key}" }
settings:
  input: { type: string, default: "", doc: "What is copied." }
  output: { type: string, default: "", doc: "Where to." }
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

/// As a task should: it writes beside its output and moves it there, and the same input twice is the same output.
const PROGRAM: &str = r#"#!/bin/sh
echo "$COPY_INPUT" >> .assemble/diary
if [ "$(cat "$COPY_INPUT")" = bad ]; then echo "cannot read this" >&2; exit 3; fi
beside=$(mktemp "$COPY_OUTPUT.XXXXXX") && cp "$COPY_INPUT" "$beside" && mv "$beside" "$COPY_OUTPUT"
"#;
