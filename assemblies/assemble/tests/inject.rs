//! `assemble inject` from the command line, with the components of this repository.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use diagnostics::source::Source;
use task_definition::{TaskDefinition, read};
use tempfile::TempDir;

const CERTIFICATE: &str =
    "certificate=arn:aws:secretsmanager:eu-west-1:222233334444:secret:tls-Ab1Cd2";

fn assemble(arguments: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Command::new(env!("CARGO_BIN_EXE_assemble"))
        .args(arguments)
        .arg("--project")
        .arg(root)
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

fn file(folder: &TempDir, name: &str, text: &str) -> (PathBuf, String) {
    let path = folder.path().join(name);
    fs::write(&path, text).expect("a file");
    let name = path.display().to_string();
    (path, name)
}

fn definition(path: &Path) -> TaskDefinition {
    let text = fs::read_to_string(path).expect("a file");
    read(&Source::new("task", text))
        .expect("a definition")
        .definition
}

#[test]
fn shows_the_difference_and_writes_only_if_asked() {
    let folder = TempDir::new().expect("a folder");
    let (path, name) = file(&folder, "task.json", TASK);
    let arguments = [
        "inject",
        "tls-proxy",
        "--into",
        &name,
        "--secret",
        CERTIFICATE,
    ];

    let preview = assemble(&arguments);
    assert_eq!(preview.status.code(), Some(0), "{}", err(&preview));
    assert!(
        out(&preview).contains("+      \"name\": \"tls-proxy\","),
        "{}",
        out(&preview)
    );
    assert!(out(&preview).contains("\n@@ -"), "{}", out(&preview));
    assert!(err(&preview).contains("--write"), "{}", err(&preview));

    // Nothing was written.
    assert_eq!(fs::read_to_string(&path).expect("a file"), TASK);
    let written = assemble(&[&arguments[..], &["--write"]].concat());
    assert_eq!(written.status.code(), Some(0), "{}", err(&written));

    let injected = fs::read_to_string(&path).expect("a file");
    assert!(definition(&path).container("tls-proxy").is_some());
    // Injecting again changes nothing, and its notes are not repeated.
    let again = assemble(&[&arguments[..], &["--write"]].concat());
    assert_eq!(
        (out(&again).as_str(), err(&again).as_str()),
        ("", "no change\n")
    );
    assert_eq!(fs::read_to_string(&path).expect("a file"), injected);

    // Removing it restores the original definition.
    let removed = assemble(&[
        "inject",
        "tls-proxy",
        "--into",
        &name,
        "--remove",
        "--write",
    ]);

    assert_eq!(removed.status.code(), Some(0), "{}", err(&removed));
    assert_eq!(
        definition(&path),
        read(&Source::new("t", TASK)).expect("ours").definition
    );
}

#[test]
fn reads_describe_output_and_writes_yaml_to_a_yaml_file() {
    let folder = TempDir::new().expect("a folder");
    // `describe-task-definition` wraps the definition and adds read-only fields.
    let answer = format!(
        "{{ \"taskDefinition\": {} }}",
        TASK.replace("\"family\"", "\"revision\": 3, \"family\"")
    );
    let (_, name) = file(&folder, "answer.json", &answer);
    let target = folder.path().join("new.yaml");
    let output = assemble(&[
        "inject",
        "telemetry-forwarder",
        "--into",
        &name,
        "--set",
        "endpoint=https://otlp.example",
        "--output",
        &target.display().to_string(),
    ]);

    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let text = fs::read_to_string(&target).expect("a file");
    assert!(text.starts_with("family: shop\n"), "{text}");

    // The app sends its telemetry to the sidecar, and therefore depends on it.
    let task = definition(&target);
    let web = task.container("web").expect("web");
    assert_eq!(
        web.variable("OTEL_EXPORTER_OTLP_ENDPOINT"),
        Some("http://127.0.0.1:4318")
    );
    assert_eq!(web.depends_on[0].container_name, "telemetry-forwarder");
}

#[test]
fn does_not_write_a_result_with_new_errors() {
    let folder = TempDir::new().expect("a folder");
    let (path, name) = file(&folder, "task.json", TASK);
    let output = assemble(&[
        "inject",
        "tls-proxy",
        "--into",
        &name,
        "--secret",
        "certificate=arn:aws:secretsmanager:x",
        "--write",
    ]);

    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    assert!(err(&output).contains("error[S01]"), "{}", err(&output));
    assert_eq!(fs::read_to_string(&path).expect("a file"), TASK);

    // The certificate is a required setting.
    let missing = assemble(&["inject", "tls-proxy", "--into", &name]);
    assert_eq!(missing.status.code(), Some(1), "{}", err(&missing));
    assert!(err(&missing).contains("M12"), "{}", err(&missing));

    let unknown = assemble(&["inject", "tls-prox", "--into", &name]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(
        err(&unknown).contains("write `tls-proxy`"),
        "{}",
        err(&unknown)
    );
}

const TASK: &str = r#"{
  "family": "shop", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
  "cpu": "256", "memory": "512",
  "executionRoleArn": "arn:aws:iam::222233334444:role/ecsTaskExecutionRole",
  "containerDefinitions": [
    { "name": "web", "image": "web:1.2", "portMappings": [{ "containerPort": 80 }],
      "environment": [{ "name": "LISTEN", "value": "0.0.0.0:80" }] }
  ]
}"#;

#[test]
fn keeps_the_order_and_layout_of_the_file() {
    let folder = TempDir::new().expect("a folder");
    let text = "# The shop, deployed by hand.
containerDefinitions:
- image: shop:1      # pinned by the release
  portMappings: [{containerPort: 8080}]
  name: web
  memory: 256
family: shop
requiresCompatibilities: [FARGATE]
networkMode: awsvpc
cpu: '512'
memory: '1024'
executionRoleArn: arn:aws:iam::222233334444:role/shop
";
    let (path, name) = file(&folder, "task.yaml", text);
    let endpoint = "endpoint=https://otlp.example";
    let arguments = ["inject", "telemetry-forwarder", "--into", &name];
    let more = ["--set", endpoint, "--write"];
    let written = assemble(&[&arguments[..], &more].concat());
    assert_eq!(written.status.code(), Some(0), "{}", err(&written));

    let injected = fs::read_to_string(&path).expect("a file");
    assert!(definition(&path).container("telemetry-forwarder").is_some());
    let head = "# The shop, deployed by hand.\ncontainerDefinitions:\n- image: shop:1      # pinned by the release\n  portMappings: [{containerPort: 8080}]\n  name: web\n  memory: 256\n";
    assert!(injected.starts_with(head), "{injected}");
    assert!(
        injected.contains("\nfamily: shop\nrequiresCompatibilities: [FARGATE]\n"),
        "{injected}"
    );

    // The preview of a removal has only removed lines.
    let removal = assemble(&[&arguments[..], &["--remove", "--write"]].concat());
    assert_eq!(removal.status.code(), Some(0), "{}", err(&removal));
    let restored = fs::read_to_string(&path).expect("a file");
    assert!(restored.starts_with(head), "{restored}");
}

#[test]
fn says_that_a_folder_has_no_components() {
    let folder = TempDir::new().expect("a folder");
    let (_, name) = file(&folder, "task.json", TASK);
    let output = Command::new(env!("CARGO_BIN_EXE_assemble"))
        .args(["inject", "tls-proxy", "--into", &name])
        .current_dir(folder.path())
        .output()
        .expect("the command runs");

    assert_eq!(output.status.code(), Some(2), "{}", err(&output));
    assert!(err(&output).contains("--project"), "{}", err(&output));
}
