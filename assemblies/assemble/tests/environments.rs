//! Values and environments: precedence, comparison, missing and unused values.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

fn project() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    for (path, text) in [
        ("apps/web/component.yaml", WEB),
        ("assemblies/values/example.yaml", BASE),
        ("assemblies/values/base.yaml", BASE),
        ("assemblies/values/staging.yaml", "level: debug\n"),
        (
            "assemblies/values/production.yaml",
            "level: warn\nmost: 9\n",
        ),
        ("assemblies/shop.yaml", SHOP),
    ] {
        write(folder.path(), path, text);
    }

    folder
}

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    fs::write(&path, text).expect("a file");
}

fn assemble(folder: &TempDir, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_assemble"))
        .args(arguments)
        .current_dir(folder.path())
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

/// Returns a variable of the only container of a rendered definition.
fn variable(folder: &TempDir, rendered: &str, name: &str) -> Option<String> {
    let path = format!("{rendered}/shop/task-definition.json");
    let text = fs::read_to_string(folder.path().join(path)).expect("a definition");
    let definition: Value = serde_json::from_str(&text).expect("JSON");
    let variables = definition["containerDefinitions"][0]["environment"].clone();
    let variables = variables.as_array().expect("variables").clone();
    let found = variables.iter().find(|variable| variable["name"] == name)?;
    found["value"].as_str().map(str::to_owned)
}

const RENDERED: &str = "assemblies/rendered";

#[test]
fn a_later_file_overrides_and_the_command_line_overrides_all() {
    let project = project();
    for (arguments, level) in [
        (&["--values", "base"][..], "info"),
        (&["--values", "base", "--values", "production"], "warn"),
        (&["--values", "production", "--values", "base"], "info"),
        (
            &[
                "--values",
                "base",
                "--values",
                "production",
                "--value",
                "level=error",
            ],
            "error",
        ),
    ] {
        let output = assemble(&project, &[&["render", "shop"], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        let found = variable(&project, RENDERED, "WEB_LOG");
        assert_eq!(found.as_deref(), Some(level), "{arguments:?}");
    }
}

#[test]
fn environment_settings_override_the_rest_of_the_manifest() {
    let project = project();
    let output = assemble(
        &project,
        &[
            "render",
            "--all",
            "--values",
            "base",
            "--environment",
            "staging",
            "--environment",
            "production",
        ],
    );

    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(out(&output).contains("production/shop"), "{}", out(&output));
    for (environment, name, value) in [
        // settings < environments.NAME.settings < overrides < environments.NAME.overrides
        ("staging", "WEB_GREETING", Some("hello")),
        ("production", "WEB_GREETING", Some("welcome to production")),
        ("staging", "WEB_WORKERS", Some("2")),
        ("production", "WEB_WORKERS", Some("8")),
        // `value: null` removes a variable.
        ("staging", "TZ", Some("Europe/Berlin")),
        ("production", "TZ", None),
        ("staging", "WEB_LOG", Some("debug")),
        ("production", "WEB_LOG", Some("warn")),
    ] {
        let found = variable(&project, &format!("{RENDERED}/{environment}"), name);
        assert_eq!(found.as_deref(), value, "{name} in {environment}");
    }

    // With --environment nothing is written to the directory without one.
    assert!(!project.path().join(RENDERED).join("shop").exists());
}

#[test]
fn compares_two_environments() {
    let project = project();
    let compare = |other: &str| {
        let environments = ["--environment", "staging", "--environment", other];
        let arguments = [&["compare", "shop", "--values", "base"][..], &environments].concat();
        assemble(&project, &arguments)
    };
    let output = compare("production");

    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    let text = out(&output);
    // `-` is staging, `+` production; `max` comes from the values files, `min` from the manifest.
    for words in [
        "service\n  - {\"min\":1,\"max\":3,",
        "  + {\"min\":2,\"max\":9,",
        "environment/WEB_GREETING/value\n  - \"hello\"\n  + \"welcome to production\"",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }

    // Both are in the account of the base, where their roles would collide.
    assert!(err(&output).contains("warning[M46]"), "{}", err(&output));

    let same = compare("staging");
    // Equal environments: exit code 0 and no output.
    assert_eq!((same.status.code(), out(&same).as_str()), (Some(0), ""));
    let single = assemble(&project, &["compare", "shop", "--environment", "staging"]);
    assert_eq!(single.status.code(), Some(2));
}

#[test]
fn reports_environments_of_one_account_with_the_same_names() {
    let project = project();
    let place = |account: &str| {
        let base = BASE.replace("111122223333", account);
        format!("{base}stage: x\nmost: 3\n")
    };
    let check = || assemble(&project, &["check", "--values", "base"]);
    fs::remove_file(project.path().join("assemblies/values/example.yaml")).expect("removed");
    fs::remove_file(project.path().join("assemblies/values/base.yaml")).expect("removed");
    let set = |name: &str, account: &str| {
        let text = place(account).replace("stage: x", &format!("stage: {name}"));
        write(
            project.path(),
            &format!("assemblies/values/{name}.yaml"),
            &text,
        );
    };
    set("base", "000000000000");

    set("staging", "111122223333");
    set("production", "111122223333");
    assert!(out(&check()).contains("[M46]"), "{}", out(&check()));

    set("production", "444455556666");
    assert!(!out(&check()).contains("[M46]"), "{}", out(&check()));

    // The stage in the name keeps them apart.
    set("production", "111122223333");
    let manifest = SHOP.replacen("name: shop", "name: shop-${stage}", 1);
    write(project.path(), "assemblies/shop.yaml", &manifest);
    assert!(!out(&check()).contains("[M46]"), "{}", out(&check()));
}

#[test]
fn reports_missing_values_of_all_assemblies_together() {
    let project = project();
    write(
        project.path(),
        "assemblies/other.yaml",
        &SHOP
            .replace("name: shop", "name: other")
            .replace("${level}", "${other_level}"),
    );

    // staging.yaml alone has only `level`.
    let output = assemble(&project, &["render", "--all", "--values", "staging"]);
    assert_eq!(output.status.code(), Some(1));
    let text = err(&output);
    let list = "missing values, for assemblies/values/:\n  account: \n  other_level: \n  region: \n  registry:";
    assert!(text.contains(list), "{text}");
}

#[test]
fn reports_unused_values() {
    let project = project();
    write(
        project.path(),
        "assemblies/values/example.yaml",
        // A misspelt `level`.
        &format!("{BASE}levl: info\n"),
    );

    let output = assemble(&project, &["check"]);
    let text = out(&output);
    assert!(
        text.contains("warning[M32]: the value `levl` is not used"),
        "{text}"
    );
    assert!(text.contains("assemblies/values/example.yaml:5:"), "{text}");
    // Once, although every assembly is checked with these values.
    assert_eq!(text.matches("[M32]").count(), 1, "{text}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn renders_to_another_directory_and_keeps_its_other_files() {
    let project = project();
    write(project.path(), "mine/shop/notes.txt", "kept");
    let output = assemble(&project, &["render", "shop", "--output", "mine"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(variable(&project, "mine", "WEB_LOG").is_some());
    assert!(project.path().join("mine/shop/notes.txt").exists());
    assert!(!project.path().join(RENDERED).exists());
}

#[test]
fn rejects_an_environment_with_the_name_of_an_assembly() {
    let project = project();
    write(project.path(), "assemblies/values/shop.yaml", BASE);
    let output = assemble(&project, &["render", "--all", "--environment", "shop"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("the name of an assembly and of an environment"));
}

const WEB: &str = r#"schema: 1
name: web
kind: app
summary: Responds
image: ${registry}/web:1
provides: { http: { setting: listen, port: 8080 } }
settings:
  listen: { type: string, default: "127.0.0.1:8080", doc: address to listen on }
  greeting: { type: string, default: hi, doc: text of the response }
  workers: { type: integer, default: 1, doc: number of workers }
  log: { type: string, default: info, choices: [error, warn, info, debug], doc: log level }
size: { cpu: 64, memory: 64, weight: 1 }
"#;

const BASE: &str = r#"account: "111122223333"
region: eu-central-1
registry: registry.example
level: info
"#;

const SHOP: &str = "name: shop
app: web
service: { min: 1, max: '${most}', target: { cpu: 60 } }
settings:
  web: { greeting: hello, log: '${level}', workers: 1 }
overrides:
  web:
    environment: [{ name: TZ, value: Europe/Berlin }, { name: WEB_WORKERS, value: '2' }]
environments:
  production:
    service: { min: 2 }
    settings: { web: { greeting: 'welcome to ${stage}' } }
    overrides:
      web: { environment: [{ name: WEB_WORKERS, value: '8' }, { name: TZ, value: null }] }
values: { most: 3, stage: production }
";
