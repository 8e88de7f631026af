//! `emulate`: tasks that a client starts through the API really run. The client is this command.
#![cfg(all(feature = "up", feature = "aws"))]
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[path = "support/emulator.rs"]
mod emulator;
mod support;
use emulator::{Emulator, wait_until};
use support::Project;

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
