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
