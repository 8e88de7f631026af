//! `emulate`: tasks that a client starts through the API really run. The client is this command.
#![cfg(all(feature = "up", feature = "aws"))]
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

mod support;
use support::{CommandOutput, Project};

const LIMIT: Duration = Duration::from_mins(2);

/// A running emulator, and the variables with which a client uses it.
struct Emulator {
    project: Project,
    process: Child,
    variables: Vec<(String, String)>,
}

impl Emulator {
    /// Starts an emulator with the task definition `web` registered.
    fn start(options: &[&str]) -> Self {
        let project = Project::new();
        // The command is for the tests that run a shell; stubs ignore it.
        let container = json!({ "name": "app", "image": "app:1", "essential": true, "stopTimeout": 2,
            "command": ["-c", "exit 3"], "portMappings": [{ "containerPort": 8080 }] });
        let definition = json!({ "family": "web", "networkMode": "awsvpc", "cpu": "256", "memory": "512",
            "requiresCompatibilities": ["FARGATE"], "containerDefinitions": [container] });
        project.write("web.json", definition.to_string());

        let process = Command::new(env!("CARGO_BIN_EXE_assemble"))
            .args(["emulate", "--port", "0"])
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

    /// Runs the command as a client of the emulator.
    fn assemble(&self, arguments: &[&str]) -> CommandOutput {
        let output = Command::new(env!("CARGO_BIN_EXE_assemble"))
            .args(arguments)
            .current_dir(self.project.root())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(self.variables.iter().cloned())
            .output()
            .unwrap();
        CommandOutput {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn run(&self, more: &[&str]) -> CommandOutput {
        self.assemble(
            &[
                &["run", "web", "--subnet", "subnet-1", "--timeout", "60s"],
                more,
            ]
            .concat(),
        )
    }

    /// Returns the state of the only task, as its run directory has it.
    fn task(&self) -> Value {
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

fn wait_until(what: &str, is_true: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !is_true() {
        assert!(Instant::now() < deadline, "not true in time: {what}");
        sleep(Duration::from_millis(20));
    }
}

/// Sends a request to the port that a task has published.
fn get(task: &Value) -> String {
    // Two tasks with the same port must not collide.
    let binding = &task["containers"][0]["networkBindings"][0];
    let address = format!(
        "{}:{}",
        binding["bindIP"].as_str().unwrap(),
        binding["hostPort"]
    );
    let mut stream = TcpStream::connect(address.parse::<SocketAddr>().unwrap()).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: app\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut response = String::new();
    let _ = stream.read_to_string(&mut response);
    response
}

#[test]
fn a_task_answers_on_its_own_address() {
    let emulator = Emulator::start(&["--stub", "app=http-200"]);
    let started = emulator.run(&["--wait-until", "running"]);
    assert_eq!(started.code, Some(0), "{}", started.err);

    let task = emulator.task();
    assert!(get(&task).starts_with("HTTP/1.1 200 "), "{task:#}");
    let binding = &task["containers"][0]["networkBindings"][0];
    assert_ne!(binding["bindIP"], "127.0.0.1", "{task:#}");
    assert_eq!(binding["hostPort"], 8080, "{task:#}");
    // The task has the identity that the API reports.
    assert!(
        task["taskArn"]
            .as_str()
            .unwrap()
            .starts_with("arn:aws:ecs:us-east-1:000000000000:task/default/")
    );

    assert!(
        task["taskDefinitionArn"]
            .as_str()
            .unwrap()
            .ends_with(":task-definition/web:1")
    );
}

#[test]
fn the_client_gets_the_exit_code_of_the_container() {
    let emulator = Emulator::start(&["--program", "app=/bin/sh"]);
    let finished = emulator.run(&[]);
    assert_eq!(finished.code, Some(3), "{}", finished.err);
}

#[test]
fn a_missing_program_is_a_reason_that_names_it() {
    let emulator = Emulator::start(&[]);
    let finished = emulator.run(&[]);
    assert_ne!(finished.code, Some(0));
    assert!(
        finished.err.contains("image cannot be pulled"),
        "{}",
        finished.err
    );

    let events = || emulator.project.read(".assemble/emulator/events.jsonl");
    wait_until("the event is written", || {
        events().contains("TaskFailedToStart")
    });
    let events = events();
    let last: Value = serde_json::from_str(events.lines().last().unwrap()).unwrap();
    let reason = last["detail"]["stoppedReason"].as_str().unwrap();
    assert!(reason.starts_with("CannotPullContainerError: "), "{reason}");
    assert!(reason.contains("--program app=FILE"), "{reason}");
}

#[test]
fn no_task_survives_an_emulator_that_is_killed() {
    let mut emulator = Emulator::start(&["--stub", "app=sleep"]);
    assert_eq!(
        emulator
            .run(&["--wait-until", "running", "--count", "3"])
            .code,
        Some(0)
    );

    let alive = |emulator: &Emulator| {
        let listed = support::assemble(emulator.project.root(), &["ps"]).out;
        listed
            .lines()
            .filter(|line| line.starts_with("web-") && line.contains("RUNNING"))
            .count()
    };

    assert_eq!(alive(&emulator), 3);

    let pid = emulator.task()["containers"][0]["pid"].as_u64().unwrap();
    emulator.process.kill().unwrap();
    // The processes of the tasks notice that their stdin has ended, and stop in order.
    wait_until("all tasks have ended", || alive(&emulator) == 0);
    wait_until("their processes have ended", || {
        !Path::new(&format!("/proc/{pid}")).exists()
    });
}

#[test]
fn sigterm_stops_the_tasks_and_deletes_the_keys() {
    let mut emulator = Emulator::start(&["--stub", "app=http-200"]);
    assert_eq!(emulator.run(&["--wait-until", "running"]).code, Some(0));
    let pid = emulator.process.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );

    assert_eq!(emulator.process.wait().unwrap().code(), Some(0));
    assert_eq!(emulator.task()["lastStatus"], "STOPPED");
    assert!(
        !emulator
            .project
            .root()
            .join(".assemble/emulator/env")
            .exists()
    );

    let events = emulator.project.read(".assemble/emulator/events.jsonl");
    let last: Value = serde_json::from_str(events.lines().last().unwrap()).unwrap();
    assert_eq!(last["detail"]["lastStatus"], "STOPPED");
}

#[test]
fn invalid_options_say_what_is_wrong() {
    let project = Project::new();
    project.write(
        "faults.yaml",
        "rules: [{ operation: RunTask, kind: explode }]",
    );

    for (arguments, expected) in [
        (["emulate", "--faults", "faults.yaml"], "explode"),
        (["emulate", "--faults", "none.yaml"], "not found"),
        (["emulate", "--account", "123"], "twelve digits"),
        (["emulate", "--region", "EU"], "eu-central-1"),
        (["emulate", "--program", "app"], "expected"),
    ] {
        let output = project.assemble(&arguments);
        assert_eq!(output.code, Some(2), "{arguments:?}");
        assert!(output.err.contains(expected), "{}", output.err);
    }
}
