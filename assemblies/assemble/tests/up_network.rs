//! The network of a task that `up` runs: what leads in, what leads out, and what does not. A shell stands for
//! its image.
#![cfg(feature = "up")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "what goes wrong here is a failed test"
)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use serde_json::{Value, json};

mod support;
use support::{Project, Said};

/// A project with one task, whose containers run a line of shell each.
fn project(containers: &[(&str, &str, Value)]) -> Project {
    let project = Project::new();
    let container = |(name, line, more): &(&str, &str, Value)| {
        let mut one = json!({ "name": name, "image": "sh", "entryPoint": ["/bin/sh"], "command": ["-c", line] });
        one.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        one
    };
    let containers: Vec<Value> = containers.iter().map(container).collect();
    project.write(
        "task.json",
        json!({ "family": "test", "containerDefinitions": containers }).to_string(),
    );
    project
}

fn up(project: &Project, more: &[&str]) -> Said {
    let words = ["up", "task.json", "--program", "app=/bin/sh"];
    project.assemble(&[words.as_slice(), more].concat())
}

/// Whether tasks have networks here; a test that needs one says that it was skipped.
fn skipped(said: &Said, test: &str) -> bool {
    let without = said.err.contains("the network here is this machine's");
    if without {
        eprintln!("skipped: {test} needs network namespaces");
    }
    without
}

/// A server on this machine's loopback that answers every caller.
fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for caller in listener.incoming() {
            let mut caller = caller.unwrap();
            let _ = caller.read(&mut [0; 1024]);
            let _ = caller.write_all(b"HTTP/1.0 200 OK\r\n\r\nfrom outside");
        }
    });
    port
}

#[test]
fn a_container_asks_for_its_metadata_where_it_is_on_fargate() {
    let line = "echo \"$ECS_CONTAINER_METADATA_URI_V4\"; curl -sS -m 5 \"$ECS_CONTAINER_METADATA_URI_V4/task\"; echo";
    let project = project(&[("app", line, json!({}))]);
    let said = up(&project, &[]);
    if skipped(&said, "metadata on 169.254.170.2") {
        return;
    }
    let lines: Vec<&str> = said
        .out
        .lines()
        .filter_map(|line| line.split_once("| "))
        .map(|(_, text)| text)
        .collect();
    assert!(
        lines[0].starts_with("http://169.254.170.2/v4/"),
        "{}",
        said.out
    );
    let task: Value = serde_json::from_str(lines[1]).unwrap();
    assert_eq!(task["Containers"][0]["Name"], "app");
}

#[test]
fn nothing_outside_is_reached_but_what_is_named() {
    let port = server();
    let ask = "curl -sS -m 5 \"http://$WHERE\" || echo nothing";
    let project = project(&[(
        "app",
        ask,
        json!({ "environment": [{ "name": "WHERE", "value": format!("127.0.0.1:{port}") }] }),
    )]);
    let alone = up(&project, &[]);
    if skipped(&alone, "ways out of the task") {
        return;
    }
    assert!(
        alone.out.contains("| nothing"),
        "{} {}",
        alone.out,
        alone.err
    );
    let way = format!("127.0.0.1:{port}");
    let named = up(&project, &["--reach", &way]);
    assert!(
        named.out.contains("| from outside"),
        "{} {}",
        named.out,
        named.err
    );
    // What the command line says of an address is enough.
    let told = up(&project, &["--env", &format!("WHERE=localhost:{port}")]);
    assert!(
        told.out.contains("| from outside"),
        "{} {}",
        told.out,
        told.err
    );
    assert!(
        told.err.contains(&format!("it reaches 127.0.0.1:{port}")),
        "{}",
        told.err
    );
}

#[test]
fn two_tasks_on_one_port_run_side_by_side_and_each_is_reached() {
    let line = "echo up; exec python3 -c 'import http.server as h, os\nclass A(h.BaseHTTPRequestHandler):\n  def do_GET(s):\n    s.send_response(200); s.end_headers(); s.wfile.write(os.environ[\"WHO\"].encode())\nh.HTTPServer((\"0.0.0.0\", 8080), A).serve_forever()'";
    let more = json!({ "portMappings": [{ "containerPort": 8080 }], "stopTimeout": 2 });
    let project = project(&[("app", line, more)]);
    let mut ports = Vec::new();
    for who in ["one", "two"] {
        let said = up(
            &project,
            &[
                "--wait",
                "--name",
                who,
                "-p",
                "0:8080",
                "--env",
                &format!("WHO={who}"),
            ],
        );
        assert_eq!(said.code, Some(0), "{}", said.err);
        let listed = project.assemble(&["ps", "--format", "json"]).json();
        let task = listed["tasks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|task| task["taskArn"] == format!("local/{who}"));
        let bound = &task.unwrap()["containers"][0]["networkBindings"][0]["hostPort"];
        let Some(port) = bound.as_u64() else {
            eprintln!("skipped: two tasks on one port need network namespaces");
            project.assemble(&["stop", "--force"]);
            return;
        };
        ports.push(port);
    }
    for (port, who) in ports.iter().zip(["one", "two"]) {
        let asked = std::process::Command::new("curl")
            .args([
                "-sS",
                "-m",
                "10",
                "--retry",
                "20",
                "--retry-all-errors",
                "--retry-delay",
                "1",
            ])
            .arg(format!("http://127.0.0.1:{port}"))
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&asked.stdout), who);
    }
    for who in ["one", "two"] {
        assert_eq!(project.assemble(&["stop", "--force", who]).code, Some(0));
    }
}

