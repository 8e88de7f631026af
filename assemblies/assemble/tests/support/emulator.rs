//! A running emulator, and this command as its client.

#![allow(dead_code, reason = "each test binary uses only some of it")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{CommandOutput, Project};

pub(crate) const LIMIT: Duration = Duration::from_mins(5);

/// A running emulator, and the variables with which a client uses it.
pub(crate) struct Emulator {
    pub(crate) project: Project,
    pub(crate) process: Child,
    pub(crate) variables: Vec<(String, String)>,
}

impl Emulator {
    /// Starts an emulator with the task definition `web` registered.
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::start_with(options, "rules: []")
    }

    /// Starts an emulator with fault rules. They must let the registration of `web` through.
    pub(crate) fn start_with(options: &[&str], rules: &str) -> Self {
        let project = Project::new();
        let faults = project.write("faults.yaml", rules);
        // The command is for the tests that run a shell; stubs ignore it.
        let container = json!({ "name": "app", "image": "app:1", "essential": true, "stopTimeout": 2,
            "command": ["-c", "exit 3"], "portMappings": [{ "containerPort": 8080 }] });
        let definition = json!({ "family": "web", "networkMode": "awsvpc", "cpu": "256", "memory": "512",
            "requiresCompatibilities": ["FARGATE"], "containerDefinitions": [container] });
        project.write("web.json", definition.to_string());

        let process = Command::new(env!("CARGO_BIN_EXE_assemble"))
            .args(["emulate", "--port", "0", "--faults"])
            .arg(faults)
            .args(options)
            .current_dir(project.root())
            .stdin(Stdio::null())
            .stderr(File::create(project.root().join("err")).unwrap())
            .spawn()
            .unwrap();
        let mut emulator = Self {
            project,
            process,
            variables: Vec::new(),
        };

        let file = emulator.project.root().join(".assemble/emulator/env");
        wait_until("the keys are written", || file.exists());
        emulator.variables = read_variables(&file);
        let registered = emulator.assemble(&["register", "web.json"]);
        assert_eq!(registered.code, Some(0), "{}", registered.err);
        emulator
    }

    /// Returns the command as a client of the emulator.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_assemble"));
        command
            .args(arguments)
            .current_dir(self.project.root())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(self.variables.iter().cloned());
        command
    }

    /// Returns the tasks that the events name.
    pub(crate) fn tasks(&self) -> BTreeSet<String> {
        let events = self.project.read(".assemble/emulator/events.jsonl");
        let lines = events.lines().map(serde_json::from_str::<Value>);
        lines
            .flatten()
            .filter_map(|event| event["detail"]["taskArn"].as_str().map(str::to_owned))
            .collect()
    }

    /// Runs the command as a client of the emulator.
    pub(crate) fn assemble(&self, arguments: &[&str]) -> CommandOutput {
        let output = self.command(arguments).output().unwrap();
        CommandOutput {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    pub(crate) fn run(&self, more: &[&str]) -> CommandOutput {
        self.assemble(
            &[
                &["run", "web", "--subnet", "subnet-1", "--timeout", "240s"],
                more,
            ]
            .concat(),
        )
    }

    /// Returns the state of the only task, as its run directory has it.
    pub(crate) fn task(&self) -> Value {
        let runs = fs::read_dir(self.project.root().join(".assemble/run")).unwrap();
        let folder = runs.flatten().next().unwrap().path();
        let text = fs::read_to_string(folder.join("task.json")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["tasks"][0].take()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn read_variables(file: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(file).unwrap();
    let exports = text
        .lines()
        .filter_map(|line| line.strip_prefix("export ")?.split_once('='));
    exports
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

pub(crate) fn wait_until(what: &str, is_true: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is_true() {
        assert!(Instant::now() < deadline, "not true in time: {what}");
        sleep(Duration::from_millis(20));
    }
}
