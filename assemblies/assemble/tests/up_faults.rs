//! Faults that affect a whole task, with real processes: descriptors, ports, the network, the terminal.
#![cfg(feature = "up")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a failed step fails the test"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

mod support;
use support::Project;

/// A server on port 8080 of the task that answers with `here` and exits on SIGTERM.
const SERVER: &str = "exec python3 -c 'import http.server as h, signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\nclass A(h.BaseHTTPRequestHandler):\n  def do_GET(s):\n    s.send_response(200); s.end_headers(); s.wfile.write(b\"here\")\n  def log_message(s, *a): pass\nh.ThreadingHTTPServer((\"0.0.0.0\", 8080), A).serve_forever()'";

/// A task in the background, stopped on drop.
struct BackgroundTask {
    project: Project,
    run: String,
}

impl BackgroundTask {
    /// Starts the task, by a command `before` if there is one. Returns `None`, with a message, on a host without
    /// network namespaces.
    fn new(test: &str, definition: &Value, before: &[&str], more: &[&str]) -> Option<Self> {
        let project = Project::new();
        project.write("task.json", definition.to_string());
        let arguments = [
            "up",
            "task.json",
            "--program",
            "app=/bin/sh",
            "--wait",
            "--name",
            "left",
        ];

        let mut command = match before {
            [] => Command::new(env!("CARGO_BIN_EXE_assemble")),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(env!("CARGO_BIN_EXE_assemble"));
                command
            }
        };

        let output = command
            .args(arguments)
            .args(more)
            .current_dir(project.root())
            .output()
            .unwrap();

        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{err}");
        let task = Self {
            project,
            run: "left".into(),
        };
        let log = fs::read_to_string(task.folder().join("up.log")).unwrap();

        if log.contains("the task shares the host's network") {
            eprintln!("skipped: {test} needs network namespaces");
            return None;
        }

        Some(task)
    }

    fn folder(&self) -> std::path::PathBuf {
        self.project.root().join(".assemble/run").join(&self.run)
    }

    /// Returns the host port of the task.
    fn port(&self) -> u16 {
        let task: Value =
            serde_json::from_str(&fs::read_to_string(self.folder().join("task.json")).unwrap())
                .unwrap();
        let port = &task["tasks"][0]["containers"][0]["networkBindings"][0]["hostPort"];
        u16::try_from(port.as_u64().unwrap()).unwrap()
    }
}

impl Drop for BackgroundTask {
    fn drop(&mut self) {
        self.project.assemble(&["stop", &self.run]);
    }
}

fn server() -> Value {
    json!({ "name": "app", "image": "sh", "entryPoint": ["/bin/sh"], "command": ["-c", SERVER],
            "portMappings": [{ "containerPort": 8080 }], "stopTimeout": 5 })
}

/// Sends a request, and returns the response if it comes within the limit.
fn request(port: u16, limit: Duration) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.ends_with("here").then_some(answer)
}

