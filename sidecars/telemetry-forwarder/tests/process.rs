//! Tests the binary: arguments, environment, signals, exit codes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const TRACE: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"NAME"}}]},"scopeSpans":[{"spans":[{"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"SPAN","parentSpanId":"PARENT","name":"POST /v1/coins","kind":2,"startTimeUnixNano":"1000000","endTimeUnixNano":"3500000"}]}]}]}"#;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_telemetry-forwarder"));
    command
        .env_clear()
        .env("TELEMETRY_FORWARDER_ADMIN", "127.0.0.1:0");
    command
}

/// A running forwarder that is killed when the test ends.
struct Running {
    child: Child,
    address: String,
}

impl Running {
    fn start(file: &Path) -> Self {
        let mut child = program()
            .env("TELEMETRY_FORWARDER_LISTEN", "127.0.0.1:0")
            .env("TELEMETRY_FORWARDER_LISTEN_GRPC", "127.0.0.1:0")
            .env("TELEMETRY_FORWARDER_BATCH_TIMEOUT", "1h")
            .env(
                "TELEMETRY_FORWARDER_ENDPOINT",
                format!("file:{}", file.display()),
            )
            .env(
                "TELEMETRY_FORWARDER_RESOURCE",
                r#"{"deployment.environment.name":"test"}"#,
            )
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();

        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let listening = lines
            .find(|line| line.as_ref().unwrap().contains("listening"))
            .unwrap();

        // The rest is read and discarded, so that the process never blocks on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let line: Value = serde_json::from_str(&listening.unwrap()).unwrap();
        let address = find_text(&line, "http").unwrap();
        Self { child, address }
    }

    fn post(&self, json: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = json.len();
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(json.as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    }

    fn terminate(mut self) -> Option<i32> {
        let id = Pid::from_child(&self.child);
        kill_process(id, Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Finds the value of a field at any level of a log line.
fn find_text(value: &Value, key: &str) -> Option<String> {
    match value {
        Value::Object(map) => match map.get(key).and_then(Value::as_str) {
            Some(text) => Some(text.to_owned()),
            None => map.values().find_map(|inner| find_text(inner, key)),
        },
        _ => None,
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn show(arguments: &[&str]) -> Output {
    program().arg("show").args(arguments).output().unwrap()
}

#[test]
fn delivers_on_sigterm_and_shows_the_trace_as_a_tree() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("telemetry.jsonl");
    let forwarder = Running::start(&file);

    for (name, span, parent) in [
        ("coins", "0000000000000002", "0000000000000001"),
        ("tls-proxy", "0000000000000001", ""),
    ] {
        // The child arrives first, so the order of the file is not that of the tree.
        let json = TRACE
            .replace("NAME", name)
            .replace("SPAN", span)
            .replace("PARENT", parent);
        let response = forwarder.post(&json);
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    }

    // The batch timeout is an hour, so nothing is written before SIGTERM.
    assert!(!file.exists());
    assert_eq!(forwarder.terminate(), Some(0));
    let written = std::fs::read_to_string(&file).unwrap();
    assert_eq!(written.lines().count(), 1);
    assert!(written.contains("deployment.environment.name"));

    let output = show(&[file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(
        text(&output.stdout),
        "trace 0102030405060708090a0b0c0d0e0f10  2 spans, 2 services, 2.50 ms\n\
         └─ tls-proxy  POST /v1/coins (server)  +0.00 ms  2.50 ms\n   \
            └─ coins  POST /v1/coins (server)   +0.00 ms  2.50 ms\n\n"
    );
}

#[test]
fn show_rejects_missing_and_empty_files() {
    let nothing = show(&[]);
    assert_eq!(nothing.status.code(), Some(2));
    let missing = show(&["no such file"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("cannot read `no such file`"));
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    assert_eq!(show(&[empty.to_str().unwrap()]).status.code(), Some(1));
}

#[test]
fn check_reports_every_invalid_setting_with_its_full_name() {
    let output = program()
        .arg("check")
        .env("TELEMETRY_FORWARDER_ENDPOINT", "collector:4318")
        .env("TELEMETRY_FORWARDER_COMPRESSION_LEVEL", "12")
        .env("TELEMETRY_FORWARDER_MAX_BODY_BYTES", "0")
        .output()
        .unwrap();

    assert_eq!(output.status.code(), Some(2));
    let errors = text(&output.stderr);
    for name in ["ENDPOINT", "COMPRESSION_LEVEL", "MAX_BODY_BYTES"] {
        assert!(
            errors.contains(&format!("TELEMETRY_FORWARDER_{name}")),
            "{errors}"
        );
    }
}

#[test]
fn check_opens_the_ca_file() {
    let output = program()
        .arg("check")
        .env("TELEMETRY_FORWARDER_ENDPOINT", "https://localhost:1")
        .env("TELEMETRY_FORWARDER_CA_FILE", "/no/such/file.pem")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("TELEMETRY_FORWARDER_CA_FILE"));
}
