//! `assemble lock` from the command line, against a registry in the test process.

#![cfg(feature = "lock")]
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

type Tags = Arc<Mutex<BTreeMap<String, String>>>;

/// A project with one image, in its own registry.
struct Project {
    folder: TempDir,
    address: SocketAddr,
    tags: Tags,
}

impl Project {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let project = Self {
            // Port 0: tests run in parallel.
            folder: TempDir::new().unwrap(),
            address: listener.local_addr().unwrap(),
            tags: Tags::default(),
        };
        let tags = project.tags.clone();

        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(&stream, &tags);
            }
        });
        project.write("apps/web/component.yaml", WEB);
        project.write(
            "assemblies/shop.yaml",
            "name: shop\napp: web\nservice: {}\n",
        );

        let values = format!(
            "account: '111122223333'\nregion: eu-central-1\nregistry: '{}'\n",
            project.address
        );

        project.write("assemblies/values/example.yaml", &values);
        project
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    /// Pushes an image index for these architectures.
    fn push(&self, tag: &str, note: &str, architectures: &[&str]) {
        let variants: Vec<String> = architectures
            .iter()
            .map(|architecture| {
                format!(r#"{{"platform":{{"os":"linux","architecture":"{architecture}"}}}}"#)
            })
            .collect();
        // `note` only changes the digest.
        let index = format!(
            r#"{{"schemaVersion":2,"note":"{note}","manifests":[{}]}}"#,
            variants.join(",")
        );
        self.tags.lock().unwrap().insert(tag.to_owned(), index);
    }

    fn assemble(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output: Output = Command::new(env!("CARGO_BIN_EXE_assemble"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env("NO_COLOR", "1")
            .env("DOCKER_CONFIG", self.folder.path())
            .env(
                "PATH",
                // The credential helper of one test is in the project's directory.
                format!("{}:/usr/bin:/bin", self.folder.path().display()),
            )
            .output()
            .unwrap();

        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    }
}

/// Answers one request for a manifest, by the last segment of its path.
fn answer(mut stream: &TcpStream, tags: &Tags) {
    // Only as much of HTTP as the client needs: one request per connection.
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let path = first.split(' ').nth(1).unwrap_or_default();
    let tag = path.rsplit('/').next().unwrap_or_default();
    let tags = tags.lock().unwrap();
    let required = tags.get(LOGIN);
    let is_authorized =
        required.is_none_or(|login| headers.iter().any(|header| header.ends_with(login)));
    let (status, body) = match tags.get(tag) {
        _ if !is_authorized => (
            "401 Unauthorized\r\nWWW-Authenticate: Basic realm=r",
            String::new(),
        ),
        Some(index) => ("200 OK", index.clone()),
        None => ("404 Not Found", "{}".to_owned()),
    };

    let length = body.len();
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
}

#[test]
fn renders_locked_digests_and_reports_a_moved_tag() {
    let project = Project::new();
    project.push("1", "first", &["amd64", "arm64"]);
    let (code, output) = project.assemble(&["lock", "--all"]);
    assert_eq!(code, Some(0), "{output}");
    assert!(
        output.contains("added ") && output.contains("commit it"),
        "{output}"
    );

    let first = project.read("assemblies/locks/example.yaml");
    assert!(
        first.contains("platforms: [linux/amd64, linux/arm64]"),
        "{first}"
    );

    let (code, output) = project.assemble(&["render", "shop", "--locked"]);
    assert_eq!(code, Some(0), "{output}");
    let definition = project.read("assemblies/rendered/shop/task-definition.json");
    assert!(definition.contains(&format!("{}/web@sha256:", project.address)));
    assert_eq!(project.assemble(&["lock", "--all", "--check"]).0, Some(0));

    // The tag moves: same name, other content.
    project.push("1", "second", &["amd64"]);
    let (code, output) = project.assemble(&["lock", "--all", "--check"]);
    assert_eq!(code, Some(1), "{output}");
    assert!(
        output.contains("moved ") && output.contains("(was sha256:"),
        "{output}"
    );
    // --check writes nothing.
    assert_eq!(project.read("assemblies/locks/example.yaml"), first);
    assert_eq!(project.assemble(&["lock", "shop"]).0, Some(0));
    assert_ne!(project.read("assemblies/locks/example.yaml"), first);
}

#[test]
fn all_removes_unused_entries_and_one_assembly_keeps_them() {
    let project = Project::new();
    project.push("1", "", &["amd64"]);
    // An entry that no assembly of the project uses.
    let other = format!(
        "lock: 1\nimages:\n  other:1: {{ digest: 'sha256:{}' }}\n",
        "1".repeat(64)
    );

    project.write("assemblies/locks/example.yaml", &other);
    assert_eq!(project.assemble(&["lock", "shop"]).0, Some(0));
    assert!(
        project
            .read("assemblies/locks/example.yaml")
            .contains("\"other:1\"")
    );

    let (_, output) = project.assemble(&["lock", "--all"]);
    assert!(output.contains("removed other:1"), "{output}");
    assert!(
        !project
            .read("assemblies/locks/example.yaml")
            .contains("other:1")
    );
}

/// The key in `tags` of the credentials that the registry requires, if any.
const LOGIN: &str = "Authorization";

#[test]
fn uses_dockers_credential_helper() {
    let project = Project::new();
    project.push("1", "", &["amd64"]);
    // Base64 of `me:hush`.
    let login = "Basic bWU6aHVzaA==".to_owned();
    project.tags.lock().unwrap().insert(LOGIN.to_owned(), login);

    // 3: the registry refused the request.
    let (code, output) = project.assemble(&["lock", "--all"]);
    assert_eq!(code, Some(3), "{output}");
    assert!(
        output.contains(&format!("docker login {}", project.address)),
        "{output}"
    );

    let config = format!(r#"{{"credHelpers":{{"{}":"here"}}}}"#, project.address);
    project.write("config.json", &config);
    // Docker's helper protocol: host name on stdin, credentials as JSON on stdout.
    let helper = "#!/bin/sh\nread -r host || true\n[ -n \"$host\" ] && echo '{\"Username\":\"me\",\"Secret\":\"hush\"}'\n";
    project.write("docker-credential-here", helper);

    let file = project.path("docker-credential-here");
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    let (code, output) = project.assemble(&["lock", "--all"]);
    assert_eq!(code, Some(0), "{output}");
    // The secret must not appear in any output.
    assert!(!output.contains("hush"), "{output}");
}

#[test]
fn a_read_only_lock_file_is_left_as_it_is() {
    let project = Project::new();
    project.push("1", "", &["amd64"]);
    let (code, output) = project.assemble(&["lock", "--all"]);
    assert_eq!(code, Some(0), "{output}");
    let locked = project.read("assemblies/locks/example.yaml");
    let file = project.path("assemblies/locks/example.yaml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();

    project.push("1", "moved", &["amd64"]);
    let (code, output) = project.assemble(&["lock", "--all"]);
    assert_eq!(code, Some(2), "{output}");
    assert!(
        output.contains("example.yaml") && output.contains("read-only"),
        "{output}"
    );
    assert_eq!(project.read("assemblies/locks/example.yaml"), locked);
}

#[test]
fn writes_nothing_if_an_image_cannot_be_resolved() {
    let project = Project::new();
    let (code, output) = project.assemble(&["lock", "--all"]);
    assert_eq!(code, Some(3), "{output}");
    assert!(
        output.contains("has no such image; check the tag"),
        "{output}"
    );
    project.push("1", "", &["arm64"]);

    // The task runs on x86-64, but the image is for ARM only.
    let (code, output) = project.assemble(&["lock", "--all"]);
    assert_eq!(code, Some(3), "{output}");
    assert!(
        output.contains("no variant for linux/amd64, only for linux/arm64"),
        "{output}"
    );
    assert!(!project.path("assemblies/locks").exists());
}

const WEB: &str = r#"schema: 1
name: web
kind: app
summary: Responds
image: ${registry}/web:1
provides: { http: { setting: listen, port: 8080 } }
settings:
  listen: { type: string, default: "127.0.0.1:8080", doc: address to listen on }
size: { cpu: 64, memory: 64, weight: 1 }
"#;
