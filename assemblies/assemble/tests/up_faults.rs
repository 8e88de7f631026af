//! Faults that strike the task as a whole, with real processes: descriptors, ports, the network, the terminal.
#![cfg(feature = "up")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "what goes wrong here is a failed test"
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

/// A server on 0.0.0.0:8080 of the task that answers with `here`, and ends when it is told to.
const SERVER: &str = "exec python3 -c 'import http.server as h, signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\nclass A(h.BaseHTTPRequestHandler):\n  def do_GET(s):\n    s.send_response(200); s.end_headers(); s.wfile.write(b\"here\")\n  def log_message(s, *a): pass\nh.ThreadingHTTPServer((\"0.0.0.0\", 8080), A).serve_forever()'";

/// A task of shells that is left running; it is stopped when this goes.
struct Left {
    project: Project,
    run: String,
}

impl Left {
    /// None, and a word, where the machine gives out no networks.
    fn new(test: &str, definition: &Value, before: &[&str], more: &[&str]) -> Option<Self> {
        let project = Project::new();
        project.write("task.json", definition.to_string());
        let words = [
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

        let done = command
            .args(words)
            .args(more)
            .current_dir(project.root())
            .output()
            .unwrap();

        let err = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{err}");
        let left = Self {
            project,
            run: "left".into(),
        };
        let said = fs::read_to_string(left.folder().join("up.log")).unwrap();

        if said.contains("the network here is this machine's") {
            eprintln!("skipped: {test} needs network namespaces");
            return None;
        }

        Some(left)
    }

    fn folder(&self) -> std::path::PathBuf {
        self.project.root().join(".assemble/run").join(&self.run)
    }

    /// Where the port of the task is on this machine.
    fn port(&self) -> u16 {
        let task: Value =
            serde_json::from_str(&fs::read_to_string(self.folder().join("task.json")).unwrap())
                .unwrap();
        let port = &task["tasks"][0]["containers"][0]["networkBindings"][0]["hostPort"];
        u16::try_from(port.as_u64().unwrap()).unwrap()
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        self.project.assemble(&["stop", &self.run]);
    }
}

fn server() -> Value {
    json!({ "name": "app", "image": "sh", "entryPoint": ["/bin/sh"], "command": ["-c", SERVER],
            "portMappings": [{ "containerPort": 8080 }], "stopTimeout": 5 })
}

/// What is answered in this time, if anything.
fn ask(port: u16, limit: Duration) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.ends_with("here").then_some(answer)
}

fn until(what: &str, test: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !test() {
        assert!(Instant::now() < end, "never: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// User and system time of a process so far (man 5 proc, stat), in ticks of 10 ms.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, after) = stat.rsplit_once(')').unwrap();
    let words: Vec<&str> = after.split_whitespace().collect();
    words[11].parse::<u64>().unwrap() + words[12].parse::<u64>().unwrap()
}

/// The process of `up` whose folder it is.
fn supervisor(folder: &Path) -> u32 {
    let name = folder.file_name().unwrap().to_string_lossy().into_owned();
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let root = folder.ancestors().nth(3).unwrap().canonicalize().unwrap();
    let is_it = |pid: &u32| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let folder = fs::read_link(format!("/proc/{pid}/cwd"));
        line.contains("\0up\0") && line.contains(&name) && folder.is_ok_and(|folder| folder == root)
    };
    pids.find(is_it).unwrap()
}

#[test]
fn a_supervisor_without_descriptors_to_spare_does_not_spin_and_serves_again() {
    let definition = json!({ "family": "test", "containerDefinitions": [server()] });
    let few = ["prlimit", "--nofile=64:64"];
    let Some(left) = Left::new("descriptors", &definition, &few, &["-p", "0:8080"]) else {
        return;
    };
    let port = left.port();

    until("an answer", || ask(port, Duration::from_secs(1)).is_some());
    // More callers than it has descriptors for: each needs two.
    let callers: Vec<TcpStream> = (0..100)
        .map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap())
        .collect();

    until("no answer", || {
        ask(port, Duration::from_millis(200)).is_none()
    });

    let pid = supervisor(&left.folder());
    let before = ticks(pid);
    thread::sleep(Duration::from_secs(1));

    let spent = ticks(pid) - before;
    assert!(
        spent < 50,
        "{spent} ticks of a second's 100 were spent on waiting"
    );
    drop(callers);
    until("an answer again", || {
        ask(port, Duration::from_secs(1)).is_some()
    });
}

