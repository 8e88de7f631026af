//! A temporary project for each test, and the command run in it.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]
#![allow(dead_code, reason = "each test binary uses only some of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A project directory, removed on drop if it is temporary.
pub(crate) struct Project(PathBuf, Option<TempDir>);

impl Project {
    /// Creates a project with one component, values and one valid assembly.
    pub(crate) fn new() -> Self {
        let project = Self::empty();
        project.write("apps/web/component.yaml", WEB);
        project.write("assemblies/values/example.yaml", VALUES);
        project.write("assemblies/shop.yaml", SHOP);
        project
    }

    /// Creates an empty directory, which is not a project.
    pub(crate) fn empty() -> Self {
        let folder = TempDir::new().expect("a folder");
        Self(folder.path().to_owned(), Some(folder))
    }

    /// Uses this directory, emptied first and kept afterwards.
    pub(crate) fn at(folder: PathBuf) -> Self {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        Self(folder, None)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, path: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, text).expect("a file");
        path
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).expect("a file")
    }

    pub(crate) fn assemble(&self, arguments: &[&str]) -> CommandOutput {
        assemble(self.root(), arguments)
    }
}

/// The output and exit code of the command.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl CommandOutput {
    /// Parses stdout as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).expect("JSON on stdout")
    }
}

pub(crate) fn assemble(folder: &Path, arguments: &[&str]) -> CommandOutput {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_assemble"))
        .args(arguments)
        .current_dir(folder)
        // Colour depends on the terminal; the tests compare plain text.
        .env("NO_COLOR", "1")
        // Programs of a project are found in its own `target`.
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .expect("the command runs");

    CommandOutput {
        code: status.code(),
        out: String::from_utf8_lossy(&stdout).into_owned(),
        err: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// Creates a project with `task.json` and containers that each run a line of shell.
pub(crate) fn shells(containers: &[(&str, &str, Value)]) -> Project {
    let project = Project::new();
    let container = |(name, line, more): &(&str, &str, Value)| {
        let mut container = json!({ "name": name, "image": "sh", "entryPoint": ["/bin/sh"], "command": ["-c", line] });
        let object = container.as_object_mut().expect("an object");
        object.extend(more.as_object().expect("an object").clone());
        container
    };

    let containers: Vec<Value> = containers.iter().map(container).collect();
    let definition = json!({ "family": "test", "containerDefinitions": containers });
    project.write("task.json", definition.to_string());
    project
}

/// Runs that task, with a shell as the program of `app`.
pub(crate) fn up(project: &Project, more: &[&str]) -> CommandOutput {
    let arguments = ["up", "task.json", "--program", "app=/bin/sh"];
    project.assemble(&[arguments.as_slice(), more].concat())
}

pub(crate) const WEB: &str = r#"schema: 1
name: web
kind: app
summary: Responds
image: ${registry}/web:1
provides: { http: { setting: listen, port: 8080 } }
settings:
  listen: { type: string, default: "127.0.0.1:8080", doc: address to listen on }
  greeting: { type: string, default: hello, doc: text of the response }
health: { command: [probe], interval: 5, timeout: 2, retries: 3 }
size: { cpu: 64, memory: 64, weight: 1 }
"#;

pub(crate) const PROXY: &str = r#"schema: 1
name: tls
kind: proxy
summary: Terminates TLS
image: ${registry}/tls:1
provides: { https: { setting: listen, port: 8443 } }
requires: { upstream: { interface: http, setting: upstream, form: "http://{address}" } }
settings:
  listen: { type: string, default: "127.0.0.1:8443", doc: address to listen on }
  upstream: { type: string, required: true, doc: address of the next hop }
health: { command: [probe], interval: 5, timeout: 2, retries: 3 }
size: { cpu: 64, memory: 64, weight: 1 }
"#;

pub(crate) const VALUES: &str = r#"account: "111122223333"
region: eu-central-1
registry: registry.example
"#;

pub(crate) const SHOP: &str = "name: shop
app: web
service: {}
";

/// A task definition with two errors (T01, T03) and a warning (C04).
pub(crate) const PLAIN: &str = r#"{
  "family": "my web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    { "name": "web", "image": "web:latest", "essential": false }
  ]
}
"#;
