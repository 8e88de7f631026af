//! A task that `up` runs in the background: `ps`, `logs`, `exec` and `stop`. A shell replaces its image.
#![cfg(feature = "up")]
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use serde_json::{Value, json};

mod support;
use support::{CommandOutput, Project};

/// Runs until SIGTERM, and prints a line then.
const SERVES: &str = "trap 'echo down; exit 0' TERM; echo up; while :; do sleep 0.05; done";

struct Task(Project);

impl Task {
    fn new(line: &str) -> Self {
        let project = Project::new();
        let containers: Value = json!([{ "name": "app", "image": "sh", "entryPoint": ["/bin/sh"],
            "command": ["-c", line] }]);
        let definition = json!({ "family": "test", "containerDefinitions": containers });
        project.write("task.json", definition.to_string());
        Self(project)
    }

    fn up(&self, more: &[&str]) -> CommandOutput {
        let arguments = ["up", "task.json", "--program", "app=/bin/sh"];
        self.0.assemble(&[arguments.as_slice(), more].concat())
    }

    /// Waits for the container's first output. RUNNING only means that it was started; a shell without its trap would
    /// ignore SIGTERM as PID 1.
    fn wait_for_output(&self) {
        let has_output = (0..500).any(|_| !self.run(&["logs", "app"]).out.is_empty());
        assert!(has_output, "the container prints nothing");
    }

    fn run(&self, arguments: &[&str]) -> CommandOutput {
        self.0.assemble(arguments)
    }
}

impl Drop for Task {
    /// Stops the task even if the test failed.
    fn drop(&mut self) {
        self.0.assemble(&["stop", "--force"]);
    }
}

#[test]
fn a_background_task_is_listed_and_stopped() {
    let task = Task::new(SERVES);
    let up = task.up(&["--wait", "--name", "mine"]);
    assert_eq!(
        (up.code, up.out.as_str()),
        (Some(0), "mine\n"),
        "{}",
        up.err
    );

    let listed = task.run(&["ps"]).out;
    assert!(
        listed.contains("mine") && listed.contains("RUNNING"),
        "{listed}"
    );

    task.wait_for_output();
    let stopped = task.run(&["stop"]);
    assert_eq!(stopped.code, Some(0), "{}", stopped.err);
    assert_eq!(task.run(&["logs", "app"]).out, "up\ndown\n");
    assert!(!task.run(&["ps"]).out.contains("mine"));

    // Stopped tasks are listed with --all only.
    let document = task.run(&["ps", "--all", "--format", "json"]).json();
    let record = &document["tasks"][0];
    assert_eq!(record["lastStatus"], "STOPPED", "{record:#}");
    assert_eq!(record["stopCode"], "UserInitiated");
    assert_eq!(record["containers"][0]["exitCode"], 0);

    let events = task.0.read(".assemble/run/mine/events.jsonl");
    assert!(
        events.lines().count() > 3 && events.contains("ECS Task State Change"),
        "{events}"
    );
}

#[test]
fn a_task_with_a_killed_runner_is_gone_with_its_containers() {
    let task = Task::new(SERVES);
    let mut runner = std::process::Command::new(env!("CARGO_BIN_EXE_assemble"))
        .args(["up", "task.json", "--program", "app=/bin/sh"])
        .current_dir(task.0.root())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();

    task.wait_for_output();
    assert!(task.run(&["ps"]).out.contains("pid "));
    // SIGKILL: the runner cannot record the end.
    runner.kill().unwrap();
    runner.wait().unwrap();

    let listed = task.run(&["ps", "--all"]).out;
    // The task and its container.
    assert_eq!(listed.matches("GONE").count(), 2, "{listed}");
    assert!(
        !listed.contains("RUNNING") && !listed.contains("pid"),
        "{listed}"
    );

    let response = task.run(&["ps", "--all", "--format", "json"]).json();
    let container = &response["tasks"][0]["containers"][0];
    assert_eq!(container["lastStatus"], "GONE", "{response:#}");
    assert!(container.get("pid").is_none(), "{response:#}");
}

#[test]
fn following_logs_ends_with_the_task_and_force_does_not_wait() {
    // Ignores SIGTERM, so that only a kill ends it.
    let task = Task::new("trap '' TERM; echo deaf; while :; do sleep 0.05; done");
    assert_eq!(task.up(&["--wait", "--name", "deaf"]).code, Some(0));
    task.wait_for_output();
    std::thread::scope(|scope| {
        let follower = scope.spawn(|| task.run(&["logs", "--follow"]));
        // `de` is a prefix of the run's name.
        assert_eq!(task.run(&["stop", "de", "--force"]).code, Some(0));
        assert_eq!(follower.join().unwrap().out, "app | deaf\n");
    });
    let document = task.run(&["ps", "--all", "--format", "json"]).json();
    assert_eq!(document["tasks"][0]["containers"][0]["exitCode"], 137);
}

