//! Services on `assemble emulate`: their tasks run, and deployments move requests from one revision to the next.
#![cfg(feature = "up")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed step fails the test"
)]

use std::collections::BTreeMap;
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

mod support;
use support::Project;

/// Answers with its version; drains on SIGTERM: it answers what it has accepted, and exits.
const SERVER: &str = r#"exec python3 -c '
import http.server as h, os, signal, sys, threading
version = os.environ["VERSION"]
if version == "broken": sys.exit(1)
class A(h.BaseHTTPRequestHandler):
  def do_GET(s):
    s.send_response(200); s.end_headers(); s.wfile.write(version.encode())
  def log_message(s, *a): pass
server = h.ThreadingHTTPServer(("0.0.0.0", 8080), A)
server.daemon_threads = False
signal.signal(15, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.server_close()'"#;
const GROUP: &str =
    "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/web/6d0ecf831eec9f09";
const RULE: &str = "arn:aws:elasticloadbalancing:us-east-1:000000000000:listener-rule/app/web/1/2";
const LIMIT: Duration = Duration::from_mins(2);

/// A running emulator.
struct Emulator {
    project: Project,
    process: Child,
    endpoint: String,
    key: String,
}

impl Emulator {
    /// Starts an emulator whose waits are 60 times shorter.
    fn start() -> Self {
        let project = Project::new();
        let mut command = Command::new(env!("CARGO_BIN_EXE_assemble"));
        command
            .args([
                "emulate",
                "--port",
                "0",
                "--program",
                "web=/bin/sh",
                "--time-scale",
                "60",
            ])
            .current_dir(project.root())
            .env("NO_COLOR", "1")
            .env_remove("CARGO_TARGET_DIR")
            .stdin(Stdio::null())
            .stderr(File::create(project.root().join("err")).unwrap());
        let process = command.spawn().unwrap();

        let mut endpoint = None;
        wait_until("the endpoint", || {
            let err = project.read("err");
            endpoint = err.split_once("ECS on ").and_then(|(_, rest)| {
                rest.split_once("; ")
                    .map(|(endpoint, _)| endpoint.to_owned())
            });
            endpoint.is_some()
        });

        let credentials = project.read(".assemble/emulator/credentials");
        let value = |name: &str| {
            let mut lines = credentials.lines();
            let line = lines.find_map(|line| line.trim().strip_prefix(name));
            line.unwrap().trim_start_matches([' ', '=']).to_owned()
        };

        let key = format!(
            "{}:{}",
            value("aws_access_key_id"),
            value("aws_secret_access_key")
        );

        Self {
            project,
            process,
            endpoint: endpoint.unwrap(),
            key,
        }
    }

    /// Calls an operation of ECS. curl signs it.
    fn call(&self, operation: &str, body: Value) -> Value {
        let target = format!("X-Amz-Target: AmazonEC2ContainerServiceV20141113.{operation}");
        let output = Command::new("curl")
            .args(["-sS", "-m", "20", "--aws-sigv4", "aws:amz:us-east-1:ecs"])
            .args(["--user", &self.key, "-H", &target])
            .args(["-H", "Content-Type: application/x-amz-json-1.1"])
            .args(["--data-binary", &body.to_string(), &self.endpoint])
            .output()
            .unwrap();
        let answer = String::from_utf8_lossy(&output.stdout);
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        assert!(
            answer.is_object() && answer.get("__type").is_none(),
            "{operation}: {answer} {output:?}"
        );

        answer
    }

    /// Registers a revision of the task definition.
    fn register(&self, version: &str) -> Value {
        let container = json!({
            "name": "web", "image": "sh", "entryPoint": ["/bin/sh"], "command": ["-c", SERVER], "stopTimeout": 10,
            "environment": [{ "name": "VERSION", "value": version }],
            "portMappings": [{ "containerPort": 8080 }],
        });
        let definition = json!({
            "family": "web", "networkMode": "awsvpc", "cpu": "256", "memory": "512",
            "requiresCompatibilities": ["FARGATE"], "containerDefinitions": [container],
        });
        self.call("RegisterTaskDefinition", definition)["taskDefinition"]["taskDefinitionArn"]
            .take()
    }

    /// Creates a service with two tasks of version `one` and waits for them. `None` without network namespaces.
    fn create(&self, configuration: Value, advanced: Value) -> Option<String> {
        let mut balancer =
            json!({ "targetGroupArn": GROUP, "containerName": "web", "containerPort": 8080 });
        if advanced.is_object() {
            balancer["advancedConfiguration"] = advanced;
        }

        self.call("CreateService", json!({
            "serviceName": "web", "taskDefinition": self.register("one"), "desiredCount": 2,
            "launchType": "FARGATE", "loadBalancers": [balancer], "deploymentConfiguration": configuration,
            "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
        }));

        let mut is_isolated = true;
        wait_until("the first deployment", || {
            is_isolated = !self
                .project
                .read("err")
                .contains("shares the host's network");
            self.status() == "SUCCESSFUL" || !is_isolated
        });

        is_isolated.then(|| self.listener("web"))
    }

    fn deploy(&self, version: &str) {
        let definition = self.register(version);
        self.call(
            "UpdateService",
            json!({ "service": "web", "taskDefinition": definition }),
        );
    }

    /// Returns the URL of a listener.
    fn listener(&self, name: &str) -> String {
        let listeners = self.project.read(".assemble/emulator/listeners.json");
        let listeners: Value = serde_json::from_str(&listeners).unwrap();
        let mut all = listeners.as_array().unwrap().iter();
        let listener = all.find(|listener| listener["name"] == name).unwrap();
        format!("http://{}/", listener["address"].as_str().unwrap())
    }

    fn deployment(&self) -> Value {
        let list = self.call("ListServiceDeployments", json!({ "service": "web" }));
        let arn = &list["serviceDeployments"][0]["serviceDeploymentArn"];
        let arns = json!({ "serviceDeploymentArns": [arn] });
        self.call("DescribeServiceDeployments", arns)["serviceDeployments"][0].take()
    }

    fn status(&self) -> String {
        self.deployment()["status"].as_str().unwrap().to_owned()
    }

    fn production_weight(&self) -> Option<f64> {
        self.deployment()["targetServiceRevision"]["requestedProductionTrafficWeight"].as_f64()
    }
}

impl Drop for Emulator {
    /// Stops it even if the test failed; its tasks end with it.
    fn drop(&mut self) {
        let _ = Command::new("kill")
            .args(["-TERM", &self.process.id().to_string()])
            .status();
        let _ = self.process.wait();
    }
}

/// Sends requests one after the other, each on its own connection. Counts the answers.
fn request(url: &str, count: usize) -> BTreeMap<String, usize> {
    let mut answers = BTreeMap::new();
    for _ in 0..count {
        let output = Command::new("curl")
            .args(["-sS", "-m", "10", url])
            .output()
            .unwrap();
        let answer = if output.status.success() {
            output.stdout
        } else {
            output.stderr
        };
        *answers
            .entry(String::from_utf8_lossy(&answer).into_owned())
            .or_default() += 1;
    }

    answers
}

fn answers<const N: usize>(expected: [(&str, usize); N]) -> BTreeMap<String, usize> {
    expected
        .map(|(answer, count)| (answer.to_owned(), count))
        .into()
}

/// Waits for a condition, and fails after a limit.
fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < end, "timed out: {what}");
        sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_rolling_deployment_under_load_loses_no_request_and_a_broken_one_is_rolled_back() {
    let emulator = Emulator::start();
    let breaker = json!({ "deploymentCircuitBreaker": { "enable": true, "rollback": true } });
    let Some(url) = emulator.create(breaker, Value::Null) else {
        return eprintln!("skipped: this test needs network namespaces");
    };

    let is_over = AtomicBool::new(false);
    let counted = scope(|scope| {
        let load = || {
            let mut all = BTreeMap::new();
            while !is_over.load(Ordering::Relaxed) {
                for (answer, count) in request(&url, 1) {
                    *all.entry(answer).or_insert(0) += count;
                }
            }
            all
        };
        let load = scope.spawn(load);
        emulator.deploy("two");
        wait_until("the second deployment", || {
            emulator.status() == "SUCCESSFUL"
        });
        is_over.store(true, Ordering::Relaxed);
        load.join().unwrap()
    });

    assert!(
        counted
            .keys()
            .all(|answer| answer == "one" || answer == "two"),
        "{counted:?}"
    );

    assert!(
        counted.contains_key("one"),
        "the load began before the deployment ended: {counted:?}"
    );

    emulator.deploy("broken");
    wait_until("the rollback", || {
        emulator.status() == "ROLLBACK_SUCCESSFUL"
    });

    let deployment = emulator.deployment();
    assert_eq!(
        deployment["deploymentCircuitBreaker"]["status"], "TRIGGERED",
        "{deployment}"
    );

    assert_eq!(deployment["deploymentCircuitBreaker"]["failureCount"], 3);
    assert_eq!(request(&url, 4), answers([("two", 4)]));

    let events = emulator.project.read(".assemble/emulator/events.jsonl");

    for name in ["IN_PROGRESS", "COMPLETED", "FAILED"] {
        assert!(
            events.contains(&format!("SERVICE_DEPLOYMENT_{name}")),
            "{name}"
        );
    }
}

