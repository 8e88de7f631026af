//! The program: its verbs, and the documents that describe it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use support::harness::{ISSUER, claims, now};
use support::signer::{Signer, jwks};

struct Folder {
    folder: tempfile::TempDir,
    signer: Signer,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let signer = Signer::p256("first");
        std::fs::write(
            folder.path().join("jwks.json"),
            jwks(&[&signer]).to_string(),
        )
        .unwrap();
        Self { folder, signer }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_auth-filter"));
        command
            .args(arguments)
            .env_clear()
            .env("AUTH_FILTER_UPSTREAM", "http://127.0.0.1:8080")
            .env("AUTH_FILTER_ISSUER", ISSUER)
            .env("AUTH_FILTER_AUDIENCE", "coins")
            .env("AUTH_FILTER_JWKS", self.folder.path().join("jwks.json"))
            .env("AUTH_FILTER_ADMIN", "127.0.0.1:0")
            .env("AUTH_FILTER_RULES", RULES);
        command
    }
}

const RULES: &str = r#"[
    {"path":"/healthz","public":true},
    {"method":"GET","path":"/v1/**","scopes":["coins.read"]}
]"#;

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn line<'t>(text: &'t str, check: &str) -> &'t str {
    text.lines()
        .find(|line| line.starts_with(check))
        .unwrap_or_else(|| panic!("{check}: {text}"))
}