#[test]
fn rejects_the_name_of_a_running_task() {
    let task = Task::new(SERVES);
    assert_eq!(task.up(&["--detach", "--name", "once"]).code, Some(0));
    for again in [
        task.up(&["--detach", "--name", "once"]),
        task.up(&["--name", "once"]),
    ] {
        assert_eq!(again.code, Some(125));
        assert!(
            again.err.contains("`once` is already running"),
            "{}",
            again.err
        );
    }
}

#[test]
fn wait_returns_the_code_and_output_of_a_task_that_ends_early() {
    let mut definition: Value = json!({ "family": "test", "containerDefinitions": [
        { "name": "app", "image": "sh", "entryPoint": ["/bin/sh"], "command": ["-c", "echo oh >&2; exit 7"],
          "healthCheck": { "command": ["CMD-SHELL", "exit 0"], "interval": 5 } }] });
    let task = Task::new("");

    definition["cpu"] = json!("256");
    task.0.write("task.json", definition.to_string());
    let up = task.up(&["--wait"]);
    assert_eq!(up.code, Some(7), "{}", up.err);
    assert!(up.err.contains("last output of `app`:\n  oh"), "{}", up.err);

    let stopped = task.run(&["stop", "unknown"]);
    assert!(stopped.err.contains("no run `unknown`"), "{}", stopped.err);
}

#[test]
fn until_healthy_waits_for_the_health_check() {
    let task = Task::new(SERVES);
    let definition = json!({ "family": "test", "containerDefinitions": [
        { "name": "app", "image": "sh", "entryPoint": ["/bin/sh"], "command": ["-c", SERVES],
          "healthCheck": { "command": ["CMD-SHELL", "exit 0"], "interval": 5 } }] });
    task.0.write("task.json", definition.to_string());
    let up = task.up(&["--until-healthy", "--fast-health", "10"]);
    assert_eq!(up.code, Some(0), "{}", up.err);
    assert!(up.err.contains("HEALTHY"), "{}", up.err);
}

#[test]
fn exec_runs_a_command_in_the_container() {
    let task = Task::new(SERVES);
    let up = task.up(&["--wait", "--name", "exec", "--env", "app:COLOUR=blue"]);
    assert_eq!(up.code, Some(0), "{}", up.err);

    // The container's variables, and the command's exit code.
    let output = task.run(&["exec", "app", "--", "/bin/sh", "-c", "echo $COLOUR; exit 5"]);
    assert_eq!(
        (output.code, output.out.as_str()),
        (Some(5), "blue\n"),
        "{}",
        output.err
    );

    // Its PID namespace: PID 1 is the container's.
    let output = task.run(&["exec", "app", "--", "/bin/sh", "-c", "kill -TERM 1"]);
    assert_eq!(output.code, Some(0), "{}", output.err);
    let has_ended = (0..500).any(|_| !task.run(&["ps"]).out.contains("exec"));
    assert!(has_ended, "{}", task.run(&["ps"]).out);
    assert_eq!(task.run(&["logs", "app"]).out, "up\ndown\n");
}

#[test]
fn exec_reports_a_missing_command_and_a_missing_container() {
    let task = Task::new(SERVES);
    assert_eq!(task.up(&["--wait", "--name", "exec"]).code, Some(0));
    let output = task.run(&["exec", "app", "--", "/no/such/command"]);
    assert_eq!(output.code, Some(127), "{}", output.err);
    let output = task.run(&["exec", "appp", "--", "true"]);
    assert_eq!(output.code, Some(2), "{}", output.err);
    assert!(output.err.contains("it has app"), "{}", output.err);
}

#[test]
fn a_spot_interruption_stops_a_task_in_order() {
    let task = Task::new(SERVES);
    assert_eq!(task.up(&["--wait", "--name", "cheap"]).code, Some(0));
    task.wait_for_output();

    let stopped = task.run(&["stop", "--spot", "cheap"]);
    assert_eq!(stopped.code, Some(0), "{}", stopped.err);
    assert_eq!(task.run(&["logs", "app"]).out, "up\ndown\n");

    let document = task.run(&["ps", "--all", "--format", "json"]).json();
    let record = &document["tasks"][0];
    assert_eq!(record["stopCode"], "SpotInterruption", "{record:#}");
    assert_eq!(record["stoppedReason"], "Your Spot Task was interrupted.");
    assert_eq!(record["containers"][0]["exitCode"], 0);

    let events = task.0.read(".assemble/run/cheap/events.jsonl");
    let mut events = events
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let warning = events
        .find(|event| event["detail"]["stopCode"] == "SpotInterruption")
        .unwrap();

    // The event is the warning: no container has stopped yet.
    assert_eq!(warning["detail"]["lastStatus"], "RUNNING", "{warning:#}");
}
