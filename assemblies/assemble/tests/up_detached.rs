//! A task that `up` leaves running: `ps`, `logs` and `stop` find it; a shell stands for its image.
#![cfg(feature = "up")]
#![allow(clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

use serde_json::{Value, json};

mod support;
use support::{Project, Said};

/// Waits for SIGTERM, and says so.
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

    fn up(&self, more: &[&str]) -> Said {
        let words = ["up", "task.json", "--program", "app=/bin/sh"];
        self.0.assemble(&[words.as_slice(), more].concat())
    }

    /// Goes on once the container has spoken: RUNNING says only that it was started.
    fn until_it_speaks(&self) {
        let spoken = (0..500).any(|_| !self.said(&["logs", "app"]).out.is_empty());
        assert!(spoken, "the container says nothing");
    }

    fn said(&self, words: &[&str]) -> Said {
        self.0.assemble(words)
    }
}

impl Drop for Task {
    /// A test that failed leaves nothing behind either.
    fn drop(&mut self) {
        self.0.assemble(&["stop", "--force"]);
    }
}

#[test]
fn a_task_that_is_waited_for_is_listed_and_stopped() {
    let task = Task::new(SERVES);
    let up = task.up(&["--wait", "--name", "mine"]);
    assert_eq!(
        (up.code, up.out.as_str()),
        (Some(0), "mine\n"),
        "{}",
        up.err
    );

    let listed = task.said(&["ps"]).out;
    assert!(
        listed.contains("mine") && listed.contains("RUNNING"),
        "{listed}"
    );

    task.until_it_speaks();
    let stopped = task.said(&["stop"]);
    assert_eq!(stopped.code, Some(0), "{}", stopped.err);
    assert_eq!(task.said(&["logs", "app"]).out, "up\ndown\n");
    assert!(!task.said(&["ps"]).out.contains("mine"));

    let document = task.said(&["ps", "--all", "--format", "json"]).json();
    let told = &document["tasks"][0];
    assert_eq!(told["lastStatus"], "STOPPED", "{told:#}");
    assert_eq!(told["stopCode"], "UserInitiated");
    assert_eq!(told["containers"][0]["exitCode"], 0);

    let events = task.0.read(".assemble/run/mine/events.jsonl");
    assert!(
        events.lines().count() > 3 && events.contains("ECS Task State Change"),
        "{events}"
    );
}

#[test]
fn a_task_whose_runner_was_killed_is_gone_with_all_its_containers() {
    let task = Task::new(SERVES);
    let mut runner = std::process::Command::new(env!("CARGO_BIN_EXE_assemble"))
        .args(["up", "task.json", "--program", "app=/bin/sh"])
        .current_dir(task.0.root())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();

    task.until_it_speaks();
    assert!(task.said(&["ps"]).out.contains("pid "));
    runner.kill().unwrap();
    runner.wait().unwrap();

    let listed = task.said(&["ps", "--all"]).out;
    assert_eq!(listed.matches("GONE").count(), 2, "{listed}");
    assert!(
        !listed.contains("RUNNING") && !listed.contains("pid"),
        "{listed}"
    );

    let told = task.said(&["ps", "--all", "--format", "json"]).json();
    let container = &told["tasks"][0]["containers"][0];
    assert_eq!(container["lastStatus"], "GONE", "{told:#}");
    assert!(container.get("pid").is_none(), "{told:#}");
}

#[test]
fn a_follower_reads_to_the_end_and_force_does_not_wait() {
    let task = Task::new("trap '' TERM; echo deaf; while :; do sleep 0.05; done");
    assert_eq!(task.up(&["--wait", "--name", "deaf"]).code, Some(0));
    task.until_it_speaks();
    std::thread::scope(|scope| {
        let follower = scope.spawn(|| task.said(&["logs", "--follow"]));
        assert_eq!(task.said(&["stop", "de", "--force"]).code, Some(0));
        assert_eq!(follower.join().unwrap().out, "app | deaf\n");
    });
    let document = task.said(&["ps", "--all", "--format", "json"]).json();
    assert_eq!(document["tasks"][0]["containers"][0]["exitCode"], 137);
}

