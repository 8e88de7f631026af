//! The binary: its readiness, its refusal of a bad certificate, its end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use std::{net::SocketAddr, process::Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{Authority, BOTH, handshake, within};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    net::TcpListener,
    process::{ChildStdout, Command},
};

fn tls_proxy(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tls-proxy"));
    command.env_clear().kill_on_drop(true).stdin(Stdio::null());
    command.envs(variables.iter().copied());
    command
}

async fn line(lines: &mut Lines<BufReader<ChildStdout>>, message: &str) -> Value {
    loop {
        let line = within(lines.next_line())
            .await
            .unwrap()
            .expect("the process still talks");
        let line: Value = serde_json::from_str(&line).unwrap();
        if line["message"] == message {
            return line;
        }
    }
}

async fn ready(admin: &str) -> Option<i32> {
    let mut probe = tls_proxy(&[("TLS_PROXY_ADMIN", admin)]);
    let output = within(probe.args(["probe", "--ready"]).output())
        .await
        .unwrap();
    output.status.code()
}

#[tokio::test]
async fn is_ready_when_the_upstream_answers_and_ends_with_zero() {
    // A port nobody listens on yet: bound, known, let go.
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let authority = Authority::new();
    let upstream = format!("http://{port}");
    let mut child = tls_proxy(&[
        ("TLS_PROXY_LISTEN", "127.0.0.1:0"),
        ("TLS_PROXY_ADMIN", "127.0.0.1:0"),
        ("TLS_PROXY_UPSTREAM", &upstream),
        // As ECS hands over a secret that was stored on one line.
        (
            "TLS_PROXY_CERTIFICATE",
            &authority.certificate.replace('\n', "\\n"),
        ),
        ("TLS_PROXY_KEY", &authority.key),
    ])
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let admin = line(&mut lines, "starting").await["admin"]
        .as_str()
        .unwrap()
        .to_owned();
    let listening = line(&mut lines, "listening").await;
    let address: SocketAddr = listening["address"].as_str().unwrap().parse().unwrap();

    assert_eq!(ready(&admin).await, Some(1));
    let _upstream = TcpListener::bind(port).await.unwrap();
    line(&mut lines, "upstream answers").await;
    assert_eq!(ready(&admin).await, Some(0));
    assert!(
        handshake(address, &authority.root, "h2", BOTH)
            .await
            .is_ok()
    );

    kill_process(
        Pid::from_raw(child.id().unwrap().cast_signed()).unwrap(),
        Signal::TERM,
    )
    .unwrap();
    assert_eq!(within(child.wait()).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn stops_while_the_upstream_never_came() {
    let authority = Authority::new();
    let mut child = tls_proxy(&[
        ("TLS_PROXY_LISTEN", "127.0.0.1:0"),
        ("TLS_PROXY_ADMIN", "127.0.0.1:0"),
        ("TLS_PROXY_UPSTREAM", "http://127.0.0.1:9"),
        (
            "TLS_PROXY_CERTIFICATE",
            &(authority.certificate + &authority.key),
        ),
    ])
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    line(&mut lines, "listening").await;
    kill_process(
        Pid::from_raw(child.id().unwrap().cast_signed()).unwrap(),
        Signal::TERM,
    )
    .unwrap();
    assert_eq!(within(child.wait()).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn check_says_what_is_wrong_with_the_key_and_never_shows_it() {
    let authority = Authority::new();
    let other = Authority::new();
    let variables = [
        ("TLS_PROXY_UPSTREAM", "http://127.0.0.1:8081"),
        ("TLS_PROXY_CERTIFICATE", &*authority.certificate),
        ("TLS_PROXY_KEY", &*other.key),
    ];
    for verb in ["check", "serve"] {
        let output = within(tls_proxy(&variables).arg(verb).output())
            .await
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(said.contains("TLS_PROXY_KEY"), "{said}");
        assert!(said.contains("is not the key of the certificate"), "{said}");
        assert!(!said.contains("PRIVATE KEY"), "{said}");
    }
}

#[tokio::test]
async fn check_is_fine_with_a_whole_configuration() {
    let authority = Authority::new();
    let variables = [
        ("TLS_PROXY_UPSTREAM", "http://127.0.0.1:8081"),
        ("TLS_PROXY_CERTIFICATE", &*authority.certificate),
        ("TLS_PROXY_KEY", &*authority.key),
    ];
    let output = within(tls_proxy(&variables).arg("check").output())
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
}
