//! Several tasks that `up --count` runs: together in what is done with them, and each with a life of its own. A
//! shell stands for their image.
#![cfg(feature = "up")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "what goes wrong here is a failed test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

mod support;
use support::{Project, Said};

/// Waits for SIGTERM, and says so.
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
    /// One container that runs a line of shell.
    fn new(line: &str, more: Value) -> Self {
        let mut app = json!({ "name": "app", "image": "sh", "entryPoint": ["/bin/sh"], "command": ["-c", line],
            "stopTimeout": 2 });
        let object = app.as_object_mut().unwrap();
        object.extend(more.as_object().unwrap().clone());
        let project = Project::new();
        let definition = json!({ "family": "test", "containerDefinitions": [app],
            "taskRoleArn": "arn:aws:iam::111122223333:role/app" });
        project.write("task.json", definition.to_string());
        Self(project)
    }

    fn up(&self, more: &[&str]) -> Said {
        self.0.assemble(&[UP.as_slice(), more].concat())
    }

    /// In the foreground; what it says is in the files `out` and `said`.
    fn started(&self, more: &[&str]) -> Child {
        let file = |name| File::create(self.0.root().join(name)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_assemble"));
        command.args(UP).args(more).current_dir(self.0.root());
        command
            .stdin(Stdio::null())
            .stdout(file("out"))
            .stderr(file("said"));
        command.spawn().unwrap()
    }

    fn said(&self, words: &[&str]) -> Said {
        self.0.assemble(words)
    }

    /// The tasks that run, by their names.
    fn tasks(&self) -> BTreeMap<String, Value> {
        let listed = self.said(&["ps", "--format", "json"]).json();
        let tasks = listed["tasks"].as_array().unwrap().clone().into_iter();
        let named = tasks.map(|task| (task["runName"].as_str().unwrap().to_owned(), task));
        named.collect()
    }

    /// Where on this machine the tasks' port is, once it has been said.
    fn port(&self) -> Option<String> {
        let said = self.0.read("said");
        let (_, rest) = said.split_once("port 8080 of the tasks is 127.0.0.1:")?;
        Some(rest.split_once(' ')?.0.to_owned())
    }

    /// What one of the tasks answers.
    fn ask(&self, path: &str) -> Option<String> {
        let url = format!("http://127.0.0.1:{}{path}", self.port()?);
        let asked = Command::new("curl").args(["-sS", "-m", "5", &url]).output();
        Some(String::from_utf8(asked.unwrap().stdout).unwrap())
    }

    /// Before its trap a PID 1 does not hear SIGTERM.
    fn until_all_speak(&self, name: &str) {
        until(|| {
            let speaks = |number| {
                !self
                    .said(&["logs", "--task", &format!("{name}-{number}")])
                    .out
                    .is_empty()
            };
            speaks(1) && speaks(2)
        });
    }
}

impl Drop for Service {
    /// A test that failed leaves nothing behind either.
    fn drop(&mut self) {
        self.0.assemble(&["stop", "--force"]);
    }
}

/// Waits for something, and not for ever.
fn until(holds: impl FnMut() -> bool) {
    assert!(comes(holds), "it does not come");
}

fn comes(mut holds: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + LIMIT;
    while Instant::now() < end {
        if holds() {
            return true;
        }
        sleep(Duration::from_millis(30));
    }
    false
}

fn interrupt(child: &Child) {
    let stopped = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(stopped.unwrap().success());
}

