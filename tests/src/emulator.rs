//! A running `assemble emulate` with its network and project, and clients of it.

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::{Network, Process, ProcessOutput, Project, wait_until, workspace};

/// A running emulator. Dropping it kills it, and its tasks notice and stop.
#[derive(Debug)]
pub struct Emulator {
    /// The network of the emulator and its clients.
    pub network: Network,
    /// The project in which it runs.
    pub project: Project,
    process: Process,
    variables: Vec<(String, String)>,
}

impl Emulator {
    /// Starts an emulator, and waits until its keys are there.
    pub fn start(options: &[&str]) -> Self {
        let (network, project) = (Network::new(), Project::new());
        let mut command = project.assemble(&network);
        // The network is the test's own only where the host allows it, so the port must be free in any case.
        command.args(["emulate", "--port", "0"]).args(options);
        let process = Process::start(command);

        let file = project.root().join(".assemble/emulator/env");
        let mut emulator = Self {
            network,
            project,
            process,
            variables: Vec::new(),
        };
        let is_ready = wait_until(LIMIT, || file.exists() || !emulator.process.is_running());
        assert!(is_ready && file.exists(), "{}", emulator.process.stderr());

        let text = fs::read_to_string(file).expect("readable");
        let exports = text
            .lines()
            .filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        emulator.variables = exports
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        emulator
    }

    /// Returns the address of the API.
    pub fn endpoint(&self) -> &str {
        let found = self
            .variables
            .iter()
            .find(|(name, _)| name == "AWS_ENDPOINT_URL_ECS");
        &found.expect("among the variables").1
    }

    /// Returns a program of this network that is a client of the emulator.
    pub fn client(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.network.command(program);
        command.current_dir(self.project.root());
        self.add_variables(&mut command);
        command
    }

    /// Returns `assemble` as a client of the emulator.
    pub fn assemble(&self, arguments: &[&str]) -> Command {
        let mut command = self.project.assemble(&self.network);
        command.args(arguments);
        self.add_variables(&mut command);
        command
    }

    /// Returns a Python program of the oracles' venv, with boto3, as a client of the emulator.
    pub fn python(&self, script: &str) -> Command {
        let python = workspace().join(".venv/bin/python");
        assert!(python.exists(), "boto3 is not installed: run `make setup`");
        let mut command = self.client(python);
        command.arg(workspace().join("tests").join(script));
        command
    }

    /// Calls an operation of ECS with the AWS CLI; returns its answer.
    pub fn call(&self, arguments: &[&str]) -> Value {
        let mut command = self.client(workspace().join(".venv/bin/python"));
        // Not `aws` of the venv, whose first line has the path of the Python it was installed with.
        command.args(["-m", "awscli", "ecs", "--output", "json"]);
        command.args(arguments);
        let finished = Process::finish(command, LIMIT);
        assert_eq!(finished.code, 0, "{arguments:?}: {}", finished.output());
        serde_json::from_str(&finished.stdout).unwrap_or_default()
    }

    /// Sends SIGTERM and waits for the end of the emulator and of its tasks.
    pub fn stop(self) -> (ProcessOutput, Network) {
        self.process.signal("TERM");
        (self.process.wait_for_exit(LIMIT), self.network)
    }

    fn add_variables(&self, command: &mut Command) {
        let own = self.variables.iter().map(|(name, value)| (name, value));
        command
            .envs(own)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            // Settings of the developer must not reach a test.
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env_remove("AWS_PROFILE")
            .env_remove("AWS_SESSION_TOKEN")
            .env_remove("AWS_ENDPOINT_URL");
    }
}

// Every wait ends as soon as its condition holds, so a long limit costs nothing.
const LIMIT: Duration = Duration::from_mins(5);
