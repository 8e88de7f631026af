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
use support::{Said, shells, up};

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
    let project = shells(&[("app", line, json!({}))]);
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
    let project = shells(&[(
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
    let project = shells(&[("app", line, more)]);
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
            .find(|task| task["runName"] == who);
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
    let project = shells(&[("app", "true", more)]);
    let said = up(&project, &[]);

    if skipped(&said, "a port that is taken") {
        return;
    }
    assert_eq!(said.code, Some(125));
    assert!(
        said.err
            .contains(&format!("127.0.0.1:{port} is in use by `")),
        "{}",
        said.err
    );
    assert_eq!(up(&project, &["-p", &format!("0:{port}")]).code, Some(0));
}

#[test]
fn a_name_that_is_reached_is_in_the_tasks_hosts() {
    let project = shells(&[(
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
fn a_port_is_refused_once_nobody_is_left_who_could_answer_there() {
    const TEST: &str = "a_port_is_refused_once_nobody_is_left_who_could_answer_there";

    let mapped = json!({ "portMappings": [{ "containerPort": 8080 }] });
    let slow = "trap 'until [ -e go ]; do sleep 0.05; done; exit 0' TERM; echo up; while :; do sleep 0.05; done";
    let project = shells(&[
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