#[test]
fn check_token_shows_every_check_of_a_good_token() {
    let folder = Folder::new();
    let output = folder.run(&["check-token", &folder.signer.token(&claims())]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");

    for check in [
        "form",
        "keys",
        "key",
        "signature",
        "type",
        "issuer",
        "audience",
        "expiry",
        "not before",
        "passes",
    ] {
        // Column 11 is the outcome; the name before it is padded.
        assert!(line(&text, check)[11..].starts_with(" yes"), "{text}");
    }

    assert!(line(&text, "passes").contains("as ada"), "{text}");
}

#[test]
fn loads_keys_through_the_proxy_of_the_environment() {
    let folder = Folder::new();
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = proxy.local_addr().unwrap();
    let keys = jwks(&[&folder.signer]).to_string();
    let serving = std::thread::spawn(move || {
        let (stream, _) = proxy.accept().unwrap();
        let mut reader = BufReader::new(&stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let length = keys.len();
        write!(
            &stream,
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{keys}"
        )
        .unwrap();
        line
    });

    let token = folder.signer.token(&claims());
    let output = folder
        .command(&["check-token", &token])
        // The name exists only at the proxy.
        .env("AUTH_FILTER_JWKS", "http://keys.test/jwks")
        .env("AUTH_FILTER_INSECURE_JWKS_HTTP", "true")
        .env("HTTP_PROXY", format!("http://{address}"))
        .output()
        .unwrap();

    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let line = serving.join().unwrap();
    assert_eq!(line, "GET http://keys.test/jwks HTTP/1.1\r\n");
}

#[test]
fn check_token_shows_actual_and_expected_values() {
    let folder = Folder::new();
    let mut claims = claims();
    claims["aud"] = json!(["account"]);
    claims["exp"] = json!(now() - 3600);

    // Two checks fail; both must be shown.
    let output = folder.run(&["check-token", &folder.signer.token(&claims)]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");

    let audience =
        r#"audience    no   `aud` does not contain the audience: ["account"], expected "coins""#;
    assert_eq!(line(&text, "audience"), audience);
    assert!(
        line(&text, "expiry").starts_with("expiry      no   `exp` has passed: "),
        "{text}"
    );

    assert!(
        line(&text, "issuer").starts_with("issuer      yes"),
        "{text}"
    );
}

#[test]
fn check_token_stops_at_an_invalid_signature() {
    let folder = Folder::new();
    for (token, check) in [
        // Another key with a known id, an unknown id, an unsupported algorithm, and no token.
        (Signer::p256("first").token(&claims()), "signature   no"),
        (Signer::p256("other").token(&claims()), "key         no"),
        (
            folder
                .signer
                .sign(&json!({"alg": "RS256", "kid": "first"}), b"{}"),
            "algorithm   no",
        ),
        ("nonsense".to_owned(), "form        no"),
    ] {
        let output = folder.run(&["check-token", &token]);
        let text = text(&output);
        assert_eq!(output.status.code(), Some(1));
        assert!(text.contains(check), "{text}");
        // Claims of a token that is not authentic are not shown.
        assert!(!text.contains("issuer"), "{text}");
    }
}

#[test]
fn explain_shows_the_matching_rule() {
    let folder = Folder::new();
    for (method, path, code, expected) in [
        ("GET", "/healthz", 0, "needs       yes  nothing"),
        (
            "GET",
            "/v1/coins?x=1",
            0,
            "needs       yes  any valid credential with the scopes coins.read",
        ),
        (
            "GET",
            "https://api.a.test:8443/healthz",
            0,
            "target      yes  api.a.test /healthz",
        ),
        (
            "POST",
            "/v1/coins",
            1,
            "rule        no   403: no rule matches this request",
        ),
        (
            "GET",
            "/v1/../healthz",
            1,
            "target      no   400: the target has a dot segment",
        ),
    ] {
        let output = folder.run(&["explain", method, path]);
        assert!(
            text(&output).contains(expected),
            "{method} {path}: {}",
            text(&output)
        );
        assert_eq!(output.status.code(), Some(code), "{method} {path}");
    }
}

#[test]
fn check_reports_all_problems() {
    let output = Command::new(env!("CARGO_BIN_EXE_auth-filter"))
        .arg("check")
        .env_clear()
        .env("AUTH_FILTER_UPSTREAM", "http://10.0.0.1:8080")
        .env("AUTH_FILTER_ISSUER", ISSUER)
        .env("AUTH_FILTER_RULES", r#"[{"path":"/a/**/b"}]"#)
        .output()
        .unwrap();

    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    for name in [
        "AUTH_FILTER_UPSTREAM",
        "AUTH_FILTER_AUDIENCE",
        "AUTH_FILTER_RULES",
    ] {
        assert!(text.contains(name), "{name}: {text}");
    }

    // A valid setting is not reported.
    assert!(!text.contains("(AUTH_FILTER_ISSUER)"), "{text}");
}

#[test]
fn audit_logs_the_reason_without_secrets() {
    let folder = Folder::new();
    let mut filter = folder
        .command(&[])
        .env("AUTH_FILTER_LISTEN", "127.0.0.1:0")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();

    let mut log = BufReader::new(filter.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let mut entry = |message: &str| -> Value {
        let found = log
            .by_ref()
            .map(|line| serde_json::from_str::<Value>(&line).unwrap());
        found
            .into_iter()
            .find(|entry| entry["message"] == message)
            .unwrap()
    };

    let address = entry("listening")["address"].as_str().unwrap().to_owned();
    entry("keys loaded");
    let mut expired = claims();
    expired["exp"] = json!(now() - 3600);

    let token = folder.signer.token(&expired);
    let mut client = TcpStream::connect(&address).unwrap();
    // The query contains a password, which must not be logged.
    let head = "GET /v1/coins?password=hunter2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    write!(client, "{head}Authorization: Bearer {token}\r\n\r\n").unwrap();

    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(!answer.contains("exp"), "{answer}");

    let refused = entry("request rejected");
    assert_eq!(refused["reason"], "expired");
    assert_eq!(refused["path"], "/v1/coins");
    assert_eq!(refused["peer"], client.local_addr().unwrap().to_string());

    let text = refused.to_string();
    assert!(
        !text.contains("hunter2") && !text.contains(&token),
        "{text}"
    );

    // The filter must also exit cleanly after SIGTERM.
    kill_process(Pid::from_child(&filter), Signal::TERM).unwrap();
    assert_eq!(entry("stopped")["code"], 0);
    assert_eq!(filter.wait().unwrap().code(), Some(0));
}

#[test]
fn api_key_needs_no_settings() {
    let made = Command::new(env!("CARGO_BIN_EXE_auth-filter"))
        .args(["api-key", "ada", "coins.read"])
        .env_clear()
        .output()
        .unwrap();

    assert_eq!(made.status.code(), Some(0));
    let key = String::from_utf8(made.stderr).unwrap();
    let entry: Value = serde_json::from_slice(&made.stdout).unwrap();
    // The id, a dot, and 32 random bytes in 43 characters of base64url.
    assert!(key.starts_with("ada.") && key.trim().len() == 47, "{key}");
    assert!(!entry.to_string().contains(key.trim()));

    let keys: Vec<_> = serde_json::from_value(json!([entry])).unwrap();
    let header = "x-api-key".parse().unwrap();
    let (keys, _) = auth_filter::credentials::ApiKeys::new(header, &keys, None).unwrap();
    let now = std::time::SystemTime::now();
    let identity = keys.identity(key.trim().as_bytes(), now).unwrap();
    assert_eq!(identity.scopes, ["coins.read"]);
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn describe_settings() -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_auth-filter"))
        .arg("describe")
        .env_clear()
        .output();
    let description: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    description["settings"].as_array().unwrap().clone()
}

#[test]
fn component_yaml_lists_the_settings_that_describe_prints() {
    let text = std::fs::read_to_string(here().join("component.yaml")).unwrap();
    let component: Value = serde_saphyr::from_str(&text).unwrap();
    let listed = component["settings"].as_object().unwrap();
    let described = describe_settings();

    assert_eq!(listed.len(), described.len());
    for setting in described {
        let listed = &listed[setting["name"].as_str().unwrap()];
        for member in ["type", "default", "doc"] {
            assert_eq!(listed.get(member), setting.get(member), "{setting}");
        }

        for member in ["required", "secret"] {
            let listed = listed.get(member).unwrap_or(&Value::Bool(false));
            assert_eq!(listed, &setting[member], "{setting}");
        }
    }
}

#[test]
fn docs_list_the_settings_that_describe_prints() {
    let page = std::fs::read_to_string(here().join("../../docs/auth-filter.md")).unwrap();
    let mut missing = String::new();
    for setting in describe_settings() {
        let row = row(&setting);
        if !page.contains(&row) {
            missing.push_str(&row);
        }
    }

    assert!(
        missing.is_empty(),
        "add these rows to docs/auth-filter.md:
{missing}"
    );
}

/// Formats a setting as a row of the table in the documentation.
fn row(setting: &Value) -> String {
    let name = setting["name"].as_str().unwrap();
    let default = match &setting["default"] {
        Value::Null if setting["required"] == true => "required".to_owned(),
        Value::Null => String::new(),
        Value::Array(list) if list.len() > 3 => "all".to_owned(),
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    };

    format!(
        "| `{name}` | {default} | {} |\n",
        setting["doc"].as_str().unwrap()
    )
}
