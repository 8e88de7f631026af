//! The binary: readiness, validation of certificates, stop.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper may panic to fail its test"
)]

mod stop;
#[path = "../support/mod.rs"]
mod support;

use std::{net::SocketAddr, process::Stdio, sync::Arc};

use http_body_util::BodyExt;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{Authority, BOTH, Signer, handshake, within};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::{TcpListener, TcpStream},
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
            .expect("the process ended before this line");
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
async fn is_ready_once_the_upstream_accepts_and_exits_0() {
    // A port where nothing listens yet: bound to find it, then closed.
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
        // As ECS passes a secret that was stored on one line.
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

    // The certificate is loaded, but the upstream does not accept yet.
    assert_eq!(ready(&admin).await, Some(1));
    let _upstream = TcpListener::bind(port).await.unwrap();
    line(&mut lines, "upstream accepts connections").await;
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
async fn stops_before_the_upstream_ever_accepted() {
    let authority = Authority::new();
    let mut child = tls_proxy(&[
        ("TLS_PROXY_LISTEN", "127.0.0.1:0"),
        ("TLS_PROXY_ADMIN", "127.0.0.1:0"),
        // The discard port, where nothing listens.
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
async fn reports_a_mismatched_key_without_printing_it() {
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

        let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(printed.contains("TLS_PROXY_KEY"), "{printed}");
        assert!(
            printed.contains("does not match the certificate"),
            "{printed}"
        );
        assert!(!printed.contains("PRIVATE KEY"), "{printed}");
    }
}

#[tokio::test]
async fn check_accepts_a_complete_configuration() {
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

/// A running process in front of `upstream`.
struct RunningProcess {
    child: tokio::process::Child,
    lines: Lines<BufReader<ChildStdout>>,
    admin: String,
    address: SocketAddr,
}

impl RunningProcess {
    async fn new(upstream: SocketAddr, more: &[(&str, &str)]) -> Self {
        let upstream = format!("http://{upstream}");
        let mut variables = vec![
            ("TLS_PROXY_LISTEN", "127.0.0.1:0"),
            ("TLS_PROXY_ADMIN", "127.0.0.1:0"),
            ("TLS_PROXY_UPSTREAM", &upstream),
        ];

        variables.extend(more);
        let mut child = tls_proxy(&variables)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let admin = line(&mut lines, "starting").await["admin"]
            .as_str()
            .unwrap()
            .to_owned();

        let listening = line(&mut lines, "listening").await;
        let address = listening["address"].as_str().unwrap().parse().unwrap();
        line(&mut lines, "upstream accepts connections").await;
        Self {
            child,
            lines,
            admin,
            address,
        }
    }

    fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.child.id().unwrap().cast_signed()).unwrap();
        kill_process(id, signal).unwrap();
    }

    async fn get_ready(&self) -> String {
        let mut stream = TcpStream::connect(&self.admin).await.unwrap();
        let request = b"GET /ready HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        within(stream.read_to_string(&mut answer)).await.unwrap();
        answer
    }
}

#[tokio::test]
async fn sighup_reloads_the_certificate_and_ready_reports_it() {
    let (signer, folder) = (Signer::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("tls.pem");
    std::fs::write(&file, signer.server(&["one.example"])).unwrap();

    let path = file.to_str().unwrap();
    let variables = [
        ("TLS_PROXY_CERTIFICATE_FILE", path),
        // Without polling, only the signal can cause the reload.
        ("TLS_PROXY_RELOAD_INTERVAL", "0s"),
    ];
    let mut process = RunningProcess::new(support::mirror().await, &variables).await;
    let ready = process.get_ready().await;

    assert!(ready.contains("one.example expires in"), "{ready}");
    std::fs::write(&file, "not PEM").unwrap();
    process.signal(Signal::HUP);

    let error = line(
        &mut process.lines,
        "cannot use the new certificates; keeping the old ones",
    )
    .await;

    assert!(
        error["error"]
            .as_str()
            .unwrap()
            .contains("`certificate_file`"),
        "{error}"
    );

    std::fs::write(&file, signer.server(&["two.example"])).unwrap();
    process.signal(Signal::HUP);
    line(&mut process.lines, "certificates replaced").await;

    let config = Arc::new(support::client_config(&signer.root, None));
    assert!(
        support::connect(process.address, &config, "two.example")
            .await
            .is_ok()
    );
    process.signal(Signal::TERM);
    assert_eq!(within(process.child.wait()).await.unwrap().code(), Some(0));
}

/// Returns the CPU time of a process in seconds.
fn cpu(id: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    // `utime` and `stime` of proc(5), in clock ticks of 1/100 s.
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

#[tokio::test]
async fn backs_off_without_descriptors_and_recovers() {
    let signer = Signer::new();
    let pem = signer.server(&["localhost"]);
    let mut process =
        RunningProcess::new(support::mirror().await, &[("TLS_PROXY_CERTIFICATE", &*pem)]).await;
    let id = Pid::from_raw(process.child.id().unwrap().cast_signed());
    let limit = rustix::process::Rlimit {
        current: Some(30),
        maximum: Some(30),
    };

    rustix::process::prlimit(id, rustix::process::Resource::Nofile, limit).unwrap();
    let mut open = Vec::new();
    // The kernel completes these connections, but the proxy cannot accept them all.
    for _ in 0..40 {
        open.push(TcpStream::connect(process.address).await.unwrap());
    }

    let failed = line(&mut process.lines, "accept failed").await;
    assert!(
        failed["error"]
            .as_str()
            .unwrap()
            .contains("Too many open files"),
        "{failed}"
    );

    let before = cpu(process.child.id().unwrap());
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let spent = cpu(process.child.id().unwrap()) - before;
    assert!(spent < 0.3, "{spent} s of CPU time within one second");
    // Frees the descriptors.
    drop(open);

    let config = Arc::new(support::client_config(&signer.root, None));
    let stream = support::connect(process.address, &config, "localhost")
        .await
        .unwrap();

    assert!(
        support::send_get(stream, "")
            .await
            .unwrap()
            .starts_with("HTTP/1.1 200 ")
    );

    process.signal(Signal::TERM);
    assert_eq!(within(process.child.wait()).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn logs_the_configured_share_of_requests() {
    let signer = Signer::new();
    let pem = signer.server(&["localhost"]);
    let variables = [
        ("TLS_PROXY_CERTIFICATE", &*pem),
        ("TLS_PROXY_ACCESS_LOG", "0.5"),
    ];
    let mut process = RunningProcess::new(support::mirror().await, &variables).await;
    let config = Arc::new(support::client_config(&signer.root, None));

    for _ in 0..4 {
        let stream = support::connect(process.address, &config, "localhost")
            .await
            .unwrap();
        support::send_get(stream, "").await.unwrap();
    }

    process.signal(Signal::TERM);
    let mut requests = Vec::new();
    // To the end of the output, so that every request's line is there.
    while let Some(line) = within(process.lines.next_line()).await.unwrap() {
        let line: Value = serde_json::from_str(&line).unwrap();
        if line["message"] == "request" {
            requests.push(line);
        }
    }

    assert_eq!(requests.len(), 2, "{requests:?}");
    let (status, path) = (&requests[0]["status"], &requests[0]["path"]);
    assert_eq!((status, path), (&200.into(), &"/".into()));
    assert_eq!(requests[0]["client"], "127.0.0.1");
}
