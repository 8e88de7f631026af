//! Containers of a task that `up` runs: stubs, an init process, `--watch`, logs and the status line. A shell
//! replaces every image.
#![cfg(feature = "up")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed step fails the test"
)]

use std::thread;

use serde_json::json;

mod support;
use support::{shells, up};

#[test]
fn a_stub_answers_and_logs_requests() {
    let line = "curl -sS -m 10 --retry 20 --retry-all-errors --retry-delay 1 -o /dev/null -w 'code %{http_code}\\n' \
        -d hello http://127.0.0.1:8125/v1/x";
    // The stub has no health check, so the dependency on HEALTHY becomes START.
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

    let output = up(&project, &["--stub", "agent=http-200:8125"]);
    assert_eq!(output.code, Some(0), "{}", output.err);
    assert!(output.out.contains("code 200"), "{}", output.out);
    assert!(output.out.contains("POST /v1/x, 5 bytes"), "{}", output.out);

    // The stub handles SIGTERM.
    assert!(!output.err.contains("SIGKILL"), "{}", output.err);
}

#[test]
fn an_otlp_sink_listens_for_http_and_grpc() {
    let line = "for port in 4318 4317; do curl -sS -m 10 --retry 20 --retry-all-errors --retry-delay 1 -o /dev/null \
        -w 'code %{http_code}\\n' -d '{}' \"$WHERE:$port/v1/traces\"; done";
    let agent = json!({ "essential": false });
    let project = shells(&[("app", line, json!({})), ("agent", "", agent)]);

    // A loopback address is forwarded to the host only if no container listens on it; here the sink does.
    let host = "app:WHERE=http://127.0.0.1";
    let port = "app:OTHER=http://127.0.0.1:4318";
    let more = ["--stub", "agent=otlp-sink", "--env", host, "--env", port];
    let output = up(&project, &more);

    assert_eq!(output.code, Some(0), "{}", output.err);
    assert_eq!(output.out.matches("code 200").count(), 2, "{}", output.out);
}

#[test]
fn an_init_process_is_pid_1_forwards_signals_and_reaps_orphans() {
    const TEST: &str = "an_init_process_is_pid_1_forwards_signals_and_reaps_orphans";

    // The orphan exits while the program runs. Reaped by the init process, it is no zombie.
    let line = "echo I am $$ of $PPID; (sh -c 'exit 0' & ) ; sleep 0.5; \
        echo zombies $(grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l); exit 9";
    let init = json!({ "linuxParameters": { "initProcessEnabled": true } });
    let with_init = shells(&[("app", line, init.clone())]);
    let output = up(&with_init, &[]);

    if output.err.contains("ordinary processes") {
        return eprintln!("skipped: {TEST} needs PID namespaces");
    }
    assert_eq!(output.code, Some(9), "{}", output.err);
    // The parent is PID 1, and the shell itself is not.
    assert!(
        output.out.contains(" of 1\n") && !output.out.contains("I am 1 "),
        "{}",
        output.out
    );

    assert!(output.out.contains("zombies 0"), "{}", output.out);
    // Without a handler SIGTERM ends the program, as it would not end PID 1.
    let asleep = shells(&[("app", "echo up; exec sleep 100", init)]);
    let output = up(&asleep, &["--until-ready"]);
    assert!(output.err.contains("143 SIGTERM"), "{}", output.err);
}

#[test]
fn a_changed_program_restarts_its_container_only() {
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
        let temporary = project.write("new", text);
        std::fs::set_permissions(&temporary, std::fs::Permissions::from_mode(0o755)).unwrap();
        // As a linker does: the new file replaces the old one at once.
        std::fs::rename(temporary, &program).unwrap();
    };

    build(1, "while :; do sleep 0.1; done");
    thread::scope(|scope| {
        let output = scope.spawn(|| {
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

        // The change must come after the first start.
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
        let output = output.join().unwrap();
        assert_eq!(output.code, Some(7), "{}", output.err);

        let builds: Vec<&str> = output
            .out
            .lines()
            .filter(|line| line.contains("build"))
            .collect();

        assert_eq!(
            builds,
            ["app   | build 1", "app   | build 2"],
            "{}",
            output.err
        );

        // The other container was not restarted.
        assert_eq!(output.out.matches("| other").count(), 1, "{}", output.out);
        assert!(output.err.contains("program changed"), "{}", output.err);
    });
}

#[test]
fn logs_of_several_containers_are_in_order_of_time() {
    // Each container waits for the other's file; the pause lets the output be read before that.
    let wait = |file: &str| format!("until [ -e {file} ]; do sleep 0.01; done");
    let say = |text: &str, file: &str| format!("echo {text}; sleep 0.3; touch {file}");
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
    let output = up(&project, &["--program", "other=/bin/sh"]);
    assert_eq!(output.code, Some(0), "{}", output.err);

    let logs = project.assemble(&["logs"]).out;
    assert_eq!(
        logs,
        "app   | app first\nother | other first\napp   | app then\nother | other then\n"
    );

    // With one container there is no prefix.
    assert_eq!(
        project.assemble(&["logs", "other"]).out,
        "other first\nother then\n"
    );
}

#[test]
fn a_terminal_has_a_status_line_at_the_bottom() {
    let project = shells(&[("app", "echo hello; sleep 2", json!({}))]);
    // Python's pty gives the command a terminal and copies what it writes.
    let script = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)";
    let output = std::process::Command::new("python3")
        .args(["-c", script, env!("CARGO_BIN_EXE_assemble")])
        .args(["up", "task.json", "--program", "app=/bin/sh"])
        .current_dir(project.root())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();

    let screen = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{screen}");

    // Only the terminal shows what was drawn, and that it was erased before each line.
    assert!(
        screen.contains("RUNNING 0:0") && screen.contains("app running"),
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
