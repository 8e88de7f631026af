//! Support for the tests: a moto server, and a fake ECS with scripted responses.

#![allow(dead_code, reason = "each test file uses a part of this module")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing helper fails the test"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use diagnostics::source::Source;
use serde_json::Value;
use task_definition::TaskDefinition;

/// Returns a definition with many fields.
pub(crate) fn definition() -> TaskDefinition {
    let text = r#"{
      "family": "web", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc",
      "cpu": "512", "memory": "1024",
      "executionRoleArn": "arn:aws:iam::111122223333:role/execution",
      "taskRoleArn": "arn:aws:iam::111122223333:role/task",
      "runtimePlatform": { "cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX" },
      "ephemeralStorage": { "sizeInGiB": 30 },
      "volumes": [{ "name": "scratch" }],
      "tags": [{ "key": "team", "value": "payments" }],
      "containerDefinitions": [
        {
          "name": "proxy", "image": "proxy:1", "cpu": 64, "memory": 128,
          "portMappings": [{ "containerPort": 8443, "name": "https" }],
          "secrets": [{ "name": "CERTIFICATE",
            "valueFrom": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:tls-a1B2c3" }],
          "dependsOn": [{ "containerName": "app", "condition": "START" }],
          "readonlyRootFilesystem": true, "user": "65532", "stopTimeout": 30,
          "healthCheck": { "command": ["CMD", "/proxy", "probe"], "interval": 5, "timeout": 2 }
        },
        {
          "name": "app", "image": "app:1", "cpu": 384, "memory": 512, "memoryReservation": 256,
          "environment": [{ "name": "B", "value": "2" }, { "name": "A", "value": "1" }],
          "mountPoints": [{ "sourceVolume": "scratch", "containerPath": "/tmp" }],
          "linuxParameters": { "initProcessEnabled": false, "tmpfs": [{ "containerPath": "/run", "size": 16 }] },
          "logConfiguration": { "logDriver": "awslogs", "options": {
            "awslogs-group": "/ecs/web", "awslogs-region": "eu-central-1", "awslogs-stream-prefix": "app" } }
        },
        {
          "name": "telemetry", "image": "telemetry:1", "essential": false, "memory": 64,
          "restartPolicy": { "enabled": true, "restartAttemptPeriod": 60 }, "versionConsistency": "enabled"
        }
      ]
    }"#;

    let located = task_definition::read(&Source::new("web.json", text)).unwrap();
    // A definition with findings would test ECS's validation instead of this crate.
    let findings = ecs_rules::check(&located);
    assert!(findings.is_empty(), "{findings:?}");
    located.definition
}

/// A moto server on a free port, which ends with the test.
pub(crate) struct Moto {
    process: Child,
    pub(crate) url: String,
}

impl Moto {
    /// Starts the server; returns `None` if the workspace has no `.venv` with moto.
    pub(crate) fn start(test: &str) -> Option<Self> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/moto_server");
        if !program.exists() {
            // Not `eprintln!`: libtest hides the captured output of passing tests.
            let _ = writeln!(
                std::io::stderr(),
                "skipped: {test} needs .venv with moto[server]"
            );
            return None;
        }

        // moto needs a port number. Another process could take it meanwhile; then moto ends, which the
        // loop below notices.
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut process = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();

        let url = format!("http://127.0.0.1:{port}");
        let end = Instant::now() + Duration::from_mins(2);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(process.try_wait().unwrap().is_none(), "moto ended at once");
            assert!(Instant::now() < end, "moto does not respond");
            std::thread::yield_now();
        }

        Some(Self { process, url })
    }

    /// Sends an unsigned call, for APIs other than ECS.
    pub(crate) fn call(&self, service: &str, target: &str, content: &str, body: &str) -> String {
        let address = self.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).unwrap();
        // moto selects the service by host and signature scope, and does not verify the signature.
        let credential = format!("Credential=x/20260101/eu-central-1/{service}/aws4_request");
        write!(
            stream,
            "POST / HTTP/1.1\r\nhost: {service}.eu-central-1.amazonaws.com\r\n\
             authorization: AWS4-HMAC-SHA256 {credential}\r\nx-amz-target: {target}\r\n\
             content-type: {content}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();

        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response.split_once("\r\n\r\n").unwrap().1.to_owned()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A response of the fake ECS: a status and a body.
pub(crate) type Response = (u16, String);

/// The status for which the connection is closed without a response.
pub(crate) const CUT: u16 = 0;

/// Returns the response of STS to GetCallerIdentity.
pub(crate) fn identity(account: &str) -> Response {
    let text = format!(
        "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::{account}:user/me</Arn>\
         <UserId>me</UserId><Account>{account}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
    );
    (200, text)
}

/// A recorded request: the operation, its body, and the `authorization` header.
pub(crate) type Recorded = (String, Value, String);

/// A fake ECS, which records requests and responds as the test specifies.
pub(crate) struct FakeEcs {
    pub(crate) url: String,
    pub(crate) requests: Arc<Mutex<Vec<Recorded>>>,
}

impl FakeEcs {
    /// Starts a server; `respond` gets the operation, its body, and the number of earlier calls of the operation. The
    /// thread ends with the process.
    pub(crate) fn start(
        respond: impl Fn(&str, &Value, usize) -> Response + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<Recorded>>> = Arc::default();
        let recorded = Arc::clone(&requests);

        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some((operation, body, authorization)) = request(&stream) else {
                    continue;
                };
                let before = recorded
                    .lock()
                    .unwrap()
                    .iter()
                    .filter(|(name, ..)| *name == operation)
                    .count();

                let (status, text) = respond(&operation, &body, before);
                recorded
                    .lock()
                    .unwrap()
                    .push((operation, body, authorization));
                // A cut connection.
                if status == CUT {
                    continue;
                }
                // HTML simulates the error page of a proxy.
                let kind = if text.starts_with('<') {
                    "text/html"
                } else {
                    "application/x-amz-json-1.1"
                };

                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\
                     connection: close\r\n\r\n{text}",
                    text.len()
                );
            }
        });

        Self { url, requests }
    }

    /// Returns the number of calls of an operation.
    pub(crate) fn count(&self, operation: &str) -> usize {
        self.requests
            .lock()
            .unwrap()
            .iter()
            .filter(|(name, ..)| name == operation)
            .count()
    }

    /// Returns the body of the first call of an operation.
    pub(crate) fn body(&self, operation: &str) -> Value {
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .find(|(name, ..)| name == operation)
            .unwrap()
            .1
            .clone()
    }

    /// Returns a field of all calls of an operation.
    pub(crate) fn values(&self, operation: &str, field: &str) -> Vec<Value> {
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .filter(|(name, ..)| name == operation)
            .map(|(_, body, _)| body[field].clone())
            .collect()
    }

    /// Returns the `authorization` header of the first call of an operation.
    pub(crate) fn authorization(&self, operation: &str) -> String {
        let requests = self.requests.lock().unwrap();
        let found = requests.iter().find(|(name, ..)| name == operation);
        found.unwrap().2.clone()
    }
}

