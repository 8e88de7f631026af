//! A component as a process (`examples/echo.rs`): signals, exit codes, telemetry.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper may panic to fail its test"
)]

#[path = "../support/mod.rs"]
mod support;
mod telemetry;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    process::{Output, Stdio},
    sync::{Arc, Mutex},
};

use chassis::http::{Limits, box_body, read_limited};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{Raw, Request, Server, answer, ask, start_server, within};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, BufReader, Lines},
    net::TcpListener,
    process::{Child, ChildStdout, Command},
};

/// Returns a command for the example; `cargo test` builds it, but `--test process` alone may run an old one.
fn echo(variables: &[(&str, &str)]) -> Command {
    let mut path: PathBuf = std::env::current_exe().unwrap();
    // From `target/<profile>/deps/<test>` to `target/<profile>/examples/echo`.
    path.pop();
    path.pop();
    path.push("examples/echo");
    assert!(
        path.exists(),
        "build it first: cargo build -p chassis --example echo"
    );

    let mut command = Command::new(path);
    command.env_clear().kill_on_drop(true).stdin(Stdio::null());
    command.envs(variables.iter().copied());
    command
}

async fn output(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    within(echo(variables).args(arguments).output())
        .await
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A started process that serves.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Running {
    async fn start(variables: &[(&str, &str)]) -> Self {
        // Port 0, so that tests run in parallel; the log lines tell the real ones.
        let ports = [
            ("ECHO_LISTEN", "127.0.0.1:0"),
            ("ECHO_ADMIN", "127.0.0.1:0"),
            ("ECHO_NAME", "x"),
        ];
        let mut command = echo(&ports);
        let mut child = command
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let starting = next_line(&mut lines, "starting").await;

        let listening = next_line(&mut lines, "listening").await;
        let address = |line: &Value, field: &str| line[field].as_str().unwrap().parse().unwrap();
        let (admin, address) = (address(&starting, "admin"), address(&listening, "address"));
        Self {
            child,
            lines,
            address,
            admin,
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    async fn line(&mut self, message: &str) -> Value {
        next_line(&mut self.lines, message).await
    }

    async fn code(&mut self) -> Option<i32> {
        within(self.child.wait()).await.unwrap().code()
    }
}

/// Reads to the next log line with this message; every line before it must be a JSON object.
async fn next_line(lines: &mut Lines<impl AsyncBufRead + Unpin>, message: &str) -> Value {
    loop {
        let line = within(lines.next_line())
            .await
            .unwrap()
            .expect("the process ended before this line");
        let line: Value = serde_json::from_str(&line).unwrap();
        if line["message"] == message {
            return line;
        }
    }
}

#[tokio::test]
async fn serves_answers_probes_and_exits_0_on_sigterm() {
    let mut running = Running::start(&[]).await;
    assert!(
        ask(running.address, "GET / HTTP/1.1")
            .await
            .starts_with("HTTP/1.1 200")
    );
    assert!(
        ask(running.admin, "GET /live HTTP/1.1")
            .await
            .starts_with("HTTP/1.1 200")
    );

    assert!(
        ask(running.admin, "GET /ready HTTP/1.1")
            .await
            .starts_with("HTTP/1.1 200")
    );

    let admin = running.admin.to_string();
    for arguments in [&["probe"][..], &["probe", "--ready"]] {
        let probe = output(arguments, &[("ECHO_ADMIN", &admin)]).await;
        assert_eq!(probe.status.code(), Some(0));
    }

    running.signal(Signal::TERM);
    assert_eq!(running.line("stopped").await["level"], "info");
    assert_eq!(running.code().await, Some(0));
    // Nothing listens on the admin port any more.
    let probe = output(&["probe"], &[("ECHO_ADMIN", &admin)]).await;
    assert_eq!(probe.status.code(), Some(1));
}

#[tokio::test]
async fn log_lines_have_time_level_message_and_target() {
    let mut running = Running::start(&[("ECHO_LOG", "info,echo=debug")]).await;
    ask(running.address, "GET /path HTTP/1.1\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").await;
    let line = running.line("received").await;
    assert_eq!(
        (&line["level"], &line["path"]),
        (&"debug".into(), &"/path".into())
    );
    assert_eq!(line["target"], "echo");
    assert_eq!(line["trace_id"], "0af7651916cd43dd8448eb211c80319c");

    let time = line["time"].as_str().unwrap();
    assert!(
        time.len() >= 20 && time.contains('T') && time.ends_with('Z'),
        "{time}"
    );
}

#[tokio::test]
async fn keeps_accepting_but_is_not_ready_during_the_drain_delay() {
    let mut running = Running::start(&[("ECHO_DRAIN_DELAY", "1h")]).await;
    running.signal(Signal::TERM);
    running.line("stopping").await;

    // The signal is handled asynchronously, so readiness may last a moment.
    let ready = within(async {
        loop {
            let answer = ask(running.admin, "GET /ready HTTP/1.1").await;
            if !answer.starts_with("HTTP/1.1 200") {
                return answer;
            }
        }
    });

    let ready = ready.await;
    assert!(
        ready.starts_with("HTTP/1.1 503") && ready.contains("drain"),
        "{ready}"
    );
    assert!(
        ask(running.admin, "GET /live HTTP/1.1")
            .await
            .starts_with("HTTP/1.1 200")
    );

    assert!(
        ask(running.address, "GET / HTTP/1.1")
            .await
            .starts_with("HTTP/1.1 200")
    );
    // A second signal, since the drain delay lasts an hour.
    running.signal(Signal::TERM);
    assert_eq!(running.code().await, Some(143));
}

#[tokio::test]
async fn finishes_a_request_in_flight_after_sigterm() {
    let mut running = Running::start(&[]).await;
    let mut client = Raw::connect(running.address).await;
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\nbef")
        .await;
    client.read_until("bef").await;
    running.signal(Signal::TERM);
    running.line("stopping").await;
    // Accepting has stopped, but the request that began before goes on.
    client.send("ore").await;
    client.read_until("ore").await;
    assert_eq!(running.code().await, Some(0));
}

#[tokio::test]
async fn logs_connections_still_open_after_the_drain_timeout() {
    let mut running = Running::start(&[("ECHO_DRAIN_TIMEOUT", "50ms")]).await;
    let mut client = Raw::connect(running.address).await;
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\nbef")
        .await;
    client.read_until("bef").await;
    running.signal(Signal::TERM);
    assert_eq!(
        running
            .line("connections still open after the drain timeout")
            .await["open"],
        1
    );
    assert_eq!(running.code().await, Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_the_process_at_once() {
    let mut running = Running::start(&[]).await;
    let mut client = Raw::connect(running.address).await;
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\nbef")
        .await;
    client.read_until("bef").await;
    running.signal(Signal::INT);
    running.line("stopping").await;
    running.signal(Signal::INT);
    // 128 + SIGINT, as a shell reports it.
    assert_eq!(running.code().await, Some(130));
}

#[tokio::test]
async fn reports_every_problem_of_the_settings_and_exits_2() {
    let invalid = [
        ("ECHO_LISTN", "127.0.0.1:1"),
        ("ECHO_ADMIN", "nowhere"),
        ("ECHO_LIMITS__IDLE_TIMEOUT", "5"),
        ("ECHO_GREETING_FILE", "/nowhere/greeting"),
        ("ECHO_SETTINGS", r#"{"limits":{"heder_timeout":"1s"}}"#),
    ];

    // `check` is for people and writes to stderr; `serve` logs to stdout.
    for (arguments, stream) in [(["check"], "stderr"), (["serve"], "stdout")] {
        let output = output(&arguments, &invalid).await;
        assert_eq!(output.status.code(), Some(2));
        let printed = if stream == "stdout" {
            text(&output.stdout)
        } else {
            text(&output.stderr)
        };

        let expected = [
            "`ECHO_LISTEN`",
            "ECHO_ADMIN",
            "ECHO_LIMITS__IDLE_TIMEOUT",
            "`limits.header_timeout`",
            "ECHO_NAME",
            "ECHO_GREETING_FILE",
        ];

        for name in expected {
            assert!(printed.contains(name), "{name} is missing in {printed}");
        }
    }
}

#[tokio::test]
async fn an_unknown_verb_prints_the_verbs_and_exits_2() {
    let output = output(&["srve"], &[]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("probe"),
        "{}",
        text(&output.stderr)
    );
}

#[tokio::test]
async fn an_additional_verb_sets_the_exit_code() {
    let variables = [("ECHO_NAME", "x"), ("ECHO_ADMIN", "127.0.0.1:0")];
    assert_eq!(
        output(&["say", "7"], &variables).await.status.code(),
        Some(7)
    );
    assert_eq!(
        output(&["say", "x"], &variables).await.status.code(),
        Some(1)
    );
}

#[tokio::test]
async fn a_verb_that_is_cut_off_exits_1() {
    let variables = [
        ("ECHO_NAME", "x"),
        ("ECHO_ADMIN", "127.0.0.1:0"),
        ("ECHO_DRAIN_TIMEOUT", "1ms"),
    ];
    let mut child = echo(&variables)
        .args(["say", "never"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();

    next_line(&mut lines, "waiting").await;
    kill_process(
        Pid::from_raw(child.id().unwrap().cast_signed()).unwrap(),
        Signal::TERM,
    )
    .unwrap();
    assert_eq!(within(child.wait()).await.unwrap().code(), Some(1));
}

#[tokio::test]
async fn exits_1_when_the_port_is_in_use() {
    let occupied = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = occupied.local_addr().unwrap().to_string();
    let variables = [
        ("ECHO_NAME", "x"),
        ("ECHO_ADMIN", "127.0.0.1:0"),
        ("ECHO_LISTEN", &*address),
    ];
    assert_eq!(output(&["serve"], &variables).await.status.code(), Some(1));
}

#[tokio::test]
async fn never_prints_a_secret() {
    let secret = "hunter2-do-not-print";
    // A list instead of a string, so that the value appears in the parser's error.
    let invalid = format!(r#"{{"token":["{secret}"]}}"#);
    for variables in [[("ECHO_TOKEN", secret)], [("ECHO_SETTINGS", &*invalid)]] {
        for verb in ["serve", "check", "describe"] {
            let output = output(&[verb], &variables).await;
            let printed = text(&output.stdout) + &text(&output.stderr);
            assert!(!printed.contains(secret), "{verb}: {printed}");
        }
    }
}

#[tokio::test]
async fn describes_its_settings_as_json() {
    let output = output(&["describe"], &[]).await;
    let description: Value = serde_json::from_slice(&output.stdout).unwrap();
    let setting = |name: &str| {
        let settings = description["settings"].as_array().unwrap();
        settings
            .iter()
            .find(|setting| setting["name"] == name)
            .unwrap()
            .clone()
    };

    assert_eq!(description["ports"][0]["port"], 8070);
    assert_eq!(setting("name")["required"], true);
    assert_eq!(setting("token")["secret"], true);
    assert_eq!(setting("token").get("default"), None);
    assert_eq!(
        setting("limits.idle_timeout")["env"],
        "ECHO_LIMITS__IDLE_TIMEOUT"
    );
    assert_eq!(setting("limits.idle_timeout")["default"], "75s");
    assert_eq!(setting("words")["type"], "array");
    assert_eq!(setting("log")["default"], "info");
}
