//! `up --count`: several replicas as one service. A shell replaces their image.
#![cfg(feature = "up")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed step fails the test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

mod support;
use support::{CommandOutput, Project};

/// Runs until SIGTERM, and prints a line then.
const SERVES: &str = "trap 'echo down; exit 0' TERM; echo up; while :; do sleep 0.05; done";
const UP: [&str; 6] = [
    "up",
    "task.json",
    "--program",
    "app=/bin/sh",
    "--count",
    "2",
];
const LIMIT: Duration = Duration::from_mins(1);

struct Service(Project);

impl Service {
    /// Creates a service with one container that runs a line of shell.
    fn new(line: &str, more: Value) -> Self {
        let mut app = json!({ "name": "app", "image": "sh", "entryPoint": ["/bin/sh"], "command": ["-c", line],
            "stopTimeout": 2 });
        let fields = app.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        let project = Project::new();
        let definition = json!({ "family": "test", "containerDefinitions": [app],
            "taskRoleArn": "arn:aws:iam::111122223333:role/app" });
        project.write("task.json", definition.to_string());
        Self(project)
    }

    fn up(&self, more: &[&str]) -> CommandOutput {
        self.0.assemble(&[UP.as_slice(), more].concat())
    }

    /// Starts the service in the foreground, with its output in the files `out` and `err`.
    fn start(&self, more: &[&str]) -> Child {
        let file = |name| File::create(self.0.root().join(name)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_assemble"));
        command.args(UP).args(more).current_dir(self.0.root());
        command
            .stdin(Stdio::null())
            .stdout(file("out"))
            .stderr(file("err"));
        command.spawn().unwrap()
    }

    fn run(&self, arguments: &[&str]) -> CommandOutput {
        self.0.assemble(arguments)
    }

    /// Returns the running tasks by name.
    fn tasks(&self) -> BTreeMap<String, Value> {
        let listed = self.run(&["ps", "--format", "json"]).json();
        let tasks = listed["tasks"].as_array().unwrap().clone().into_iter();
        tasks
            .map(|task| (task["runName"].as_str().unwrap().to_owned(), task))
            .collect()
    }

    /// Returns the host port of the service, once it has been printed.
    fn port(&self) -> Option<String> {
        let err = self.0.read("err");
        let (_, rest) = err.split_once("port 8080 is published on 127.0.0.1:")?;
        // The rest of the line may not have been written yet.
        Some(rest.split_once('\n')?.0.to_owned())
    }

    /// Sends a request to the service.
    fn request(&self, path: &str) -> Option<String> {
        let url = format!("http://127.0.0.1:{}{path}", self.port()?);
        let response = Command::new("curl").args(["-sS", "-m", "5", &url]).output();
        Some(String::from_utf8(response.unwrap().stdout).unwrap())
    }

    /// Waits for the output of both replicas: without its trap a shell that is PID 1 ignores SIGTERM.
    fn wait_for_output(&self, name: &str) {
        wait_until(|| {
            let has_output = |number| {
                !self
                    .run(&["logs", "--task", &format!("{name}-{number}")])
                    .out
                    .is_empty()
            };
            has_output(1) && has_output(2)
        });
    }
}

impl Drop for Service {
    /// Stops the service even if the test failed.
    fn drop(&mut self) {
        self.0.assemble(&["stop", "--force"]);
    }
}

/// Waits for a condition, and fails after a limit.
fn wait_until(condition: impl FnMut() -> bool) {
    assert!(becomes_true(condition), "timed out");
}

fn becomes_true(mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + LIMIT;
    while Instant::now() < end {
        if condition() {
            return true;
        }
        sleep(Duration::from_millis(30));
    }
    false
}

fn terminate(child: &Child) {
    let status = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn connections_alternate_and_an_exited_replica_is_replaced() {
    const TEST: &str = "connections_alternate_and_an_exited_replica_is_replaced";

    // Each process answers with its own random id.
    let line = "exec python3 -c 'import http.server as h, os, signal\nsignal.signal(15, lambda *_: os._exit(0))\nme = open(\"/proc/sys/kernel/random/uuid\").read()\nclass A(h.BaseHTTPRequestHandler):\n  def do_GET(s):\n    if s.path == \"/end\": os._exit(3)\n    s.send_response(200); s.end_headers(); s.wfile.write(me.encode())\nh.HTTPServer((\"0.0.0.0\", 8080), A).serve_forever()'";
    let more = json!({ "portMappings": [{ "containerPort": 8080 }] });
    let service = Service::new(line, more);
    let mut running = service.start(&["-p", "0:8080", "--name", "many"]);
    let shares_network = || {
        let err = service.0.read("err");
        err.contains("the task shares the host's network")
    };
    let mut ids = BTreeSet::new();

    let mut wait_for_ids = |count: usize| {
        becomes_true(|| {
            ids.extend(service.request("/").filter(|answer| !answer.is_empty()));
            ids.len() >= count || shares_network()
        });
        (!shares_network()).then_some(ids.len())
    };

    let two = wait_for_ids(2);
    // `/end` exits, and the replacement has a third id.
    let three = two.and_then(|_| {
        service.request("/end");
        wait_for_ids(3)
    });

    terminate(&running);
    let status = running.wait().unwrap();
    let err = service.0.read("err");
    if two.is_none() {
        return eprintln!("skipped: {TEST} needs network namespaces");
    }

    assert_eq!((two, three), (Some(2), Some(3)), "{err}");
    assert!(err.contains("exited with 3, replacing it"), "{err}");
    assert_eq!(status.code(), Some(0), "{err}");

    let listed = service.run(&["ps", "--format", "json"]).json();
    assert_eq!(
        listed["tasks"].as_array().map(Vec::len),
        Some(0),
        "{listed}"
    );
}

#[test]
fn replicas_stop_when_their_service_is_killed() {
    let line = "trap 'exit 0' TERM; while :; do sleep 0.1; done";
    let service = Service::new(line, json!({}));
    let mut running = service.start(&["--name", "orphan"]);
    let wait_for_tasks = |count: usize| {
        becomes_true(|| service.tasks().len() == count);
        service.tasks().len()
    };
    let two = wait_for_tasks(2);

    // SIGKILL: the service cannot stop its replicas itself.
    running.kill().unwrap();
    running.wait().unwrap();
    assert_eq!((two, wait_for_tasks(0)), (2, 0));
}

#[test]
fn a_background_service_is_listed_and_stopped_by_name() {
    let service = Service::new(SERVES, json!({}));
    let up = service.up(&["--wait", "--name", "many"]);
    assert_eq!(
        (up.code, up.out.as_str()),
        (Some(0), "many\n"),
        "{}",
        up.err
    );

    let listed = service.run(&["ps"]).out;
    assert!(listed.contains("service: 2 of 2 tasks ready"), "{listed}");

    let tasks = service.tasks();
    let names: Vec<&String> = tasks.keys().collect();
    assert_eq!(names, ["many-1", "many-2"], "{listed}");

    // As ECS identifies the tasks of a service.
    let first = &tasks["many-1"];
    assert_eq!(
        (&first["group"], &first["startedBy"]),
        (&json!("service:test"), &json!("ecs-svc/many"))
    );
    service.wait_for_output("many");

    let output = service.run(&[
        "exec",
        "--task",
        "many-1",
        "app",
        "--",
        "/bin/sh",
        "-c",
        "echo here",
    ]);

    assert_eq!(
        (output.code, output.out.as_str()),
        (Some(0), "here\n"),
        "{}",
        output.err
    );

    let again = service.up(&["--detach", "--name", "many"]);
    assert!(
        again.err.contains("`many` is already running"),
        "{}",
        again.err
    );
    // Spot interrupts single tasks.
    let spot = service.run(&["stop", "--spot", "many"]);
    assert_eq!(spot.code, Some(2), "{}", spot.err);

    // Without a name, or with a prefix, the service is stopped and not a replica.
    let stopped = service.run(&["stop", "ma"]);
    assert_eq!(stopped.code, Some(0), "{}", stopped.err);
    assert!(service.tasks().is_empty());

    for task in ["many-1", "many-2"] {
        assert_eq!(
            service.run(&["logs", "--task", task, "app"]).out,
            "up\ndown\n"
        );
    }
}

#[test]
fn a_stopped_replica_is_replaced() {
    let service = Service::new(SERVES, json!({}));
    let up = service.up(&["--detach", "--name", "whole"]);
    assert_eq!(
        (up.code, up.out.as_str()),
        (Some(0), "whole\n"),
        "{}",
        up.err
    );

    wait_until(|| service.run(&["ps"]).out.contains("2 of 2"));
    service.wait_for_output("whole");
    let before = service.tasks();
    let stopped = service.run(&["stop", "--spot", "whole-2"]);

    assert_eq!(stopped.code, Some(0), "{}", stopped.err);
    let created = |tasks: &BTreeMap<String, Value>, name| {
        tasks.get(name).map(|task| task["createdAt"].clone())
    };

    wait_until(|| service.tasks().len() == 2 && service.run(&["ps"]).out.contains("2 of 2"));
    // Only the stopped one is new.
    let after = service.tasks();
    assert_eq!(created(&before, "whole-1"), created(&after, "whole-1"));
    assert_ne!(created(&before, "whole-2"), created(&after, "whole-2"));
    assert_eq!(service.run(&["stop"]).code, Some(0));
    assert!(service.tasks().is_empty());
}

#[test]
fn a_smoke_test_starts_waits_for_and_stops_all_replicas() {
    // Without its trap a shell that is PID 1 ignores SIGTERM, so the health check waits for the trap.
    let line = "trap 'exit 0' TERM; touch \"trap-${ECS_CONTAINER_METADATA_URI_V4##*/}\"; \
        while :; do sleep 0.05; done";
    let check = "[ -e \"trap-${ECS_CONTAINER_METADATA_URI_V4##*/}\" ]";
    let check = json!({ "command": ["CMD-SHELL", check], "interval": 5, "startPeriod": 300 });
    let service = Service::new(line, json!({ "healthCheck": check }));
    let healthy = service.up(&["--until-healthy", "--fast-health", "50"]);

    assert_eq!(healthy.code, Some(0), "{}", healthy.err);
    // A replica that is only RUNNING may not have set its trap yet, and is killed then.
    let ready = service.up(&["--until-ready"]);
    assert!(matches!(ready.code, Some(0 | 137)), "{}", ready.err);
    for output in [healthy, ready] {
        assert!(
            output.err.contains("all tasks were ready"),
            "{}",
            output.err
        );
    }

    assert!(service.tasks().is_empty());
}

#[test]
fn timeouts_have_exit_code_124() {
    let check = json!({ "healthCheck": { "command": ["CMD-SHELL", "exit 1"], "interval": 300 } });
    let service = Service::new(SERVES, check);
    // A smoke test that never succeeds, and a plain run.
    for more in [
        ["--until-healthy", "--timeout", "1s"],
        ["--json", "--timeout", "1s"],
    ] {
        let up = service.up(&more);
        assert_eq!(up.code, Some(124), "{}", up.err);
        assert!(service.tasks().is_empty());
    }
}

#[test]
fn wait_gives_up_on_a_service_with_failing_replicas() {
    let service = Service::new("echo oh >&2; exit 7", json!({}));
    let check = json!({ "family": "test", "containerDefinitions": [{ "name": "app", "image": "sh",
        "entryPoint": ["/bin/sh"], "command": ["-c", "echo oh >&2; exit 7"],
        "healthCheck": { "command": ["CMD-SHELL", "exit 0"] } }] });

    service.0.write("task.json", check.to_string());
    let up = service.up(&["--wait", "--name", "never"]);
    assert_eq!(up.code, Some(7), "{}", up.err);
    // As ECS's deployment circuit breaker.
    assert!(
        up.err.contains("before it was ready, 3 times in a row"),
        "{}",
        up.err
    );
    assert!(service.tasks().is_empty());
}

#[test]
fn json_lines_of_several_replicas_do_not_mix() {
    const COUNT: usize = 200;

    // Lines longer than a pipe's atomic write; a replica is healthy once it has written all of them.
    let line = format!(
        "long=$(printf '%03000d' 0); i=0; while [ $i -lt {COUNT} ]; do echo $i $long; i=$((i+1)); done; \
         touch \"done-${{ECS_CONTAINER_METADATA_URI_V4##*/}}\"; trap 'exit 0' TERM; while :; do sleep 0.05; done"
    );
    let all_written = "[ -e \"done-${ECS_CONTAINER_METADATA_URI_V4##*/}\" ]";
    let check = json!({ "command": ["CMD-SHELL", all_written], "interval": 5, "retries": 10, "startPeriod": 300 });
    let service = Service::new(&line, json!({ "healthCheck": check }));
    let up = service.up(&[
        "--json",
        "--until-healthy",
        "--fast-health",
        "50",
        "--name",
        "json",
    ]);

    assert_eq!(up.code, Some(0), "{}", up.err);
    let lines = up
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let mut numbers = BTreeMap::<String, Vec<usize>>::new();
    let mut stopped = BTreeSet::new();

    for line in lines.collect::<Vec<Value>>() {
        let name = line["runName"].as_str().unwrap().to_owned();
        if line["detail"]["lastStatus"] == "STOPPED" {
            stopped.insert(name.clone());
        }

        if line["type"] == "log" {
            let number = line["line"]
                .as_str()
                .unwrap()
                .split(' ')
                .next()
                .unwrap()
                .parse();
            numbers.entry(name).or_default().push(number.unwrap());
        }
    }

    // Every line of each replica, in order.
    let all: Vec<usize> = (0..COUNT).collect();
    let names = ["json-1", "json-2"].map(str::to_owned);
    assert_eq!(
        numbers,
        names.clone().map(|name| (name, all.clone())).into()
    );
    assert_eq!(stopped, names.into());
}

/// A server that answers with its id. Its health check fails once (`/flap`) or permanently (`/sick`).
const SERVER: &str = r#"
me=${ECS_CONTAINER_METADATA_URI_V4##*/}
curl -sS -m 5 -X PUT -d '{"ProtectionEnabled": true}' "$ECS_AGENT_URI/task-protection/v1/state"; echo
curl -sS -m 5 "$ECS_CONTAINER_METADATA_URI_V4/task"; echo
exec python3 -c '
import http.server as h, os, signal, sys
signal.signal(15, lambda *_: os._exit(0))
me = sys.argv[1]
class A(h.BaseHTTPRequestHandler):
  def do_GET(s):
    if s.path != "/": open(s.path[1:] + "-" + me, "w")
    s.send_response(200); s.end_headers(); s.wfile.write(me.encode())
  def log_message(s, *_): pass
server = h.HTTPServer(("0.0.0.0", 8080), A)
open("up-" + me, "w")
server.serve_forever()' $me
"#;
const CHECK: &str = "me=${ECS_CONTAINER_METADATA_URI_V4##*/}; \
    if [ -e flap-$me ]; then rm flap-$me; exit 1; fi; [ -e up-$me -a ! -e sick-$me ]";

#[test]
fn an_unhealthy_replica_is_replaced_even_if_protected() {
    const TEST: &str = "an_unhealthy_replica_is_replaced_even_if_protected";

    let check = json!({ "command": ["CMD-SHELL", CHECK], "interval": 10, "retries": 2, "startPeriod": 300 });
    let more = json!({ "portMappings": [{ "containerPort": 8080 }], "healthCheck": check });
    let service = Service::new(SERVER, more);
    let mut running = service.start(&[
        "--json",
        "--fast-health",
        "50",
        "-p",
        "0:8080",
        "--name",
        "flaky",
    ]);

    let err = || service.0.read("err");
    let ready = becomes_true(|| err().matches("is ready").count() == 2);
    if err().contains("the task shares the host's network") {
        terminate(&running);
        running.wait().unwrap();
        return eprintln!("skipped: {TEST} needs network namespaces");
    }

    assert!(ready, "{}", err());
    let port = service.port().unwrap();
    let request = |path: &str| service.request(path).unwrap();
    let listed = service.run(&["ps"]).out;
    let heading = format!("service: 2 of 2 tasks ready, 127.0.0.1:{port}->8080/tcp");

    assert!(listed.contains(&heading), "{listed}");
    let exists = |name: String| service.0.root().join(name).exists();

    // A single failure is not enough: `retries` is 2.
    let flapping = request("/flap");
    wait_until(|| !exists(format!("flap-{flapping}")));
    let sick = request("/sick");
    wait_until(|| err().contains("is UNHEALTHY, stopping it"));

    let ids: BTreeSet<String> = (0..8).map(|_| request("/")).collect();
    assert!(!ids.contains(&sick), "{ids:?}");
    wait_until(|| err().matches("is ready").count() == 3);

    let ids: BTreeSet<String> = (0..8).map(|_| request("/")).collect();
    assert_eq!(
        (ids.len(), ids.contains(&flapping)),
        (2, true),
        "{ids:?} {}",
        err()
    );

    terminate(&running);
    assert_eq!(running.wait().unwrap().code(), Some(0), "{}", err());

    let out = service.0.read("out");
    let lines: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let replaced: Vec<&Value> = (lines.iter())
        .filter(|line| line["detail"]["stopCode"] == "ServiceSchedulerInitiated")
        .collect();
    let first = replaced[0];

    assert_eq!(
        first["detail"]["stoppedReason"],
        "Task failed container health checks"
    );
    assert!(
        replaced
            .iter()
            .all(|line| line["taskArn"] == first["taskArn"])
    );

    let unhealthy = lines
        .iter()
        .filter(|line| line["detail"]["healthStatus"] == "UNHEALTHY");
    let unhealthy: BTreeSet<_> = unhealthy.map(|line| line["taskArn"].as_str()).collect();

    assert_eq!(unhealthy, [first["taskArn"].as_str()].into());
    // All had requested protection, and got it.
    let log_count = |part: &str| {
        lines
            .iter()
            .filter(|line| {
                line["line"]
                    .as_str()
                    .is_some_and(|text| text.contains(part))
            })
            .count()
    };

    assert_eq!(log_count("\"ProtectionEnabled\":true"), 3, "{out}");
    assert_eq!(log_count("\"ServiceName\":\"test\""), 3, "{out}");
}

#[test]
fn an_unhealthy_task_without_a_service_keeps_running() {
    let check = json!({ "command": ["CMD-SHELL", "[ ! -e sick ]"], "interval": 10, "retries": 2 });
    let task = Service::new(SERVES, json!({ "healthCheck": check }));
    let arguments = [
        &UP[..4],
        &["--wait", "--name", "alone", "--fast-health", "50"],
    ];
    let up = task.run(&arguments.concat());

    assert_eq!(up.code, Some(0), "{}", up.err);
    let health = || task.tasks()["alone"]["healthStatus"].clone();
    let pid = || task.tasks()["alone"]["containers"][0]["pid"].clone();
    let before = pid();

    task.0.write("sick", "");
    wait_until(|| health() == "UNHEALTHY");
    std::fs::remove_file(task.0.root().join("sick")).unwrap();
    wait_until(|| health() == "HEALTHY");
    // The same process: nothing was restarted.
    assert_eq!(pid(), before);
    assert_eq!(task.run(&["stop"]).code, Some(0));
}
