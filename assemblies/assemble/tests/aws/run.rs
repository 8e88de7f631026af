//! `run`: exit codes, options, signals.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::common::{
    TASK, Terminal, aws, command, ecs, ok, project, refusal, run_arguments, stopped, task,
    wait_until,
};
use crate::fake::FakeEcs;

#[test]
fn own_failures_of_run_are_distinct_from_those_of_the_task() {
    let project = project();
    let failing =
        FakeEcs::start(|_, _, _| refusal("ClientException", "TaskDefinition is inactive"));
    let refused = aws(&project, &failing.url, &run_arguments("shop:1", &[]));

    assert_eq!(refused.code, Some(125), "{refused:?}");
    // 3 is only a code of the task.
    let three = ecs(stopped(3));
    assert_eq!(
        aws(&project, &three.url, &run_arguments("shop:1", &[])).code,
        Some(3)
    );

    let never = ecs(task(
        "STOPPED",
        json!({ "stopCode": "TaskFailedToStart",
        "stoppedReason": "CannotPullContainerError: pull image manifest has been retried 1 time(s): not found",
        "containers": [{ "name": "web", "reason": "CannotPullContainerError: not found" }] }),
    ));

    let never = aws(&project, &never.url, &run_arguments("shop:1", &[]));
    assert_eq!(never.code, Some(125), "{never:?}");
    assert!(
        never
            .err
            .contains("cause: the image does not exist in the registry"),
        "{}",
        never.err
    );
    assert!(never.out.contains("web  never ran"), "{}", never.out);
}

#[test]
fn run_ends_at_its_timeout_and_says_that_the_task_continues() {
    let (project, ecs) = (project(), ecs(task("RUNNING", json!({}))));
    let late = aws(
        &project,
        &ecs.url,
        &run_arguments("shop:1", &["--timeout", "300ms"]),
    );
    assert_eq!(late.code, Some(125), "{late:?}");
    assert!(
        late.err.contains("is still RUNNING") && late.err.contains("continues to run"),
        "{}",
        late.err
    );
}

#[test]
fn run_sends_its_options() {
    let (project, ecs) = (project(), ecs(stopped(0)));
    let more = [
        "--spot",
        "--command",
        "web=serve --fast",
        "--env",
        "web:A=1",
        "--cpu",
        "512",
        "--memory",
        "1024",
        "--once",
        "k1",
    ];
    let run = aws(&project, &ecs.url, &run_arguments("shop:1", &more));

    assert_eq!(run.code, Some(0), "{run:?}");
    let body = ecs.body("RunTask");
    assert_eq!(body["clientToken"], "k1");
    assert_eq!(
        body["capacityProviderStrategy"][0]["capacityProvider"],
        "FARGATE_SPOT"
    );

    let web = json!({ "name": "web", "command": ["serve", "--fast"], "environment": [{ "name": "A", "value": "1" }] });
    assert_eq!(
        body["overrides"],
        json!({ "containerOverrides": [web], "cpu": "512", "memory": "1024" })
    );
}

#[test]
fn run_returns_when_the_task_runs_and_prints_it() {
    let (project, ecs) = (
        project(),
        ecs(task("RUNNING", json!({ "healthStatus": "HEALTHY" }))),
    );
    for state in ["running", "healthy"] {
        let run = aws(
            &project,
            &ecs.url,
            &run_arguments("shop:1", &["--wait-until", state]),
        );
        assert_eq!((run.code, run.out.trim()), (Some(0), TASK), "{run:?}");
    }
}

#[test]
fn ctrl_c_asks_once_and_leaves_the_task_without_a_yes() {
    let (project, ecs) = (project(), ecs(task("RUNNING", json!({}))));
    let mut terminal = Terminal::start(&project, &ecs.url, &run_arguments("shop:1", &[]));
    terminal.wait_for("RUNNING");
    terminal.type_keys("\x03");
    terminal.wait_for("stop the task?");
    terminal.type_keys("n\n");
    terminal.wait_for("runs on; to stop it: aws ecs stop-task --cluster main");
    assert_eq!(terminal.finish(), Some(130));
    assert_eq!(ecs.count("StopTask"), 0);
}

#[test]
fn a_second_ctrl_c_leaves_the_task() {
    let (project, ecs) = (project(), ecs(task("RUNNING", json!({}))));
    let mut terminal = Terminal::start(&project, &ecs.url, &run_arguments("shop:1", &[]));
    terminal.wait_for("RUNNING");
    terminal.type_keys("\x03");
    terminal.wait_for("stop the task?");
    terminal.type_keys("\x03");
    assert_eq!(terminal.finish(), Some(130));
    assert_eq!(ecs.count("StopTask"), 0);
}

#[test]
fn signals_without_a_terminal_leave_the_task() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let (project, ecs) = (project(), ecs(task("RUNNING", json!({}))));
        let mut run = command(&project, &ecs.url, &run_arguments("shop:1", &[]));
        let child = run
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let child = child.spawn().unwrap();
        wait_until("the first poll", || ecs.count("DescribeTasks") > 0);
        let id = child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains("runs on; to stop it"), "{text}");
        assert_eq!(ecs.count("StopTask"), 0);
    }
}

#[test]
fn a_signal_ends_the_attempts_to_start_a_task() {
    let project = project();
    let ecs = FakeEcs::start(|_, _, _| {
        ok(
            json!({ "tasks": [], "failures": [{ "reason": "Capacity is unavailable at this time." }] }),
        )
    });

    let mut run = command(&project, &ecs.url, &run_arguments("shop:1", &[]));
    let child = run
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let child = child.spawn().unwrap();
    wait_until("the first attempt", || ecs.count("RunTask") > 0);
    let id = child.id().to_string();

    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );

    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(text.contains("Capacity is unavailable"), "{text}");
}
