//! The network of a task that `up` runs: published ports and outgoing connections. A shell replaces its image.
#![cfg(feature = "up")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed step fails the test"
)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use serde_json::{Value, json};

mod support;
use support::{CommandOutput, shells, up};

/// Returns whether the host does not allow network namespaces, after a message that the test is skipped.
fn is_skipped(output: &CommandOutput, test: &str) -> bool {
    let shares_network = output.err.contains("the task shares the host's network");
    if shares_network {
        eprintln!("skipped: {test} needs network namespaces");
    }
    shares_network
}

/// Starts a server on the host's loopback that answers every request.
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
fn metadata_is_at_the_address_of_fargate() {
    let line = "echo \"$ECS_CONTAINER_METADATA_URI_V4\"; curl -sS -m 5 \"$ECS_CONTAINER_METADATA_URI_V4/task\"; echo";
    let project = shells(&[("app", line, json!({}))]);
    let output = up(&project, &[]);
    if is_skipped(&output, "metadata on 169.254.170.2") {
        return;
    }

    let lines: Vec<&str> = output
        .out
        .lines()
        .filter_map(|line| line.split_once("| "))
        .map(|(_, text)| text)
        .collect();

    assert!(
        lines[0].starts_with("http://169.254.170.2/v4/"),
        "{}",
        output.out
    );
    // The first line is the address, the second one the response.
    let task: Value = serde_json::from_str(lines[1]).unwrap();
    assert_eq!(task["Containers"][0]["Name"], "app");
}

#[test]
fn only_allowed_addresses_outside_are_reachable() {
    let port = server();
    let line = "curl -sS -m 5 \"http://$WHERE\" || echo nothing";
    let project = shells(&[(
        "app",
        line,
        json!({ "environment": [{ "name": "WHERE", "value": format!("127.0.0.1:{port}") }] }),
    )]);
    // In a plain task definition an address in a variable does not allow the connection.
    let denied = up(&project, &[]);

    if is_skipped(&denied, "outgoing connections") {
        return;
    }
    assert!(
        denied.out.contains("| nothing"),
        "{} {}",
        denied.out,
        denied.err
    );

    let address = format!("127.0.0.1:{port}");
    let allowed = up(&project, &["--reach", &address]);
    assert!(
        allowed.out.contains("| from outside"),
        "{} {}",
        allowed.out,
        allowed.err
    );

    // An address in a variable on the command line is allowed too.
    let implied = up(&project, &["--env", &format!("WHERE=localhost:{port}")]);
    assert!(
        implied.out.contains("| from outside"),
        "{} {}",
        implied.out,
        implied.err
    );

    assert!(
        implied.err.contains(&format!("can reach 127.0.0.1:{port}")),
        "{}",
        implied.err
    );
}

#[test]
fn two_tasks_with_the_same_port_run_at_the_same_time() {
    let line = "echo up; exec python3 -c 'import http.server as h, os\nclass A(h.BaseHTTPRequestHandler):\n  def do_GET(s):\n    s.send_response(200); s.end_headers(); s.wfile.write(os.environ[\"WHO\"].encode())\nh.HTTPServer((\"0.0.0.0\", 8080), A).serve_forever()'";
    let more = json!({ "portMappings": [{ "containerPort": 8080 }], "stopTimeout": 2 });
    let project = shells(&[("app", line, more)]);
    let mut ports = Vec::new();

    for name in ["one", "two"] {
        let output = up(
            &project,
            &[
                "--wait",
                "--name",
                name,
                "-p",
                "0:8080",
                "--env",
                &format!("WHO={name}"),
            ],
        );

        assert_eq!(output.code, Some(0), "{}", output.err);
        let listed = project.assemble(&["ps", "--format", "json"]).json();
        let task = listed["tasks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|task| task["runName"] == name);
        let bound = &task.unwrap()["containers"][0]["networkBindings"][0]["hostPort"];
        let Some(port) = bound.as_u64() else {
            eprintln!("skipped: two tasks on one port need network namespaces");
            project.assemble(&["stop", "--force"]);
            return;
        };
        ports.push(port);
    }

    for (port, name) in ports.iter().zip(["one", "two"]) {
        let response = std::process::Command::new("curl")
            .args([
                "-sS",
                "-m",
                "10",
                "--retry",
                "20",
                "--retry-all-errors",
                "--retry-delay",
                // The server may not be listening yet.
                "1",
            ])
            .arg(format!("http://127.0.0.1:{port}"))
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&response.stdout), name);
    }

    for name in ["one", "two"] {
        assert_eq!(project.assemble(&["stop", "--force", name]).code, Some(0));
    }
}

#[test]
fn reports_a_port_in_use_with_a_remedy() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = busy.local_addr().unwrap().port();
    let more = json!({ "portMappings": [{ "containerPort": port }] });
    let project = shells(&[("app", "true", more)]);
    let output = up(&project, &[]);

    if is_skipped(&output, "a port in use") {
        return;
    }
    // This process holds the port, and its name is in the message.
    assert_eq!(output.code, Some(125));
    assert!(
        output
            .err
            .contains(&format!("127.0.0.1:{port} is in use by `")),
        "{}",
        output.err
    );
    // Host port 0 is the suggested remedy.
    assert_eq!(up(&project, &["-p", &format!("0:{port}")]).code, Some(0));
}

#[test]
fn a_reachable_host_name_is_in_the_tasks_hosts_file() {
    let project = shells(&[(
        "app",
        "cat /etc/hosts; curl -sS -m 5 http://db.example:5432 || true",
        json!({}),
    )]);
    let output = up(&project, &["--reach", "db.example:5432"]);

    if is_skipped(&output, "names in the hosts file") {
        return;
    }
    assert!(
        output.out.contains("127.1.0.1 db.example"),
        "{} {}",
        output.out,
        output.err
    );
}

#[test]
fn a_port_closes_once_no_container_can_answer_on_it() {
    const TEST: &str = "a_port_closes_once_no_container_can_answer_on_it";

    let mapped = json!({ "portMappings": [{ "containerPort": 8080 }] });
    // Stops only when the test lets it.
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

    let output = up(&project, &more);
    assert_eq!(output.code, Some(0), "{}", output.err);
    let task = || {
        let listed = project.assemble(&["ps", "--format", "json"]).json();
        listed["tasks"][0].clone()
    };
    let bound = task()["containers"][0]["networkBindings"][0]["hostPort"].as_u64();
    let Some(port) = bound.and_then(|port| u16::try_from(port).ok()) else {
        project.assemble(&["stop", "--force"]);
        return eprintln!("skipped: {TEST} needs network namespaces");
    };

    let accepts = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    assert!(accepts());

    // Without its trap a shell that is PID 1 ignores SIGTERM.
    let both_ready = (0..500).any(|_| project.assemble(&["logs"]).out.matches("| up").count() == 2);
    assert!(both_ready);
    let (refused, meanwhile) = thread::scope(|scope| {
        let stopped = scope.spawn(|| project.assemble(&["stop", "ends"]));
        let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while accepts() && std::time::Instant::now() < end {
            thread::sleep(std::time::Duration::from_millis(20));
        }

        let result = (!accepts(), task());
        project.write("go", "");
        assert_eq!(stopped.join().unwrap().code, Some(0));
        result
    });

    assert!(refused);
    // At that moment the task is still stopping.
    assert_eq!(meanwhile["containers"][0]["lastStatus"], "STOPPED");
    assert_eq!(
        meanwhile["containers"][1]["lastStatus"], "RUNNING",
        "{meanwhile:#}"
    );
}