fn wait_until(what: &str, test: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !test() {
        assert!(Instant::now() < end, "timed out waiting for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Returns the user and system time of a process (proc(5), `stat`), in ticks of 10 ms.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, after) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = after.split_whitespace().collect();
    // Fields 14 and 15; the one after the name is field 3.
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Returns the pid of the `up` process with this run directory.
fn supervisor(folder: &Path) -> u32 {
    let name = folder.file_name().unwrap().to_string_lossy().into_owned();
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let root = folder.ancestors().nth(3).unwrap().canonicalize().unwrap();
    let is_supervisor = |pid: &u32| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let folder = fs::read_link(format!("/proc/{pid}/cwd"));
        line.contains("\0up\0") && line.contains(&name) && folder.is_ok_and(|folder| folder == root)
    };
    pids.find(is_supervisor).unwrap()
}

#[test]
fn running_out_of_descriptors_neither_spins_nor_lasts() {
    let definition = json!({ "family": "test", "containerDefinitions": [server()] });
    // A low limit of open files, for `up` and its children.
    let limit = ["prlimit", "--nofile=64:64"];
    let Some(task) = BackgroundTask::new("descriptors", &definition, &limit, &["-p", "0:8080"])
    else {
        return;
    };
    let port = task.port();

    wait_until("an answer", || {
        request(port, Duration::from_secs(1)).is_some()
    });
    // More clients than there are descriptors for: each forwarded connection needs two.
    let clients: Vec<TcpStream> = (0..100)
        .map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap())
        .collect();

    wait_until("no answer", || {
        request(port, Duration::from_millis(200)).is_none()
    });

    let pid = supervisor(&task.folder());
    let before = ticks(pid);
    thread::sleep(Duration::from_secs(1));

    let spent = ticks(pid) - before;
    assert!(spent < 50, "{spent} of 100 ticks were spent while waiting");
    // Closing them frees the descriptors.
    drop(clients);
    wait_until("an answer again", || {
        request(port, Duration::from_secs(1)).is_some()
    });
}

#[test]
fn a_port_used_by_two_containers_fails_the_second_one() {
    let project = Project::new();
    // One after the other, so that the second one is known.
    let second =
        "python3 -c 'import socket; s = socket.socket(); s.bind((\"127.0.0.1\", 8080))'; exit 98";
    let definition = json!({ "family": "test", "containerDefinitions": [
        { "name": "first", "image": "sh", "entryPoint": ["/bin/sh"], "command": ["-c", SERVER], "essential": false,
          "healthCheck": { "command": ["CMD-SHELL", "curl -sf http://127.0.0.1:8080"], "interval": 5 } },
        { "name": "app", "image": "sh", "entryPoint": ["/bin/sh"], "command": ["-c", second],
          "dependsOn": [{ "containerName": "first", "condition": "HEALTHY" }] } ] });

    project.write("task.json", definition.to_string());
    let output = project.assemble(&[
        "up",
        "task.json",
        "--program",
        "app=/bin/sh",
        "--program",
        "first=/bin/sh",
        "--fast-health",
        "50",
    ]);

    assert_eq!(output.code, Some(98), "{}{}", output.out, output.err);
    assert!(
        output.out.contains("Address already in use"),
        "{}{}",
        output.out,
        output.err
    );
    assert!(
        output.err.contains("(`app`)"),
        "expected as the cause: {}",
        output.err
    );
}

#[test]
fn injected_latency_and_loss_are_visible_outside_and_no_request_fails() {
    // The fault injection endpoints of the ECS agent.
    let inject = |fault: &str, verb: &str, body: &str| {
        format!("curl -sf -d '{body}' \"$ECS_AGENT_URI/fault/v1/{fault}/{verb}\" >/dev/null")
    };
    let latency = r#"{"DelayMilliseconds":300,"JitterMilliseconds":0,"Sources":["0.0.0.0/0"]}"#;
    let loss = r#"{"LossPercent":20,"Sources":["0.0.0.0/0"]}"#;
    let wait = |file: &str| format!("until [ -e \"$DIR/{file}\" ]; do sleep 0.02; done");
    let chaos = [
        wait("latency"),
        inject("network-latency", "start", latency),
        "touch \"$DIR/is-late\"".to_owned(),
        wait("loss"),
        inject("network-latency", "stop", latency),
        inject("network-packet-loss", "start", loss),
        "touch \"$DIR/is-lossy\"".to_owned(),
        "exec sleep 60".to_owned(),
    ];

    let definition = json!({ "family": "test", "enableFaultInjection": true, "containerDefinitions": [
        server(),
        { "name": "chaos", "image": "sh", "entryPoint": ["/bin/sh"], "command": ["-c", chaos.join("\n")],
          "essential": false, "stopTimeout": 2 },
    ] });
    let shared = tempfile::tempdir().unwrap();
    let folder = format!("chaos:DIR={}", shared.path().display());
    let more = [
        "-p",
        "0:8080",
        "--program",
        "chaos=/bin/sh",
        "--env",
        &folder,
    ];

    let Some(task) = BackgroundTask::new("fault injection", &definition, &[], &more) else {
        return;
    };
    let port = task.port();
    let limit = Duration::from_secs(20);

    wait_until("an answer", || request(port, limit).is_some());
    // The container and the test signal each other with files in a shared directory.
    let trigger = |file: &str, done: &str| {
        fs::write(shared.path().join(file), "").unwrap();
        wait_until(done, || shared.path().join(done).exists());
    };

    trigger("latency", "is-late");
    let start = Instant::now();
    assert!(request(port, limit).is_some());
    assert!(
        start.elapsed() >= Duration::from_millis(300),
        "{:?}",
        start.elapsed()
    );
    trigger("loss", "is-lossy");
    let answered = (0..10).filter(|_| request(port, limit).is_some()).count();
    assert_eq!(answered, 10, "TCP sends lost packets again");
}

/// Starts `up` as the leader of its own terminal, created by util-linux's `script`.
fn start_in_terminal(project: &Project) -> Child {
    let up = format!(
        "{} up task.json --program app=/bin/sh --name closed",
        env!("CARGO_BIN_EXE_assemble")
    );

    Command::new("script")
        .args(["-qec", &up, "/dev/null"])
        .current_dir(project.root())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn closing_the_terminal_stops_the_task_in_order() {
    let project = Project::new();
    let line = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    let definition = json!({ "family": "test", "containerDefinitions": [
        { "name": "app", "image": "sh", "entryPoint": ["/bin/sh"], "command": ["-c", line], "stopTimeout": 10 } ] });

    project.write("task.json", definition.to_string());
    let mut terminal = start_in_terminal(&project);
    let log = project.root().join(".assemble/run/closed/app.log");
    let has_logged = |word: &str| fs::read_to_string(&log).is_ok_and(|text| text.contains(word));

    wait_until("ready", || has_logged("ready"));
    // Killing `script` closes the terminal, and `up` gets SIGHUP.
    terminal.kill().unwrap();
    terminal.wait().unwrap();
    wait_until("bye", || has_logged("bye"));

    let events = project.root().join(".assemble/run/closed/events.jsonl");
    wait_until("the end", || {
        fs::read_to_string(&events).is_ok_and(|text| text.contains("\"STOPPED\""))
    });
}

#[test]
fn of_two_simultaneous_runs_with_one_name_one_starts() {
    let project = Project::new();
    let line = "trap 'exit 0' TERM; while :; do sleep 0.05; done";
    let definition = json!({ "family": "test", "containerDefinitions": [
        { "name": "app", "image": "sh", "entryPoint": ["/bin/sh"], "command": ["-c", line], "stopTimeout": 5 } ] });

    project.write("task.json", definition.to_string());
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_assemble"));
        command.args([
            "up",
            "task.json",
            "--program",
            "app=/bin/sh",
            "--name",
            "one",
            "--timeout",
            "2s",
        ]);

        command.current_dir(project.root()).env("NO_COLOR", "1");
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };

    let both = [start(), start()].map(|child| child.wait_with_output().unwrap());
    let mut codes = both.each_ref().map(|output| output.status.code());
    codes.sort_unstable();
    // 124 is the timeout of the one that ran, 125 the rejection of the other.
    assert_eq!(codes, [Some(124), Some(125)], "{both:?}");

    let messages = both.map(|output| String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(
        messages
            .iter()
            .any(|text| text.contains("`one` is already running")),
        "{messages:?}"
    );
}

#[test]
fn a_stub_handles_a_stop_right_after_its_start() {
    let project = Project::new();
    let definition = json!({ "family": "test", "containerDefinitions": [{ "name": "app", "image": "others/app:1" }] });
    project.write("task.json", definition.to_string());
    // Several times: whether the stop comes before the stub's signal handler depends on timing.
    for _ in 0..5 {
        let start = Instant::now();
        let output = project.assemble(&["up", "task.json", "--stub", "app", "--until-ready"]);
        assert_eq!(output.code, Some(0), "{}", output.err);
        assert!(start.elapsed() < Duration::from_secs(10), "{}", output.err);
    }
}
