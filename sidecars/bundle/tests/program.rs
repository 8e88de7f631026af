//! The `sidecars` program as a user calls it: by argument, and through a link.

#![allow(clippy::expect_used, reason = "a panic fails the test")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_sidecars");

fn run(program: impl AsRef<Path>, arguments: &[&str]) -> Output {
    Command::new(program.as_ref())
        .args(arguments)
        .env_clear()
        .output()
        .expect("the program starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// Returns the names in the list of sidecars.
fn list_names(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("  "));
    let names = lines.filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

fn sidecars_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn contains_every_sidecar_and_bundle_yaml_lists_the_same() {
    let output = run(PROGRAM, &[]);
    assert!(output.status.success());
    let mut names = list_names(&stdout(&output));

    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("bundle.yaml"))
        .expect("bundle.yaml");
    let file: serde_json::Value = serde_saphyr::from_str(&text).expect("YAML");
    let members = file["members"].as_array().expect("a list");
    let members: Vec<&str> = members.iter().filter_map(|name| name.as_str()).collect();
    assert_eq!(names, members);

    let folders = fs::read_dir(sidecars_folder()).expect("the folder of the sidecars");
    let folders = folders.map(|entry| entry.expect("an entry").path());
    let components = folders.filter(|folder| folder.join("component.yaml").is_file());
    let name = |folder: PathBuf| {
        folder
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let mut components: Vec<String> = components.filter_map(name).collect();
    components.sort();
    names.sort();
    assert_eq!(names, components);
}

#[test]
fn rejects_an_unknown_sidecar_with_the_list() {
    let output = run(PROGRAM, &["tsl-proxy", "serve"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());

    let message = stderr(&output);
    assert!(
        message.starts_with("error: there is no sidecar `tsl-proxy`\n"),
        "{message}"
    );
    assert_eq!(
        list_names(&message),
        list_names(&stdout(&run(PROGRAM, &["--help"])))
    );
}

#[test]
fn an_argument_that_is_not_utf_8_is_an_unknown_sidecar() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let mut command = Command::new(PROGRAM);
    let output = command
        .arg(OsStr::from_bytes(b"\xff"))
        .output()
        .expect("starts");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn prints_its_version() {
    let expected = concat!("sidecars ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(stdout(&run(PROGRAM, &["--version"])), expected);
}

#[test]
fn help_and_version_are_those_of_the_sidecar() {
    for name in list_names(&stdout(&run(PROGRAM, &[]))) {
        let help = stdout(&run(PROGRAM, &[&name, "--help"]));
        assert!(help.starts_with(&format!("{name} ")), "{help}");
        assert!(
            help.contains(&format!("Usage: sidecars {name} [VERB]")),
            "{help}"
        );

        let version = stdout(&run(PROGRAM, &[&name, "--version"]));
        assert_eq!(version, format!("{name} {}\n", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn an_unknown_verb_is_reported_by_the_sidecar() {
    let output = run(PROGRAM, &["tls-proxy", "server"]);
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    assert!(
        message.starts_with("error: `server` is not a verb of tls-proxy\n"),
        "{message}"
    );
    assert!(
        message.contains("Usage: sidecars tls-proxy [VERB]"),
        "{message}"
    );
}

#[test]
fn a_link_with_the_name_of_a_sidecar_runs_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in list_names(&stdout(&run(PROGRAM, &[]))) {
        let link = folder.path().join(&name);
        symlink(PROGRAM, &link).expect("a link");

        let help = stdout(&run(&link, &["--help"]));
        assert!(help.contains(&format!("Usage: {name} [VERB]")), "{help}");
        let described = stdout(&run(&link, &["describe"]));
        assert_eq!(described, stdout(&run(PROGRAM, &[&name, "describe"])));
    }
}