#[test]
fn a_canary_gets_its_share_of_the_requests_and_gives_it_back() {
    let emulator = Emulator::start();
    let configuration = json!({
        "strategy": "CANARY", "bakeTimeInMinutes": 0,
        // 20 minutes are 20 seconds here: the test stops the deployment meanwhile.
        "canaryConfiguration": { "canaryPercent": 25.0, "canaryBakeTimeInMinutes": 20 },
    });

    let advanced = json!({
        "alternateTargetGroupArn": format!("{GROUP}b"), "roleArn": "arn:aws:iam::000000000000:role/ecs",
        "productionListenerRule": format!("{RULE}/3"), "testListenerRule": format!("{RULE}/4"),
    });

    let Some(url) = emulator.create(configuration, advanced) else {
        return eprintln!("skipped: this test needs network namespaces");
    };

    emulator.deploy("two");
    wait_until("the canary", || emulator.production_weight() == Some(25.0));
    let arn = emulator.deployment()["serviceDeploymentArn"].clone();
    assert_eq!(request(&url, 20), answers([("one", 15), ("two", 5)]));
    assert_eq!(
        request(&emulator.listener("web:test"), 3),
        answers([("two", 3)])
    );

    emulator.call(
        "StopServiceDeployment",
        json!({ "serviceDeploymentArn": arn }),
    );

    assert_eq!(request(&url, 4), answers([("one", 4)]));
    wait_until("the rollback", || {
        emulator.status() == "ROLLBACK_SUCCESSFUL"
    });
}