#[test]
fn a_name_that_runs_is_not_taken_twice() {
    let task = Task::new(SERVES);
    assert_eq!(task.up(&["--detach", "--name", "once"]).code, Some(0));
    for again in [
        task.up(&["--detach", "--name", "once"]),
        task.up(&["--name", "once"]),
    ] {
        assert_eq!(again.code, Some(125));
        assert!(again.err.contains("`once` runs already"), "{}", again.err);
    }
}

#[test]
fn one_that_ends_before_it_is_ready_answers_with_its_code_and_its_words() {
    let mut definition: Value = json!({ "family": "test", "containerDefinitions": [
        { "name": "app", "image": "sh", "entryPoint": ["/bin/sh"], "command": ["-c", "echo oh >&2; exit 7"],
          "healthCheck": { "command": ["CMD-SHELL", "exit 0"], "interval": 5 } }] });
    let task = Task::new("");

    definition["cpu"] = json!("256");
    task.0.write("task.json", definition.to_string());
    let up = task.up(&["--wait"]);
    assert_eq!(up.code, Some(7), "{}", up.err);
    assert!(
        up.err.contains("the last words of `app`:\n  oh"),
        "{}",
        up.err
    );

    let stopped = task.said(&["stop", "nobody"]);
    assert!(
        stopped.err.contains("no run is called `nobody`"),
        "{}",
        stopped.err
    );
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
fn a_command_runs_where_the_container_lives() {
    let task = Task::new(SERVES);
    let up = task.up(&["--wait", "--name", "lives", "--env", "app:COLOUR=blue"]);
    assert_eq!(up.code, Some(0), "{}", up.err);

    let said = task.said(&["exec", "app", "--", "/bin/sh", "-c", "echo $COLOUR; exit 5"]);
    assert_eq!(
        (said.code, said.out.as_str()),
        (Some(5), "blue\n"),
        "{}",
        said.err
    );

    // PID 1 there is the container's own.
    let said = task.said(&["exec", "app", "--", "/bin/sh", "-c", "kill -TERM 1"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let ended = (0..500).any(|_| !task.said(&["ps"]).out.contains("lives"));
    assert!(ended, "{}", task.said(&["ps"]).out);
    assert_eq!(task.said(&["logs", "app"]).out, "up\ndown\n");
}

#[test]
fn a_command_that_is_not_there_and_a_container_that_is_not_there_are_told() {
    let task = Task::new(SERVES);
    assert_eq!(task.up(&["--wait", "--name", "lives"]).code, Some(0));
    let said = task.said(&["exec", "app", "--", "/no/such/command"]);
    assert_eq!(said.code, Some(127), "{}", said.err);
    let said = task.said(&["exec", "appp", "--", "true"]);
    assert_eq!(said.code, Some(2), "{}", said.err);
    assert!(said.err.contains("choose one of: app"), "{}", said.err);
}

#[test]
fn an_interruption_of_spot_ends_a_task_in_order_and_with_its_words() {
    let task = Task::new(SERVES);
    assert_eq!(task.up(&["--wait", "--name", "cheap"]).code, Some(0));
    task.until_it_speaks();

    let stopped = task.said(&["stop", "--spot", "cheap"]);
    assert_eq!(stopped.code, Some(0), "{}", stopped.err);
    assert_eq!(task.said(&["logs", "app"]).out, "up\ndown\n");

    let document = task.said(&["ps", "--all", "--format", "json"]).json();
    let told = &document["tasks"][0];
    assert_eq!(told["stopCode"], "SpotInterruption", "{told:#}");
    assert_eq!(told["stoppedReason"], "Your Spot Task was interrupted.");
    assert_eq!(told["containers"][0]["exitCode"], 0);

    let events = task.0.read(".assemble/run/cheap/events.jsonl");
    let mut events = events
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let warned = events
        .find(|event| event["detail"]["stopCode"] == "SpotInterruption")
        .unwrap();

    // The event is the warning: nobody has ended by then.
    assert_eq!(warned["detail"]["lastStatus"], "RUNNING", "{warned:#}");
}
