//! The verbs that need neither the runner nor AWS.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A project with one component and one valid assembly.
struct Project(TempDir);

impl Project {
    fn new() -> Self {
        let project = Self(TempDir::new().expect("a folder"));
        project.write("apps/web/component.yaml", WEB);
        project.write("assemblies/values/example.yaml", VALUES);
        project.write("assemblies/shop.yaml", SHOP);
        project
    }

    fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, text).expect("a file");
        path
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.0.path().join(path)).expect("a file")
    }

    fn assemble(&self, arguments: &[&str]) -> Output {
        assemble(self.0.path(), arguments)
    }
}

fn assemble(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_assemble"))
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .output()
        .expect("the command runs")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn renders_everything_once() {
    let project = Project::new();
    let first = project.assemble(&["render", "--all"]);
    assert_eq!(first.status.code(), Some(0), "{}", err(&first));
    assert!(out(&first).contains("shop"), "{}", out(&first));
    assert!(
        out(&first).contains("0.25 vCPU · 0.5 GB"),
        "{}",
        out(&first)
    );

    let definition = project.read("assemblies/rendered/shop/task-definition.json");
    assert!(definition.contains("\"family\": \"shop\""));
    let index = project.read("assemblies/rendered/README.md");
    assert!(
        index.contains("[shop](#shop)") && index.contains("0.25 vCPU · 0.5 GB"),
        "{index}"
    );
    assert!(index.contains("![](shop/graph.svg)"), "{index}");
    assert!(
        index.contains("[`iam/trust.json`](shop/iam/trust.json)"),
        "{index}"
    );

    // A second run finds all documents unchanged.
    let second = project.assemble(&["render", "--all"]);
    assert!(err(&second).contains("nothing changed"), "{}", err(&second));
    assert_eq!(out(&first), out(&second));
}

#[test]
fn removes_documents_that_are_no_longer_rendered() {
    let project = Project::new();
    let stale = project.write("assemblies/rendered/shop/old.json", "{}");
    assert_eq!(project.assemble(&["render", "shop"]).status.code(), Some(0));
    assert!(!stale.exists());
}

#[test]
fn finds_the_project_from_a_subdirectory() {
    let project = Project::new();
    let output = assemble(&project.0.path().join("apps/web"), &["render", "shop"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
}

#[test]
fn five_mistakes_are_five_findings_with_line_caret_id_and_hint() {
    let project = Project::new();
    let file = project.write("bad.yaml", FIVE_MISTAKES);
    let output = project.assemble(&["check", &file.to_string_lossy()]);
    assert_eq!(output.status.code(), Some(1));

    let text = out(&output);
    // Each rule with the line of its mistake in `FIVE_MISTAKES`.
    for (rule, line) in [("M04", 1), ("M05", 3), ("M01", 4), ("M10", 6), ("M14", 7)] {
        assert!(text.contains(&format!("error[{rule}]")), "{rule}\n{text}");
        assert!(
            text.contains(&format!("bad.yaml:{line}:")),
            "{line}\n{text}"
        );
    }

    assert_eq!(text.matches("error[").count(), 5, "{text}");
    assert_eq!(text.matches("= hint: ").count(), 5, "{text}");
    assert_eq!(
        text.lines()
            .filter(|line| line.trim_end().ends_with('^'))
            .count(),
        5,
        "{text}"
    );
}

#[test]
fn prints_findings_as_json() {
    let project = Project::new();
    let file = project.write("bad.yaml", FIVE_MISTAKES);
    let output = project.assemble(&["check", "--format", "json", &file.to_string_lossy()]);
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let list = &list["findings"];
    let rules: Vec<&str> = list
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|finding| finding["rule"].as_str())
        .collect();

    assert_eq!(rules.len(), 5, "{list}");
    assert_eq!(list[0]["line"], 1);
}

#[test]
fn checks_a_task_definition_outside_of_a_project() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("task.json");
    fs::write(
        &file,
        r#"{ "family": "my app", "containerDefinitions": [] }"#,
    )
    .expect("a file");

    let output = assemble(folder.path(), &["check", "task.json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(out(&output).contains("error[T01]"), "{}", out(&output));
    assert!(out(&output).contains("task.json:1:13"), "{}", out(&output));
}

#[test]
fn unreadable_input_has_exit_code_2() {
    let project = Project::new();
    assert_eq!(
        project.assemble(&["check", "nowhere.yaml"]).status.code(),
        Some(2)
    );
    assert_eq!(
        project.assemble(&["render", "nowhere"]).status.code(),
        Some(2)
    );

    assert_eq!(
        project
            .assemble(&["render", "shop", "--values", "mars"])
            .status
            .code(),
        Some(2)
    );

    assert_eq!(project.assemble(&["explain", "Q99"]).status.code(), Some(2));
    assert_eq!(project.assemble(&["nonsense"]).status.code(), Some(2));
}

#[test]
fn does_not_read_a_file_beyond_the_size_limit() {
    let project = Project::new();
    let file = project.write("assemblies/huge.yaml", "");
    let huge = fs::File::options().write(true).open(&file).expect("a file");
    // A sparse file, and a device without a length.
    huge.set_len(104_857_600).expect("a long file");
    for path in [file.to_string_lossy().into_owned(), "/dev/zero".to_owned()] {
        let output = project.assemble(&["check", &path]);
        assert_eq!(output.status.code(), Some(2));
        let output = err(&output);
        assert!(output.contains("bytes; the limit is 1,048,576"), "{output}");
    }
}

#[test]
fn a_value_of_the_command_line_overrides_the_file() {
    let project = Project::new();
    let arguments = ["render", "shop", "--value", "registry=other.example"];
    assert_eq!(project.assemble(&arguments).status.code(), Some(0));
    let definition = project.read("assemblies/rendered/shop/task-definition.json");
    assert!(
        definition.contains("\"other.example/web:1\""),
        "{definition}"
    );
}

#[test]
fn uses_the_digest_in_the_lock_of_the_environment() {
    let project = Project::new();
    let digest = format!("sha256:{}", "5".repeat(64));
    let lock = format!("lock: 1\nimages:\n  registry.example/web:1: {{ digest: '{digest}' }}\n");
    project.write("assemblies/locks/example.yaml", &lock);
    let output = project.assemble(&["render", "shop", "--locked"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let definition = project.read("assemblies/rendered/shop/task-definition.json");
    assert!(definition.contains(&format!("registry.example/web@{digest}")));
    // The tag is kept as a Docker label.
    // The digest hides the tag, so the definition keeps it as a label.
    assert!(definition.contains("\"assemble.image-tag\": \"1\""));
}

#[test]
fn locked_fails_if_the_lock_is_for_another_tag() {
    let project = Project::new();
    // `web:0`, but the component's image is `web:1`.
    let lock = format!(
        "lock: 1\nimages:\n  registry.example/web:0: {{ digest: 'sha256:{}' }}\n",
        "5".repeat(64)
    );

    project.write("assemblies/locks/example.yaml", &lock);
    for verb in [["check", "assemblies/shop.yaml"], ["render", "shop"]] {
        let loose = project.assemble(&verb);
        assert_eq!(loose.status.code(), Some(0), "{}", err(&loose));
        let locked = project.assemble(&[verb[0], verb[1], "--locked"]);
        assert_eq!(locked.status.code(), Some(1));
        let output = out(&locked) + &err(&locked);
        assert!(output.contains("error[M51]"), "{output}");
    }

    let elsewhere = project.assemble(&["render", "shop", "--values", "mars", "--locked"]);
    assert_eq!(elsewhere.status.code(), Some(2), "values not found");
}

#[test]
fn explains_listed_rules() {
    let folder = TempDir::new().expect("a folder");
    let listed = out(&assemble(folder.path(), &["rules"]));
    for id in ["M08", "T06"] {
        assert!(listed.lines().any(|line| line.starts_with(id)), "{listed}");
        let explained = out(&assemble(folder.path(), &["explain", id]));
        assert!(
            explained.contains("\nfails:\n") && explained.contains("\npasses:\n"),
            "{explained}"
        );
    }
}

#[test]
fn draws_an_assembly_in_every_format_and_prints_its_schema() {
    let project = Project::new();
    assert!(out(&project.assemble(&["graph", "shop"])).contains("flowchart TB"));
    let letters = out(&project.assemble(&["graph", "shop", "--format", "ascii"]));
    assert!(
        letters.is_ascii() && letters.contains("internet (http :8080)"),
        "{letters}"
    );
    assert!(out(&project.assemble(&["graph", "shop", "--format", "text"])).contains('┌'));

    let svg = out(&project.assemble(&["graph", "shop", "--format", "svg"]));
    assert!(
        svg.starts_with("<svg") && svg.ends_with("</svg>\n"),
        "{svg}"
    );
    let schema = project.assemble(&["schema", "assembly"]);
    let schema: serde_json::Value = serde_json::from_slice(&schema.stdout).expect("JSON");
    assert!(schema["properties"]["ingress"].is_object());
}

#[test]
fn draws_a_task_definition_outside_of_a_project() {
    let folder = TempDir::new().expect("a folder");
    let text =
        r#"{ "family": "my app", "containerDefinitions": [{ "name": "web", "image": "nginx" }] }"#;
    fs::write(folder.path().join("task.json"), text).expect("a file");

    for (format, word) in [
        ("svg", "<svg"),
        ("mermaid", "flowchart TB"),
        ("ascii", "| web  container"),
    ] {
        let output = assemble(folder.path(), &["graph", "task.json", "--format", format]);
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        assert!(out(&output).contains(word), "{}", out(&output));
    }
}

#[test]
fn quiet_prints_no_messages() {
    let project = Project::new();
    let output = project.assemble(&["--quiet", "render", "--all"]);
    assert_eq!(err(&output), "");
}

const WEB: &str = r#"schema: 1
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

const VALUES: &str = r#"account: "111122223333"
region: eu-central-1
registry: registry.example
"#;

const SHOP: &str = "name: shop
app: web
service: {}
";

const FIVE_MISTAKES: &str = "name: My Shop
app: web
ingress: [wbe]
sidecar: []
settings:
  web: { greting: hello,
    greeting: '${greeting}' }
service: {}
";

#[test]
fn names_rendered_folders_that_belong_to_no_assembly() {
    let project = Project::new();
    project.assemble(&["render", "--all"]);
    let renamed = SHOP.replacen("name: shop", "name: market", 1);
    project.write("assemblies/shop.yaml", &renamed);

    let output = project.assemble(&["render", "--all"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let expected = "assemblies/rendered/shop/ belongs to no assembly";
    assert!(err(&output).contains(expected), "{}", err(&output));

    // A folder is the user's to remove.
    let folder = project.0.path().join("assemblies/rendered/shop");
    fs::remove_dir_all(folder).expect("removed");
    let output = project.assemble(&["render", "--all"]);
    assert!(
        !err(&output).contains("belongs to no assembly"),
        "{}",
        err(&output)
    );
}
