//! Registries on loopback: Debian's `docker-registry`, a fake API of Amazon ECR, and a proxy.

#![allow(clippy::unwrap_used, reason = "a failing helper fails the test")]
#![allow(dead_code, reason = "each test binary uses only some of it")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use registry::layout::{Compression, Image, ImageConfig, LayerBuilder, Owner};
use serde_json::Value;
use tempfile::TempDir;

use super::support::{CommandOutput, Project};

const PROGRAM: &str = "/usr/bin/docker-registry";

/// A running registry with empty storage, ended on drop.
pub(crate) struct Debian {
    process: Child,
    pub(crate) address: String,
    /// Its log, which has a line for each request.
    pub(crate) log: Arc<Mutex<Vec<String>>>,
    _folder: TempDir,
}

impl Debian {
    /// Starts the registry; returns `None` if it is not installed.
    pub(crate) fn start(test: &str) -> Option<Self> {
        Self::start_with(test, "")
    }

    /// Starts a registry that refuses to delete, which is the default of docker-registry.
    pub(crate) fn start_read_only(test: &str) -> Option<Self> {
        Self::start_configured(test, "", "false")
    }

    /// Starts the registry with more lines in the section `http` of its configuration and after it.
    pub(crate) fn start_with(test: &str, more: &str) -> Option<Self> {
        Self::start_configured(test, more, "true")
    }

    fn start_configured(test: &str, more: &str, deletion: &str) -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            // Not `eprintln!`: libtest hides the captured output of passing tests.
            let _ = writeln!(
                std::io::stderr(),
                "skipped: {test} needs docker-registry (tests/setup test)"
            );
            return None;
        }

        let folder = TempDir::new().unwrap();
        let config = folder.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{ level: info, formatter: text }}\nstorage:\n  filesystem: {{ rootdirectory: '{}' }}\n  \
             delete: {{ enabled: {deletion} }}\nhttp:\n  addr: '127.0.0.1:0'\n{more}",
            folder.path().join("store").display()
        );
        fs::write(&config, text).unwrap();
        let mut process = Command::new(PROGRAM)
            .args([Path::new("serve"), &config])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();

        // Port 0 selects a free port, which only the log shows.
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let at = line.split_once("listening on ")?.1;
            let end = at.find(|c: char| !c.is_ascii_digit() && !".:".contains(c));
            Some(at[..end.unwrap_or(at.len())].to_owned())
        });
        // Drains stderr, so that the registry never blocks on a full pipe.
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let written = log.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                written.lock().unwrap().push(line);
            }
        });

        Some(Self {
            process,
            address: address.unwrap(),
            log,
            _folder: folder,
        })
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Writes a layout with an image for linux/amd64, and returns its digest.
pub(crate) fn write_layout(folder: &Path, content: &str) -> String {
    write_platforms(folder, content, &["amd64"])
}

/// Writes a layout with an image for each architecture, and returns the digest of the manifest or index.
pub(crate) fn write_platforms(folder: &Path, content: &str, architectures: &[&str]) -> String {
    let image = |architecture: &&str| {
        let mut layer = LayerBuilder::new(0);
        let bytes = format!("{content} {architecture}").into_bytes();
        layer.file("/web", bytes, 0o755, Owner::ROOT).unwrap();
        let config = ImageConfig {
            architecture: (*architecture).to_owned(),
            os: "linux".to_owned(),
            ..ImageConfig::default()
        };
        let layer = layer.finish(Compression::Gzip).unwrap();
        Image::new(config, vec![layer], BTreeMap::new())
    };

    let images: Vec<Image> = architectures.iter().map(image).collect();
    registry::layout::write(folder, "1", &images)
        .unwrap()
        .digest
}

/// A server for one JSON 1.1 API, such as that of Amazon ECR, that records its requests.
pub(crate) struct FakeApi {
    pub(crate) url: String,
    pub(crate) requests: Arc<Mutex<Vec<(String, Value)>>>,
}

impl FakeApi {
    /// Starts the server; `respond` gets the operation and its input. The thread ends with the process.
    pub(crate) fn start(respond: impl Fn(&str, &Value) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let recorded = requests.clone();

        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let Some((headers, body)) = read_request(&mut stream) else {
                    continue;
                };
                let target = header(&headers, "x-amz-target").unwrap_or_default();
                let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
                // An unsigned request is refused, as AWS does.
                let authorization = header(&headers, "authorization").unwrap_or_default();
                let input: Value = serde_json::from_slice(&body).unwrap_or_default();
                let (status, text) = if authorization.starts_with("AWS4-HMAC-SHA256 Credential=") {
                    respond(&operation, &input)
                } else {
                    (
                        403,
                        r#"{"__type":"MissingAuthenticationTokenException"}"#.to_owned(),
                    )
                };

                recorded.lock().unwrap().push((operation, input));
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.1\r\n\
                     content-length: {}\r\nconnection: close\r\n\r\n{text}",
                    text.len()
                );
            }
        });

        Self { url, requests }
    }

    /// Returns the inputs of an operation.
    pub(crate) fn inputs(&self, operation: &str) -> Vec<Value> {
        let requests = self.requests.lock().unwrap();
        let matching = requests.iter().filter(|(name, _)| name == operation);
        matching.map(|(_, input)| input.clone()).collect()
    }
}

/// A proxy that opens tunnels to one address whatever host is asked for, and records the requests.
pub(crate) struct ConnectProxy {
    pub(crate) address: String,
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
}

impl ConnectProxy {
    pub(crate) fn start(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let recorded = requests.clone();

        std::thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                let Some((headers, _)) = read_request(&mut client) else {
                    continue;
                };
                recorded.lock().unwrap().push(headers.join("\n"));
                let server = TcpStream::connect(&target).unwrap();
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                for (mut from, mut to) in [
                    (client.try_clone().unwrap(), server.try_clone().unwrap()),
                    (server, client),
                ] {
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(std::net::Shutdown::Both);
                    });
                }
            }
        });

        Self { address, requests }
    }
}

/// Reads one request: its lines, and the body that `Content-Length` announces.
fn read_request(stream: &mut TcpStream) -> Option<(Vec<String>, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader
            .read_line(&mut line)
            .ok()
            .filter(|count| *count > 0)?;
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }

    let length = header(&lines, "content-length").and_then(|text| text.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some((lines, body))
}

fn header(lines: &[String], name: &str) -> Option<String> {
    let pairs = lines.iter().filter_map(|line| line.split_once(": "));
    let mut found = pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name));
    found.next().map(|(_, value)| value.to_owned())
}

/// Creates a project for this registry, with a built image of `web`.
pub(crate) fn project(registry: &str) -> Project {
    let project = Project::new();
    let values = format!("account: '111122223333'\nregion: eu-central-1\nregistry: '{registry}'\n");
    project.write("assemblies/values/example.yaml", values);
    write_layout(&project.root().join(".assemble/images/web"), "first");
    project
}

/// Runs the command without docker's credentials of the user; `variables` come on top.
pub(crate) fn assemble(
    project: &Project,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> CommandOutput {
    let output = Command::new(env!("CARGO_BIN_EXE_assemble"))
        .args(arguments)
        .current_dir(project.root())
        .env("NO_COLOR", "1")
        .env("DOCKER_CONFIG", project.root())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        // A workspace of a test is built in its own `target`.
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("HTTPS_PROXY")
        .env_remove("https_proxy")
        .envs(variables.iter().copied())
        .output()
        .unwrap();

    CommandOutput {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