#[test]
fn a_port_that_two_containers_want_is_told_by_who_comes_second() {
    let project = Project::new();
    // One after the other, so that it is known who comes second.
    let second =
        "python3 -c 'import socket; s = socket.socket(); s.bind((\"127.0.0.1\", 8080))'; exit 98";
    let definition = json!({ "family": "test", "containerDefinitions": [
        { "name": "first", "image": "sh", "entryPoint": ["/bin/sh"], "command": ["-c", SERVER], "essential": false,
          "healthCheck": { "command": ["CMD-SHELL", "curl -sf http://127.0.0.1:8080"], "interval": 5 } },
        { "name": "app", "image": "sh", "entryPoint": ["/bin/sh"], "command": ["-c", second],
          "dependsOn": [{ "containerName": "first", "condition": "HEALTHY" }] } ] });

    project.write("task.json", definition.to_string());
    let said = project.assemble(&[
        "up",
        "task.json",
        "--program",
        "app=/bin/sh",
        "--program",
        "first=/bin/sh",
        "--fast-health",
        "50",
    ]);

    assert_eq!(said.code, Some(98), "{}{}", said.out, said.err);
    assert!(
        said.out.contains("Address already in use"),
        "{}{}",
        said.out,
        said.err
    );
    assert!(said.err.contains("(`app`)"), "the guilty one: {}", said.err);
}

#[test]
fn latency_and_loss_that_a_container_asks_for_are_seen_from_outside_and_no_request_fails() {
    let ask_for = |fault: &str, verb: &str, body: &str| {
        format!("curl -sf -d '{body}' \"$ECS_AGENT_URI/fault/v1/{fault}/{verb}\" >/dev/null")
    };
    let latency = r#"{"DelayMilliseconds":300,"JitterMilliseconds":0,"Sources":["0.0.0.0/0"]}"#;
    let loss = r#"{"LossPercent":20,"Sources":["0.0.0.0/0"]}"#;
    let wait = |file: &str| format!("until [ -e \"$DIR/{file}\" ]; do sleep 0.02; done");
    let chaos = [
        wait("latency"),
        ask_for("network-latency", "start", latency),
        "touch \"$DIR/is-late\"".to_owned(),
        wait("loss"),
        ask_for("network-latency", "stop", latency),
        ask_for("network-packet-loss", "start", loss),
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

    let Some(left) = Left::new("faults at the border", &definition, &[], &more) else {
        return;
    };
    let port = left.port();
    let limit = Duration::from_secs(20);

    until("an answer", || ask(port, limit).is_some());
    let told = |word: &str, done: &str| {
        fs::write(shared.path().join(word), "").unwrap();
        until(done, || shared.path().join(done).exists());
    };

    told("latency", "is-late");
    let began = Instant::now();
    assert!(ask(port, limit).is_some());
    assert!(
        began.elapsed() >= Duration::from_millis(300),
        "{:?}",
        began.elapsed()
    );
    told("loss", "is-lossy");
    let answered = (0..10).filter(|_| ask(port, limit).is_some()).count();
    assert_eq!(answered, 10, "what is lost comes again");
}

/// `up` as the leader of a terminal of its own, which util-linux's `script` makes.
fn at_a_terminal(project: &Project) -> Child {
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
fn a_closed_terminal_stops_the_task_in_order() {
    let project = Project::new();
    let line = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    let definition = json!({ "family": "test", "containerDefinitions": [
        { "name": "app", "image": "sh", "entryPoint": ["/bin/sh"], "command": ["-c", line], "stopTimeout": 10 } ] });

    project.write("task.json", definition.to_string());
    let mut terminal = at_a_terminal(&project);
    let log = project.root().join(".assemble/run/closed/app.log");
    let said = |word: &str| fs::read_to_string(&log).is_ok_and(|text| text.contains(word));

    until("ready", || said("ready"));
    // Whoever holds the terminal goes, and with it the terminal.
    terminal.kill().unwrap();
    terminal.wait().unwrap();
    until("bye", || said("bye"));

    let events = project.root().join(".assemble/run/closed/events.jsonl");
    until("the end", || {
        fs::read_to_string(&events).is_ok_and(|text| text.contains("\"STOPPED\""))
    });
}

#[test]
fn of_two_that_take_one_name_at_once_one_runs() {
    let project = Project::new();
    let line = "trap 'exit 0' TERM; while :; do sleep 0.05; done";
    let definition = json!({ "family": "test", "containerDefinitions": [
        { "name": "app", "image": "sh", "entryPoint": ["/bin/sh"], "command": ["-c", line], "stopTimeout": 5 } ] });

    project.write("task.json", definition.to_string());
    let begin = || {
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

    let both = [begin(), begin()].map(|child| child.wait_with_output().unwrap());
    let mut codes = both.each_ref().map(|one| one.status.code());
    codes.sort_unstable();
    assert_eq!(codes, [Some(124), Some(125)], "{both:?}");

    let said = both.map(|one| String::from_utf8_lossy(&one.stderr).into_owned());
    assert!(
        said.iter().any(|one| one.contains("`one` runs already")),
        "{said:?}"
    );
}

#[test]
fn a_stub_that_is_stopped_in_its_first_moment_hears_of_it() {
    let project = Project::new();
    let definition = json!({ "family": "test", "containerDefinitions": [{ "name": "app", "image": "others/app:1" }] });
    project.write("task.json", definition.to_string());
    for _ in 0..5 {
        let began = Instant::now();
        let said = project.assemble(&["up", "task.json", "--stub", "app", "--until-ready"]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(began.elapsed() < Duration::from_secs(10), "{}", said.err);
    }
}
