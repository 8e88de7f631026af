//! A running `assemble emulate` with one service, and the commands that deploy to it.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{CommandOutput, Project};

/// Responds with its version, and on SIGTERM completes the responses that it has begun. `broken` exits at once.
const SERVER: &str = r#"exec python3 -c '
import http.server as h, os, signal, sys, threading
version = os.environ["VERSION"]
if version == "broken": sys.exit(3)
class A(h.BaseHTTPRequestHandler):
  def do_GET(s):
    s.send_response(200); s.end_headers(); s.wfile.write(version.encode())
  def log_message(s, *a): pass
server = h.ThreadingHTTPServer(("0.0.0.0", 8080), A)
server.daemon_threads = False
signal.signal(15, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.server_close()'"#;
pub(crate) const SERVICE: &str = "default/web";
/// The ARN of the revisions, without a colon and the number.
pub(crate) const REVISION: &str = "arn:aws:ecs:us-east-1:000000000000:task-definition/web";
pub(crate) const GROUP: &str =
    "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/web/6d0ecf831eec9f09";
pub(crate) const DEPLOY: [&str; 6] = [
    "deploy",
    "task.json",
    "--service",
    SERVICE,
    "--timeout",
    "2m",
];
const LIMIT: Duration = Duration::from_mins(2);

/// An emulator with waits that are 60 times shorter.
pub(crate) struct Emulator {
    pub(crate) project: Project,
    process: Child,
    pub(crate) endpoint: String,
    keys: [String; 2],
}

impl Emulator {
    pub(crate) fn start() -> Self {
        let project = Project::new();
        let process = Command::new(env!("CARGO_BIN_EXE_assemble"))
            .args(["emulate", "--port", "0", "--program", "web=/bin/sh"])
            .args(["--time-scale", "60"])
            .current_dir(project.root())
            .env("NO_COLOR", "1")
            .env_remove("CARGO_TARGET_DIR")
            .stdin(Stdio::null())
            .stderr(File::create(project.root().join("err")).unwrap())
            .spawn()
            .unwrap();

        // From here on `drop` ends it, also if it does not come up.
        let mut emulator = Self {
            project,
            process,
            endpoint: String::new(),
            keys: Default::default(),
        };

        wait_until("the endpoint", || {
            let err = emulator.project.read("err");
            let line = err.split_once("ECS on ").map(|(_, rest)| rest);
            let endpoint = line.and_then(|rest| rest.split_once("; "));
            emulator.endpoint = endpoint.map_or_else(String::new, |(url, _)| url.to_owned());
            !emulator.endpoint.is_empty()
        });

        let credentials = emulator.project.read(".assemble/emulator/credentials");
        emulator.keys = ["aws_access_key_id", "aws_secret_access_key"].map(|name| {
            let mut lines = credentials.lines();
            let value = lines.find_map(|line| line.trim().strip_prefix(name));
            value.unwrap().trim_start_matches([' ', '=']).to_owned()
        });
        emulator
    }

    /// Calls an operation of ECS that `assemble` has no verb for. curl signs it.
    pub(crate) fn call(&self, operation: &str, body: &Value) -> Value {
        let target = format!("X-Amz-Target: AmazonEC2ContainerServiceV20141113.{operation}");
        let output = Command::new("curl")
            .args(["-sS", "-m", "20", "--aws-sigv4", "aws:amz:us-east-1:ecs"])
            .args(["--user", &self.keys.join(":"), "-H", &target])
            .args(["-H", "Content-Type: application/x-amz-json-1.1"])
            .args(["--data-binary", &body.to_string(), &self.endpoint])
            .output()
            .unwrap();

        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        assert!(
            answer.is_object() && answer.get("__type").is_none(),
            "{operation}: {answer} {output:?}"
        );
        answer
    }

    /// Creates the service with two tasks of version `one`. Returns the URL of its listener, or `None` without network
    /// namespaces.
    pub(crate) fn create(&self, configuration: &Value, balancer: Value) -> Option<String> {
        self.call("RegisterTaskDefinition", &definition("one"));

        let mut first =
            json!({ "targetGroupArn": GROUP, "containerName": "web", "containerPort": 8080 });
        if let Some(advanced) = balancer.as_object() {
            first["advancedConfiguration"] = json!(advanced);
        }

        self.call("CreateService", &json!({
            "serviceName": "web", "taskDefinition": "web:1", "desiredCount": 2, "launchType": "FARGATE",
            "loadBalancers": [first], "deploymentConfiguration": configuration,
            "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
        }));

        let mut is_isolated = true;
        wait_until("the first deployment", || {
            is_isolated = !self
                .project
                .read("err")
                .contains("shares the host's network");
            !is_isolated || self.status().contains("deployment   COMPLETED")
        });
        is_isolated.then(|| self.listener())
    }

    /// Returns the URL of the listener.
    fn listener(&self) -> String {
        let listeners = self.project.read(".assemble/emulator/listeners.json");
        let listeners: Value = serde_json::from_str(&listeners).unwrap();
        let mut all = listeners.as_array().unwrap().iter();
        let listener = all.find(|listener| listener["name"] == "web").unwrap();
        format!("http://{}/", listener["address"].as_str().unwrap())
    }

    /// Returns the command; its calls go to an endpoint.
    pub(crate) fn command(&self, endpoint: &str, arguments: &[&str]) -> Command {
        let [key, secret] = &self.keys;
        let mut command = Command::new(env!("CARGO_BIN_EXE_assemble"));
        command
            .args(arguments)
            .current_dir(self.project.root())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.project.root())
            .env("NO_COLOR", "1")
            .env("AWS_ENDPOINT_URL", endpoint)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", key)
            .env("AWS_SECRET_ACCESS_KEY", secret)
            .env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    pub(crate) fn assemble(&self, arguments: &[&str]) -> CommandOutput {
        output(self.command(&self.endpoint, arguments))
    }

    pub(crate) fn deploy(&self, version: &str) -> CommandOutput {
        self.write(version);
        self.assemble(&DEPLOY)
    }

    /// Writes the task definition that `DEPLOY` deploys.
    fn write(&self, version: &str) {
        self.project
            .write("task.json", definition(version).to_string());
    }

    pub(crate) fn status(&self) -> String {
        let status = self.assemble(&["status", SERVICE]);
        assert_eq!(status.code, Some(0), "{status:?}");
        status.out
    }

    /// Deploys a version until its hook waits. The deploy goes on in the background.
    pub(crate) fn deploy_until_it_waits(&self, version: &str) -> Child {
        self.write(version);
        let err = File::create(self.project.root().join("deploy")).unwrap();
        let mut command = self.command(&self.endpoint, &DEPLOY);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(err);
        let mut deploy = command.spawn().unwrap();

        wait_until("the hook", || {
            assert!(
                deploy.try_wait().unwrap().is_none(),
                "{}",
                self.project.read("deploy")
            );
            self.project.read("deploy").contains("waits for an answer")
        });
        deploy
    }
}

impl Drop for Emulator {
    /// Stops it even if the test failed; its tasks end with it.
    fn drop(&mut self) {
        let id = self.process.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let _ = self.process.wait();
    }
}

fn definition(version: &str) -> Value {
    let container = json!({
        "name": "web", "image": "sh", "entryPoint": ["/bin/sh"], "command": ["-c", SERVER], "stopTimeout": 10,
        "environment": [{ "name": "VERSION", "value": version }], "portMappings": [{ "containerPort": 8080 }],
    });
    json!({
        "family": "web", "networkMode": "awsvpc", "cpu": "256", "memory": "512",
        "requiresCompatibilities": ["FARGATE"], "containerDefinitions": [container],
    })
}

pub(crate) fn output(mut command: Command) -> CommandOutput {
    let output = command.output().unwrap();
    CommandOutput {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Waits for a condition, and fails after a limit.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < end, "timed out: {what}");
        sleep(Duration::from_millis(50));
    }
}

/// A proxy on this host that counts the calls to an endpoint.
pub(crate) struct Counter {
    pub(crate) url: String,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Counter {
    /// Starts the proxy. Its threads end with the process.
    pub(crate) fn start(endpoint: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let address = endpoint
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned();
        let sent: Arc<Mutex<Vec<u8>>> = Arc::default();
        let all = Arc::clone(&sent);

        spawn(move || {
            for client in listener.incoming() {
                let (mut client, mut server) =
                    (client.unwrap(), TcpStream::connect(&address).unwrap());
                let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                spawn(move || std::io::copy(&mut from, &mut to));

                let all = Arc::clone(&all);
                spawn(move || {
                    let mut buffer = [0; 16 << 10];
                    while let Ok(length @ 1..) = client.read(&mut buffer) {
                        all.lock().unwrap().extend_from_slice(&buffer[..length]);
                        server.write_all(&buffer[..length]).unwrap();
                    }
                    server.shutdown(Shutdown::Write)
                });
            }
        });
        Self { url, sent }
    }

    pub(crate) fn calls(&self) -> usize {
        let sent = self.sent.lock().unwrap();
        String::from_utf8_lossy(&sent)
            .matches("POST / HTTP/1.1")
            .count()
    }
}