fn request(stream: &TcpStream) -> Option<Recorded> {
    let mut reader = BufReader::new(stream);
    let (mut operation, mut authorization, mut length) = (String::new(), String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }

        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line.trim_end().is_empty() {
                break;
            }
            continue;
        };

        match name.to_lowercase().as_str() {
            "x-amz-target" => value.rsplit('.').next()?.clone_into(&mut operation),
            "authorization" => value.clone_into(&mut authorization),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }

    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    // STS takes forms instead of JSON.
    if let Some(form) = std::str::from_utf8(&body)
        .ok()
        .filter(|_| operation.is_empty())
    {
        let action = form
            .split('&')
            .find_map(|pair| pair.strip_prefix("Action="));
        action.unwrap_or_default().clone_into(&mut operation);
    }
    let body = serde_json::from_slice(&body).unwrap_or_else(|_| form(&body));
    Some((operation, body, authorization))
}

/// Returns a form of the query protocol as the request that it was made of.
fn form(body: &[u8]) -> Value {
    let mut request = Value::Null;
    for pair in String::from_utf8_lossy(body).split('&') {
        let Some((name, value)) = pair.split_once('=') else {
            continue;
        };
        let mut place = &mut request;
        for part in name.split('.').filter(|part| *part != "member") {
            place = match part.parse::<usize>() {
                Ok(number) => {
                    if place.is_null() {
                        *place = Value::Array(Vec::new());
                    }
                    let items = place.as_array_mut().unwrap();
                    items.resize(items.len().max(number), Value::Null);
                    &mut items[number - 1]
                }
                Err(_) => &mut place[part],
            };
        }
        *place = decode(value).into();
    }
    request
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        rest = others;
        let escaped = (*first == b'%').then(|| others.get(..2)).flatten();
        let Some(digits) = escaped else {
            bytes.push(*first);
            continue;
        };
        let digits = std::str::from_utf8(digits).unwrap();
        bytes.push(u8::from_str_radix(digits, 16).unwrap());
        rest = &others[2..];
    }
    String::from_utf8(bytes).unwrap()
}