#[test]
fn a_port_that_is_taken_is_told_with_the_way_out() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = busy.local_addr().unwrap().port();
    let more = json!({ "portMappings": [{ "containerPort": port }] });
    let project = project(&[("app", "true", more)]);
    let said = up(&project, &[]);
    if skipped(&said, "a port that is taken") {
        return;
    }
    assert_eq!(said.code, Some(125));
    assert!(
        said.err
            .contains(&format!("127.0.0.1:{port} is in use; `-p 0:{port}`")),
        "{}",
        said.err
    );
    assert_eq!(up(&project, &["-p", &format!("0:{port}")]).code, Some(0));
}

#[test]
fn a_name_that_is_reached_is_in_the_tasks_hosts() {
    let project = project(&[(
        "app",
        "cat /etc/hosts; curl -sS -m 5 http://db.example:5432 || true",
        json!({}),
    )]);
    let said = up(&project, &["--reach", "db.example:5432"]);
    if skipped(&said, "names that lead out") {
        return;
    }
    assert!(
        said.out.contains("127.1.0.1 db.example"),
        "{} {}",
        said.out,
        said.err
    );
}

#[test]
fn a_stub_answers_and_says_what_came() {
    let line = "curl -sS -m 10 --retry 20 --retry-all-errors --retry-delay 1 -o /dev/null -w 'code %{http_code}\\n' \
        -d hello http://127.0.0.1:8125/v1/x";
    let project = project(&[
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
    let project = project(&[("app", ask, json!({})), ("agent", "", agent)]);
    // An address that the task is told of leads out of it only where nobody in it listens.
    let told = "app:WHERE=http://127.0.0.1";
    let port = "app:OTHER=http://127.0.0.1:4318";
    let more = ["--stub", "agent=otlp-sink", "--env", told, "--env", port];
    let said = up(&project, &more);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_eq!(said.out.matches("code 200").count(), 2, "{}", said.out);
}

#[test]
fn several_tasks_take_turns_and_one_that_ends_is_replaced() {
    const TEST: &str = "several_tasks_take_turns_and_one_that_ends_is_replaced";
    let line = "exec python3 -c 'import http.server as h, os, signal\nsignal.signal(15, lambda *_: os._exit(0))\nme = open(\"/proc/sys/kernel/random/uuid\").read()\nclass A(h.BaseHTTPRequestHandler):\n  def do_GET(s):\n    if s.path == \"/end\": os._exit(3)\n    s.send_response(200); s.end_headers(); s.wfile.write(me.encode())\nh.HTTPServer((\"0.0.0.0\", 8080), A).serve_forever()'";
    let more = json!({ "portMappings": [{ "containerPort": 8080 }], "stopTimeout": 2 });
    let project = project(&[("app", line, more)]);
    let words = [
        "up",
        "task.json",
        "--program",
        "app=/bin/sh",
        "--count",
        "2",
    ];
    let mut service = std::process::Command::new(env!("CARGO_BIN_EXE_assemble"))
        .args(words)
        .args(["-p", "0:8080", "--name", "many"])
        .current_dir(project.root())
        .stdout(std::process::Stdio::null())
        .stderr(std::fs::File::create(project.root().join("said")).unwrap())
        .spawn()
        .unwrap();
    let port = || {
        let said = project.read("said");
        let (_, rest) = said.split_once("port 8080 of the tasks is 127.0.0.1:")?;
        Some(rest.split_once(' ')?.0.to_owned())
    };
    let ask = |path: &str| {
        let Some(port) = port() else {
            return String::new();
        };
        let asked = std::process::Command::new("curl")
            .args(["-sS", "-m", "5", &format!("http://127.0.0.1:{port}{path}")])
            .output();
        String::from_utf8(asked.unwrap().stdout).unwrap()
    };
    let mut seen = std::collections::BTreeSet::new();
    let mut until = |count: usize| {
        let end = std::time::Instant::now() + std::time::Duration::from_mins(1);
        while seen.len() < count && std::time::Instant::now() < end {
            seen.extend(Some(ask("/")).filter(|answer| !answer.is_empty()));
            if project
                .read("said")
                .contains("the network here is this machine's")
            {
                return None;
            }
            thread::sleep(std::time::Duration::from_millis(50));
        }
        Some(seen.len())
    };
    let two = until(2);
    let three = two.and_then(|_| {
        ask("/end");
        until(3)
    });
    let stopped = std::process::Command::new("kill")
        .args(["-TERM", &service.id().to_string()])
        .status();
    assert!(stopped.unwrap().success());
    let status = service.wait().unwrap();
    let said = project.read("said");
    if two.is_none() {
        return eprintln!("skipped: {TEST} needs network namespaces");
    }
    assert_eq!((two, three), (Some(2), Some(3)), "{said}");
    assert!(
        said.contains("ended with 3; another one takes its place"),
        "{said}"
    );
    assert_eq!(status.code(), Some(0), "{said}");
    let listed = project.assemble(&["ps", "--format", "json"]).json();
    assert_eq!(
        listed["tasks"].as_array().map(Vec::len),
        Some(0),
        "{listed}"
    );
}

#[test]
fn several_tasks_end_when_the_one_who_started_them_is_killed() {
    let more = json!({ "stopTimeout": 2 });
    let project = project(&[(
        "app",
        "trap 'exit 0' TERM; while :; do sleep 0.1; done",
        more,
    )]);
    let mut service = std::process::Command::new(env!("CARGO_BIN_EXE_assemble"))
        .args([
            "up",
            "task.json",
            "--program",
            "app=/bin/sh",
            "--count",
            "2",
            "--name",
            "orphan",
        ])
        .current_dir(project.root())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let running = || {
        let listed = project.assemble(&["ps", "--format", "json"]).json();
        listed["tasks"].as_array().map_or(0, Vec::len)
    };
    let until = |count: usize| {
        let end = std::time::Instant::now() + std::time::Duration::from_mins(1);
        while running() != count && std::time::Instant::now() < end {
            thread::sleep(std::time::Duration::from_millis(50));
        }
        running()
    };
    let two = until(2);
    service.kill().unwrap();
    service.wait().unwrap();
    assert_eq!((two, until(0)), (2, 0));
}

#[test]
fn a_terminal_has_a_line_at_its_bottom_that_says_how_everybody_is() {
    let project = project(&[("app", "echo hello; sleep 2", json!({}))]);
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

#[test]
fn a_container_starts_again_when_its_program_changes_and_the_task_goes_on() {
    use std::os::unix::fs::PermissionsExt;
    let project = project(&[
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
fn an_init_is_pid_1_passes_signals_on_and_buries_orphans() {
    const TEST: &str = "an_init_is_pid_1_passes_signals_on_and_buries_orphans";
    // The orphan ends while the program still runs; buried, it is no zombie then.
    let line = "echo I am $$ of $PPID; (sh -c 'exit 0' & ) ; sleep 0.5; \
        echo zombies $(grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l); exit 9";
    let init = json!({ "linuxParameters": { "initProcessEnabled": true } });
    let with_init = project(&[("app", line, init.clone())]);
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
    let asleep = project(&[("app", "echo up; exec sleep 100", init)]);
    let said = up(&asleep, &["--until-ready"]);
    assert!(said.err.contains("143 SIGTERM"), "{}", said.err);
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
    let project = project(&[("app", &app, json!({})), ("other", &other, json!({}))]);
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
fn a_port_is_refused_once_nobody_is_left_who_could_answer_there() {
    const TEST: &str = "a_port_is_refused_once_nobody_is_left_who_could_answer_there";
    let mapped = json!({ "portMappings": [{ "containerPort": 8080 }] });
    let slow = "trap 'until [ -e go ]; do sleep 0.05; done; exit 0' TERM; echo up; while :; do sleep 0.05; done";
    let project = project(&[
        (
            "app",
            "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done",
            mapped,
        ),
        ("slow", slow, json!({ "stopTimeout": 60 })),
    ]);
    let more = [
        "--program",
        "slow=/bin/sh",
        "--wait",
        "--name",
        "ends",
        "-p",
        "0:8080",
    ];
    let said = up(&project, &more);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let task = || {
        let listed = project.assemble(&["ps", "--format", "json"]).json();
        listed["tasks"][0].clone()
    };
    let bound = task()["containers"][0]["networkBindings"][0]["hostPort"].as_u64();
    let Some(port) = bound.and_then(|port| u16::try_from(port).ok()) else {
        project.assemble(&["stop", "--force"]);
        return eprintln!("skipped: {TEST} needs network namespaces");
    };
    let is_taken = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    assert!(is_taken());
    // Before its trap a PID 1 does not hear SIGTERM.
    let both_speak = (0..500).any(|_| project.assemble(&["logs"]).out.matches("| up").count() == 2);
    assert!(both_speak);
    let (refused, meanwhile) = thread::scope(|scope| {
        let stopped = scope.spawn(|| project.assemble(&["stop", "ends"]));
        let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while is_taken() && std::time::Instant::now() < end {
            thread::sleep(std::time::Duration::from_millis(20));
        }
        let seen = (!is_taken(), task());
        project.write("go", "");
        assert_eq!(stopped.join().unwrap().code, Some(0));
        seen
    });
    assert!(refused);
    // The task itself is not over by then: somebody else still takes his time.
    assert_eq!(meanwhile["containers"][0]["lastStatus"], "STOPPED");
    assert_eq!(
        meanwhile["containers"][1]["lastStatus"], "RUNNING",
        "{meanwhile:#}"
    );
}
