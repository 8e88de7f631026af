//! `run` and `register` against an emulator that answers with errors, cuts connections, or waits.
#![cfg(all(feature = "up", feature = "aws"))]
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;

#[path = "support/emulator.rs"]
mod emulator;
mod support;
use emulator::{Emulator, wait_until};

const EXITS_3: &[&str] = &["--program", "app=/bin/sh"];

/// One rule per kind, each for the next call of the operation.
fn every_kind(operation: &str) -> String {
    let kinds = [
        "throttle-400",
        "throttle-429",
        "throttle-in-exception",
        "server-error",
        "unavailable",
        "cut",
        "cut-after",
        "capacity",
    ];
    let rule = |kind: &str| format!("  - {{ operation: {operation}, kind: {kind}, count: 1 }}\n");
    kinds.iter().map(|kind| rule(kind)).collect()
}

#[test]
fn run_survives_every_passing_fault_of_every_call_and_starts_one_task() {
    let rules: String = ["RunTask", "DescribeTasks"].map(every_kind).concat();
    let emulator = Emulator::start_with(EXITS_3, &format!("rules:\n{rules}"));
    let finished = emulator.assemble(&["run", "web", "--subnet", "subnet-1", "--timeout", "240s"]);
    assert_eq!(finished.code, Some(3), "{}", finished.err);

    // The attempts have one client token: the call that was carried out and cut has started the task.
    wait_until("the events are written", || !emulator.tasks().is_empty());
    assert_eq!(emulator.tasks().len(), 1, "{}", finished.err);
}

#[test]
fn access_denied_at_any_call_ends_run_with_its_name() {
    for operation in ["RunTask", "DescribeTasks"] {
        let rules = format!("rules: [{{ operation: {operation}, kind: access-denied }}]");
        let emulator = Emulator::start_with(EXITS_3, &rules);
        let refused = emulator.run(&[]);
        assert_eq!(refused.code, Some(125), "{operation}: {}", refused.err);
        for text in [operation, "AccessDenied"] {
            assert!(refused.err.contains(text), "{operation}: {}", refused.err);
        }
    }
}

#[test]
fn access_denied_ends_register_and_diff_with_their_calls() {
    let rules = "rules:\n  - { operation: DescribeTaskDefinition, kind: access-denied, nth: 2 }\n  \
                 - { operation: RegisterTaskDefinition, kind: access-denied, nth: 2 }";
    // Each passes once, for the registration at the start.
    let emulator = Emulator::start_with(EXITS_3, rules);
    let diff = emulator.assemble(&["diff", "web.json"]);
    assert_ne!(diff.code, Some(0), "{}", diff.err);
    assert!(
        diff.err.contains("DescribeTaskDefinition") && diff.err.contains("AccessDenied"),
        "{}",
        diff.err
    );

    let text = emulator
        .project
        .read("web.json")
        .replace("exit 3", "exit 4");
    emulator.project.write("web.json", text);
    let register = emulator.assemble(&["register", "web.json"]);
    assert_ne!(register.code, Some(0), "{}", register.err);
    assert!(
        register.err.contains("RegisterTaskDefinition") && register.err.contains("AccessDenied"),
        "{}",
        register.err
    );
}

#[test]
fn an_inactive_revision_and_an_unknown_cluster_are_named() {
    let emulator = Emulator::start(EXITS_3);
    let unknown = emulator.run(&["--cluster", "elsewhere"]);
    assert_eq!(unknown.code, Some(125), "{}", unknown.err);
    assert!(
        unknown.err.contains("ClusterNotFound") || unknown.err.contains("Cluster not found"),
        "{}",
        unknown.err
    );

    let missing = emulator.assemble(&["run", "web:7", "--subnet", "subnet-1"]);
    assert_eq!(missing.code, Some(125), "{}", missing.err);
    assert!(missing.err.contains("TaskDefinition"), "{}", missing.err);
}

/// The waits of `run`: for the next attempt, for an answer, and for the task.
#[test]
fn a_signal_ends_run_at_every_wait_and_says_what_runs_on() {
    let waits = [
        (
            "RunTask",
            "throttle-400",
            "next attempt",
            "stopping as soon as ECS has responded",
        ),
        (
            "RunTask",
            "capacity",
            "next attempt",
            "stopping as soon as ECS has responded",
        ),
        (
            "DescribeTasks",
            "throttle-429",
            "started ",
            "runs on; to stop it",
        ),
        (
            "DescribeTasks",
            "delay, delay_ms: 20000",
            "started ",
            "runs on; to stop it",
        ),
        ("StopTask", "cut", "RUNNING", "runs on; to stop it"),
    ];

    for (operation, kind, wait, expected) in waits {
        let rules = format!("rules: [{{ operation: {operation}, kind: {kind} }}]");
        let emulator = Emulator::start_with(&["--stub", "app=sleep"], &rules);
        for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
            let run = Waiting::start(&emulator, wait);
            let (found, err) = run.end(signal);
            assert_eq!(found, Some(code), "{operation} {kind}: {err}");
            assert!(err.contains(expected), "{operation} {kind}: {err}");
        }
    }
}

/// A `run` that waits.
struct Waiting {
    process: Child,
    errors: PathBuf,
}

impl Waiting {
    /// Starts `run` and waits until it has printed a text.
    fn start(emulator: &Emulator, text: &str) -> Self {
        let errors = emulator.project.root().join("run-err");
        let process = emulator
            .command(&["run", "web", "--subnet", "subnet-1", "--timeout", "240s"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&errors).unwrap())
            .spawn()
            .unwrap();
        let printed = || fs::read_to_string(&errors).unwrap().contains(text);
        wait_until(&format!("`{text}` is printed"), printed);
        Self { process, errors }
    }

    /// Sends a signal; returns the exit code and what was printed.
    fn end(mut self, signal: &str) -> (Option<i32>, String) {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(sent.success());
        let code = self.process.wait().unwrap().code();
        (code, fs::read_to_string(&self.errors).unwrap())
    }
}

/// More tasks than the processors can run at once, on one page after the other.
#[test]
fn two_hundred_tasks_run_at_once_and_none_survives_the_emulator() {
    let mut emulator = Emulator::start(&["--stub", "app=sleep"]);
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let started = emulator.run(&["--count", "10", "--wait-until", "running"]);
                assert_eq!(started.code, Some(0), "{}", started.err);
            });
        }
    });

    // Events may be written a little after a client sees the state of a task.
    wait_until("200 tasks have events", || emulator.tasks().len() == 200);
    let full = emulator.assemble(&["run", "web", "--subnet", "subnet-1", "--timeout", "1s"]);
    assert_eq!(full.code, Some(125), "{}", full.err);
    assert!(full.err.contains("Capacity is unavailable"), "{}", full.err);

    assert_eq!(count_running(&emulator), 200);
    emulator.process.kill().unwrap();
    wait_until("all tasks have ended", || count_running(&emulator) == 0);
}

fn count_running(emulator: &Emulator) -> usize {
    let listed = support::assemble(emulator.project.root(), &["ps"]).out;
    let lines = listed.lines();
    // The lines of containers have a status too.
    let tasks = lines.filter(|line| line.starts_with("web-"));
    tasks.filter(|line| line.contains("RUNNING")).count()
}