#[test]
fn several_tasks_take_turns_and_one_that_ends_is_replaced() {
    const TEST: &str = "several_tasks_take_turns_and_one_that_ends_is_replaced";

    let line = "exec python3 -c 'import http.server as h, os, signal\nsignal.signal(15, lambda *_: os._exit(0))\nme = open(\"/proc/sys/kernel/random/uuid\").read()\nclass A(h.BaseHTTPRequestHandler):\n  def do_GET(s):\n    if s.path == \"/end\": os._exit(3)\n    s.send_response(200); s.end_headers(); s.wfile.write(me.encode())\nh.HTTPServer((\"0.0.0.0\", 8080), A).serve_forever()'";
    let more = json!({ "portMappings": [{ "containerPort": 8080 }] });
    let service = Service::new(line, more);
    let mut running = service.started(&["-p", "0:8080", "--name", "many"]);
    let shared = || {
        let said = service.0.read("said");
        said.contains("the network here is this machine's")
    };
    let mut seen = BTreeSet::new();

    let mut until = |count: usize| {
        comes(|| {
            seen.extend(service.ask("/").filter(|answer| !answer.is_empty()));
            seen.len() >= count || shared()
        });
        (!shared()).then_some(seen.len())
    };

    let two = until(2);
    let three = two.and_then(|_| {
        service.ask("/end");
        until(3)
    });

    interrupt(&running);
    let status = running.wait().unwrap();
    let said = service.0.read("said");
    if two.is_none() {
        return eprintln!("skipped: {TEST} needs network namespaces");
    }

    assert_eq!((two, three), (Some(2), Some(3)), "{said}");
    assert!(
        said.contains("ended with 3; another one takes its place"),
        "{said}"
    );
    assert_eq!(status.code(), Some(0), "{said}");

    let listed = service.said(&["ps", "--format", "json"]).json();
    assert_eq!(
        listed["tasks"].as_array().map(Vec::len),
        Some(0),
        "{listed}"
    );
}

#[test]
fn several_tasks_end_when_the_one_who_started_them_is_killed() {
    let line = "trap 'exit 0' TERM; while :; do sleep 0.1; done";
    let service = Service::new(line, json!({}));
    let mut running = service.started(&["--name", "orphan"]);
    let until = |count: usize| {
        comes(|| service.tasks().len() == count);
        service.tasks().len()
    };
    let two = until(2);

    running.kill().unwrap();
    running.wait().unwrap();
    assert_eq!((two, until(0)), (2, 0));
}

