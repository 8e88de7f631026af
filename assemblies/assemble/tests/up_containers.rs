//! The containers of a task that `up` runs: something simple in their place, an init, another build, and where
//! their output is read. A shell stands for their image.
#![cfg(feature = "up")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "what goes wrong here is a failed test"
)]

use std::thread;

use serde_json::json;

mod support;
use support::{shells, up};

#[test]
fn a_stub_answers_and_says_what_came() {
    let line = "curl -sS -m 10 --retry 20 --retry-all-errors --retry-delay 1 -o /dev/null -w 'code %{http_code}\\n' \
        -d hello http://127.0.0.1:8125/v1/x";
    let project = shells(&[
        (
            "app",
            line,
            json!({ "dependsOn": [{ "containerName": "agent", "condition": "HEALTHY" }] }),
        ),
        (
            "agent",
            "exit 1",
            json!({ "healthCheck": { "command": ["CMD", "/no"] } }),
        ),
    ]);

    let said = up(&project, &["--stub", "agent=http-200:8125"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("code 200"), "{}", said.out);
    assert!(said.out.contains("POST /v1/x, 5 bytes"), "{}", said.out);

    // It hears SIGTERM, and so ends well.
    assert!(!said.err.contains("SIGKILL"), "{}", said.err);
}

#[test]
fn a_sink_is_where_the_task_looks_for_it_over_http_and_over_grpc() {
    let ask = "for port in 4318 4317; do curl -sS -m 10 --retry 20 --retry-all-errors --retry-delay 1 -o /dev/null \
        -w 'code %{http_code}\\n' -d '{}' \"$WHERE:$port/v1/traces\"; done";
    let agent = json!({ "essential": false });
    let project = shells(&[("app", ask, json!({})), ("agent", "", agent)]);

    // An address that the task is told of leads out of it only where nobody in it listens.
    let told = "app:WHERE=http://127.0.0.1";
    let port = "app:OTHER=http://127.0.0.1:4318";
    let more = ["--stub", "agent=otlp-sink", "--env", told, "--env", port];
    let said = up(&project, &more);

    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(said.out.matches("code 200").count(), 2, "{}", said.out);
}

#[test]
fn an_init_is_pid_1_passes_signals_on_and_buries_orphans() {
    const TEST: &str = "an_init_is_pid_1_passes_signals_on_and_buries_orphans";

    // The orphan ends while the program still runs; buried, it is no zombie then.
    let line = "echo I am $$ of $PPID; (sh -c 'exit 0' & ) ; sleep 0.5; \
        echo zombies $(grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l); exit 9";
    let init = json!({ "linuxParameters": { "initProcessEnabled": true } });
    let with_init = shells(&[("app", line, init.clone())]);
    let said = up(&with_init, &[]);

    if said.err.contains("ordinary process") {
        return eprintln!("skipped: {TEST} needs PID namespaces");
    }
    assert_eq!(said.code, Some(9), "{}", said.err);
    assert!(
        said.out.contains(" of 1\n") && !said.out.contains("I am 1 "),
        "{}",
        said.out
    );

    assert!(said.out.contains("zombies 0"), "{}", said.out);
    // Without a handler SIGTERM ends it, as it does not end a PID 1.
    let asleep = shells(&[("app", "echo up; exec sleep 100", init)]);
    let said = up(&asleep, &["--until-ready"]);
    assert!(said.err.contains("143 SIGTERM"), "{}", said.err);
}

#[test]
fn a_container_starts_again_when_its_program_changes_and_the_task_goes_on() {
    use std::os::unix::fs::PermissionsExt;

    let project = shells(&[
        ("app", "", json!({ "stopTimeout": 2 })),
        (
            "other",
            "trap 'exit 0' TERM; echo other; while :; do sleep 0.1; done",
            json!({}),
        ),
    ]);

    let program = project.root().join("program");
    let build = |number: u8, last: &str| {
        let text = format!("#!/bin/sh\ntrap 'exit 0' TERM\necho build {number}\n{last}\n");
        let beside = project.write("new", text);
        std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(beside, &program).unwrap();
    };

    build(1, "while :; do sleep 0.1; done");
    thread::scope(|scope| {
        let said = scope.spawn(|| {
            project.assemble(&[
                "up",
                "task.json",
                "--program",
                "app=program",
                "--program",
                "other=/bin/sh",
                "--watch",
                "--name",
                "watched",
                "--timeout",
                "60s",
            ])
        });

        let log = project.root().join(".assemble/run/watched/app.log");
        let end = std::time::Instant::now() + std::time::Duration::from_secs(50);
        while !std::fs::read_to_string(&log)
            .unwrap_or_default()
            .contains("build 1")
            && std::time::Instant::now() < end
        {
            thread::sleep(std::time::Duration::from_millis(20));
        }

        build(2, "exit 7");
        let said = said.join().unwrap();
        assert_eq!(said.code, Some(7), "{}", said.err);

        let words: Vec<&str> = said
            .out
            .lines()
            .filter(|line| line.contains("build"))
            .collect();

        assert_eq!(
            words,
            ["app   | build 1", "app   | build 2"],
            "{}",
            said.err
        );

        assert_eq!(said.out.matches("| other").count(), 1, "{}", said.out);
        assert!(said.err.contains("its program has changed"), "{}", said.err);
    });
}

#[test]
fn the_logs_of_several_containers_come_in_the_order_of_time() {
    // Each waits for the other's file; the pause lets what was said be read first.
    let wait = |file: &str| format!("until [ -e {file} ]; do sleep 0.01; done");
    let say = |words: &str, file: &str| format!("echo {words}; sleep 0.3; touch {file}");
    let app = [
        say("app first", "a"),
        wait("b"),
        say("app then >&2", "c"),
        wait("d"),
    ]
    .join("; ");

    let other = [
        wait("a"),
        say("other first", "b"),
        wait("c"),
        say("other then", "d"),
    ]
    .join("; ");

    let project = shells(&[("app", &app, json!({})), ("other", &other, json!({}))]);
    let said = up(&project, &["--program", "other=/bin/sh"]);
    assert_eq!(said.code, Some(0), "{}", said.err);

    let logs = project.assemble(&["logs"]).out;
    assert_eq!(
        logs,
        "app   | app first\nother | other first\napp   | app then\nother | other then\n"
    );

    assert_eq!(
        project.assemble(&["logs", "other"]).out,
        "other first\nother then\n"
    );
}

#[test]
fn a_terminal_has_a_line_at_its_bottom_that_says_how_everybody_is() {
    let project = shells(&[("app", "echo hello; sleep 2", json!({}))]);
    let script = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)";
    let said = std::process::Command::new("python3")
        .args(["-c", script, env!("CARGO_BIN_EXE_assemble")])
        .args(["up", "task.json", "--program", "app=/bin/sh"])
        .current_dir(project.root())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();

    let screen = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success(), "{screen}");

    // The terminal is the only witness: what was drawn, and that it was taken away before each line.
    assert!(
        screen.contains("RUNNING 0:0") && screen.contains("app runs"),
        "{screen}"
    );

    let before = screen.find("| hello").map(|at| &screen[..at]).unwrap();
    assert!(
        before.rsplit("\u{1b}[2K").next().unwrap().len() < 30,
        "{screen}"
    );
    let last = screen.trim_end().lines().last().unwrap();
    assert!(last.starts_with("logs: "), "{screen}");
}
