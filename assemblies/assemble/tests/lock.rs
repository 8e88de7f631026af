//! `assemble lock`, run as a user runs it, against a registry in this process.

#![cfg(feature = "lock")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

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

/// A project whose only image is in a registry of its own.
struct Project {
    folder: TempDir,
    address: SocketAddr,
    tags: Tags,
}

impl Project {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let project = Self {
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

    /// Pushes an index for these architectures under a tag.
    fn push(&self, tag: &str, note: &str, architectures: &[&str]) {
        let variants: Vec<String> = architectures
            .iter()
            .map(|one| format!(r#"{{"platform":{{"os":"linux","architecture":"{one}"}}}}"#))
            .collect();
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
                format!("{}:/usr/bin:/bin", self.folder.path().display()),
            )
            .output()
            .unwrap();

        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    }
}

/// One question, one answer, by the last word of the path.
fn answer(mut stream: &TcpStream, tags: &Tags) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let path = first.split(' ').nth(1).unwrap_or_default();
    let tag = path.rsplit('/').next().unwrap_or_default();
    let tags = tags.lock().unwrap();
    let wanted = tags.get(LOGIN);
    let may = wanted.is_none_or(|login| headers.iter().any(|one| one.ends_with(login)));
    let (status, body) = match tags.get(tag) {
        _ if !may => (
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
fn what_is_locked_is_rendered_until_the_tag_moves_and_check_says_so() {
    let project = Project::new();
    project.push("1", "first", &["amd64", "arm64"]);
    let (code, said) = project.assemble(&["lock", "--all"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("new ") && said.contains("commit it"),
        "{said}"
    );

    let first = project.read("assemblies/locks/example.yaml");
    assert!(
        first.contains("platforms: [linux/amd64, linux/arm64]"),
        "{first}"
    );

    let (code, said) = project.assemble(&["render", "shop", "--locked"]);
    assert_eq!(code, Some(0), "{said}");
    let definition = project.read("assemblies/rendered/shop/task-definition.json");
    assert!(definition.contains(&format!("{}/web@sha256:", project.address)));
    assert_eq!(project.assemble(&["lock", "--all", "--check"]).0, Some(0));

    project.push("1", "second", &["amd64"]);
    let (code, said) = project.assemble(&["lock", "--all", "--check"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("moved ") && said.contains("(was sha256:"),
        "{said}"
    );
    assert_eq!(project.read("assemblies/locks/example.yaml"), first);
    assert_eq!(project.assemble(&["lock", "shop"]).0, Some(0));
    assert_ne!(project.read("assemblies/locks/example.yaml"), first);
}

#[test]
fn all_forgets_what_nobody_names_and_one_assembly_leaves_the_others_alone() {
    let project = Project::new();
    project.push("1", "", &["amd64"]);
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

    let (_, said) = project.assemble(&["lock", "--all"]);
    assert!(said.contains("gone   other:1"), "{said}");
    assert!(
        !project
            .read("assemblies/locks/example.yaml")
            .contains("other:1")
    );
}

/// Under this key stands what the registry wants to be told before it answers.
const LOGIN: &str = "Authorization";

#[test]
fn a_login_comes_from_the_helper_that_docker_would_ask() {
    let project = Project::new();
    project.push("1", "", &["amd64"]);
    let login = "Basic bWU6aHVzaA==".to_owned();
    project.tags.lock().unwrap().insert(LOGIN.to_owned(), login);

    let (code, said) = project.assemble(&["lock", "--all"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains(&format!("docker login {}", project.address)),
        "{said}"
    );

    let config = format!(r#"{{"credHelpers":{{"{}":"here"}}}}"#, project.address);
    project.write("config.json", &config);
    let helper = "#!/bin/sh\nread -r host || true\n[ -n \"$host\" ] && echo '{\"Username\":\"me\",\"Secret\":\"hush\"}'\n";
    project.write("docker-credential-here", helper);

    let file = project.path("docker-credential-here");
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    let (code, said) = project.assemble(&["lock", "--all"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("hush"), "{said}");
}

#[test]
fn nothing_is_written_when_an_image_cannot_be_had() {
    let project = Project::new();
    let (code, said) = project.assemble(&["lock", "--all"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("has no such image; check the tag"), "{said}");
    project.push("1", "", &["arm64"]);

    let (code, said) = project.assemble(&["lock", "--all"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("no variant for linux/amd64; it has linux/arm64"),
        "{said}"
    );
    assert!(!project.path("assemblies/locks").exists());
}

const WEB: &str = r#"schema: 1
name: web
kind: app
summary: Answers
image: ${registry}/web:1
provides: { http: { setting: listen, port: 8080 } }
settings:
  listen: { type: string, default: "127.0.0.1:8080", doc: where to listen }
size: { cpu: 64, memory: 64, weight: 1 }
"#;