#[test]
fn a_service_that_is_waited_for_is_listed_asked_and_stopped_by_its_name() {
    let service = Service::new(SERVES, json!({}));
    let up = service.up(&["--wait", "--name", "many"]);
    assert_eq!(
        (up.code, up.out.as_str()),
        (Some(0), "many\n"),
        "{}",
        up.err
    );

    let listed = service.said(&["ps"]).out;
    assert!(
        listed.contains("a service: 2 of 2 tasks take part"),
        "{listed}"
    );

    let tasks = service.tasks();
    let names: Vec<&String> = tasks.keys().collect();
    assert_eq!(names, ["many-1", "many-2"], "{listed}");

    let first = &tasks["many-1"];
    assert_eq!(
        (&first["group"], &first["startedBy"]),
        (&json!("service:test"), &json!("ecs-svc/many"))
    );
    service.until_all_speak("many");

    let said = service.said(&[
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
        (said.code, said.out.as_str()),
        (Some(0), "here\n"),
        "{}",
        said.err
    );

    let again = service.up(&["--detach", "--name", "many"]);
    assert!(again.err.contains("`many` runs already"), "{}", again.err);
    let spot = service.said(&["stop", "--spot", "many"]);
    assert_eq!(spot.code, Some(2), "{}", spot.err);

    // Without a name, and by less than the whole of one, the service is meant.
    let stopped = service.said(&["stop", "ma"]);
    assert_eq!(stopped.code, Some(0), "{}", stopped.err);
    assert!(service.tasks().is_empty());

    for task in ["many-1", "many-2"] {
        assert_eq!(
            service.said(&["logs", "--task", task, "app"]).out,
            "up\ndown\n"
        );
    }
}

#[test]
fn a_task_of_a_service_that_somebody_stops_is_replaced() {
    let service = Service::new(SERVES, json!({}));
    let up = service.up(&["--detach", "--name", "whole"]);
    assert_eq!(
        (up.code, up.out.as_str()),
        (Some(0), "whole\n"),
        "{}",
        up.err
    );

    until(|| service.said(&["ps"]).out.contains("2 of 2"));
    service.until_all_speak("whole");
    let before = service.tasks();
    let stopped = service.said(&["stop", "--spot", "whole-2"]);

    assert_eq!(stopped.code, Some(0), "{}", stopped.err);
    let created = |tasks: &BTreeMap<String, Value>, name| {
        tasks.get(name).map(|task| task["createdAt"].clone())
    };

    until(|| service.tasks().len() == 2 && service.said(&["ps"]).out.contains("2 of 2"));
    let after = service.tasks();
    assert_eq!(created(&before, "whole-1"), created(&after, "whole-1"));
    assert_ne!(created(&before, "whole-2"), created(&after, "whole-2"));
    assert_eq!(service.said(&["stop"]).code, Some(0));
    assert!(service.tasks().is_empty());
}

#[test]
fn a_trial_starts_all_waits_for_all_and_stops_all() {
    // Before its trap a PID 1 does not hear SIGTERM, so its check waits for the trap.
    let line = "trap 'exit 0' TERM; touch \"trap-${ECS_CONTAINER_METADATA_URI_V4##*/}\"; \
        while :; do sleep 0.05; done";
    let check = "[ -e \"trap-${ECS_CONTAINER_METADATA_URI_V4##*/}\" ]";
    let check = json!({ "command": ["CMD-SHELL", check], "interval": 5, "startPeriod": 300 });
    let service = Service::new(line, json!({ "healthCheck": check }));
    let healthy = service.up(&["--until-healthy", "--fast-health", "50"]);

    assert_eq!(healthy.code, Some(0), "{}", healthy.err);
    // Who is only RUNNING may not hear it yet, and is killed then.
    let ready = service.up(&["--until-ready"]);
    assert!(matches!(ready.code, Some(0 | 137)), "{}", ready.err);
    for trial in [healthy, ready] {
        assert!(trial.err.contains("all tasks were ready"), "{}", trial.err);
    }

    assert!(service.tasks().is_empty());
}

#[test]
fn a_trial_that_takes_too_long_and_a_time_that_is_over_end_with_124() {
    let check = json!({ "healthCheck": { "command": ["CMD-SHELL", "exit 1"], "interval": 300 } });
    let service = Service::new(SERVES, check);
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
fn nobody_waits_for_a_service_whose_tasks_end_again_and_again() {
    let service = Service::new("echo oh >&2; exit 7", json!({}));
    let check = json!({ "family": "test", "containerDefinitions": [{ "name": "app", "image": "sh",
        "entryPoint": ["/bin/sh"], "command": ["-c", "echo oh >&2; exit 7"],
        "healthCheck": { "command": ["CMD-SHELL", "exit 0"] } }] });

    service.0.write("task.json", check.to_string());
    let up = service.up(&["--wait", "--name", "never"]);
    assert_eq!(up.code, Some(7), "{}", up.err);
    assert!(
        up.err.contains("3 times in a row before it was ready"),
        "{}",
        up.err
    );
    assert!(service.tasks().is_empty());
}

#[test]
fn json_of_several_tasks_comes_in_whole_lines_that_say_whose_they_are() {
    const COUNT: usize = 200;

    // Long lines, which no pipe takes in one piece; who has said them all is healthy.
    let line = format!(
        "long=$(printf '%03000d' 0); i=0; while [ $i -lt {COUNT} ]; do echo $i $long; i=$((i+1)); done; \
         touch \"said-${{ECS_CONTAINER_METADATA_URI_V4##*/}}\"; trap 'exit 0' TERM; while :; do sleep 0.05; done"
    );
    let all_said = "[ -e \"said-${ECS_CONTAINER_METADATA_URI_V4##*/}\" ]";
    let check = json!({ "command": ["CMD-SHELL", all_said], "interval": 5, "retries": 10, "startPeriod": 300 });
    let service = Service::new(&line, json!({ "healthCheck": check }));
    let up = service.up(&[
        "--json",
        "--until-healthy",
        "--fast-health",
        "50",
        "--name",
        "told",
    ]);

    assert_eq!(up.code, Some(0), "{}", up.err);
    let lines = up
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let mut said = BTreeMap::<String, Vec<usize>>::new();
    let mut ended = BTreeSet::new();

    for line in lines.collect::<Vec<Value>>() {
        let whose = line["runName"].as_str().unwrap().to_owned();
        if line["detail"]["lastStatus"] == "STOPPED" {
            ended.insert(whose.clone());
        }

        if line["type"] == "log" {
            let number = line["line"]
                .as_str()
                .unwrap()
                .split(' ')
                .next()
                .unwrap()
                .parse();
            said.entry(whose).or_default().push(number.unwrap());
        }
    }

    let whole: Vec<usize> = (0..COUNT).collect();
    let names = ["told-1", "told-2"].map(str::to_owned);
    assert_eq!(said, names.clone().map(|name| (name, whole.clone())).into());
    assert_eq!(ended, names.into());
}

/// A server that says who it is, and whose check fails once (`/flap`) or from now on (`/sick`).
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
fn a_service_replaces_what_is_unhealthy_also_when_it_is_protected() {
    const TEST: &str = "a_service_replaces_what_is_unhealthy_also_when_it_is_protected";

    let check = json!({ "command": ["CMD-SHELL", CHECK], "interval": 10, "retries": 2, "startPeriod": 300 });
    let more = json!({ "portMappings": [{ "containerPort": 8080 }], "healthCheck": check });
    let service = Service::new(SERVER, more);
    let mut running = service.started(&[
        "--json",
        "--fast-health",
        "50",
        "-p",
        "0:8080",
        "--name",
        "flaky",
    ]);

    let said = || service.0.read("said");
    let ready = comes(|| said().matches("takes part").count() == 2);
    if said().contains("the network here is this machine's") {
        interrupt(&running);
        running.wait().unwrap();
        return eprintln!("skipped: {TEST} needs network namespaces");
    }

    assert!(ready, "{}", said());
    let port = service.port().unwrap();
    let ask = |path: &str| service.ask(path).unwrap();
    let listed = service.said(&["ps"]).out;
    let heading = format!("2 of 2 tasks take part, 127.0.0.1:{port} is port 8080");

    assert!(listed.contains(&heading), "{listed}");
    let there = |name: String| service.0.root().join(name).exists();

    // One failure is none.
    let flapping = ask("/flap");
    until(|| !there(format!("flap-{flapping}")));
    let sick = ask("/sick");
    until(|| said().contains("is UNHEALTHY and is stopped"));

    let turns: BTreeSet<String> = (0..8).map(|_| ask("/")).collect();
    assert!(!turns.contains(&sick), "{turns:?}");
    until(|| said().matches("takes part").count() == 3);

    let turns: BTreeSet<String> = (0..8).map(|_| ask("/")).collect();
    assert_eq!(
        (turns.len(), turns.contains(&flapping)),
        (2, true),
        "{turns:?} {}",
        said()
    );

    interrupt(&running);
    assert_eq!(running.wait().unwrap().code(), Some(0), "{}", said());

    let out = service.0.read("out");
    let lines: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let dismissed: Vec<&Value> = (lines.iter())
        .filter(|line| line["detail"]["stopCode"] == "ServiceSchedulerInitiated")
        .collect();
    let first = dismissed[0];

    assert_eq!(
        first["detail"]["stoppedReason"],
        "Task failed container health checks"
    );
    assert!(
        dismissed
            .iter()
            .all(|line| line["taskArn"] == first["taskArn"])
    );

    let unhealthy = lines
        .iter()
        .filter(|line| line["detail"]["healthStatus"] == "UNHEALTHY");
    let unhealthy: BTreeSet<_> = unhealthy.map(|line| line["taskArn"].as_str()).collect();

    assert_eq!(unhealthy, [first["taskArn"].as_str()].into());
    // All had asked for protection, and it was given.
    let logs = |word: &str| {
        lines
            .iter()
            .filter(|line| {
                line["line"]
                    .as_str()
                    .is_some_and(|text| text.contains(word))
            })
            .count()
    };

    assert_eq!(logs("\"ProtectionEnabled\":true"), 3, "{out}");
    assert_eq!(logs("\"ServiceName\":\"test\""), 3, "{out}");
}

#[test]
fn an_unhealthy_task_that_is_alone_goes_on() {
    let check = json!({ "command": ["CMD-SHELL", "[ ! -e sick ]"], "interval": 10, "retries": 2 });
    let task = Service::new(SERVES, json!({ "healthCheck": check }));
    let words = [
        &UP[..4],
        &["--wait", "--name", "alone", "--fast-health", "50"],
    ];
    let up = task.said(&words.concat());

    assert_eq!(up.code, Some(0), "{}", up.err);
    let health = || task.tasks()["alone"]["healthStatus"].clone();
    let pid = || task.tasks()["alone"]["containers"][0]["pid"].clone();
    let before = pid();

    task.0.write("sick", "");
    until(|| health() == "UNHEALTHY");
    std::fs::remove_file(task.0.root().join("sick")).unwrap();
    until(|| health() == "HEALTHY");
    assert_eq!(pid(), before);
    assert_eq!(task.said(&["stop"]).code, Some(0));
}
