//! Tokens of a real OpenID provider (`oidc-provider`, installed by `tests/setup`), discovered, and
//! verified through key rotations.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod support;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use chassis::HumanDuration;
use serde_json::Value;
use support::LIMIT;
use support::harness::{Harness, send};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

struct Provider {
    issuer: String,
    address: SocketAddr,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Provider {
    /// Starts the provider if Node.js and its packages are installed.
    async fn start() -> Option<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oidc");
        if !folder.join("node_modules/oidc-provider").is_dir() {
            return None;
        }

        let mut process = Command::new("node")
            .arg("provider.mjs")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .ok()?;

        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let issuer = timeout(LIMIT, lines.next_line())
            .await
            .unwrap()
            .unwrap()
            .unwrap();

        Some(Self {
            address: issuer.strip_prefix("http://").unwrap().parse().unwrap(),
            issuer,
            input: process.stdin.take().unwrap(),
            lines,
            _process: process,
        })
    }

    async fn rotate(&mut self) {
        self.input.write_all(b"\n").await.unwrap();
        // The provider also prints warnings about its development configuration.
        loop {
            let line = timeout(LIMIT, self.lines.next_line()).await;
            if line.unwrap().unwrap().unwrap().starts_with("rotated ") {
                return;
            }
        }
    }
}

/// Requests an access token with the client credentials grant (RFC 6749 section 4.4).
async fn token(provider: SocketAddr) -> String {
    let body = "grant_type=client_credentials&scope=coins.read";
    let answer = send(
        provider,
        &format!(
            "POST /token HTTP/1.1\r\nHost: {provider}\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\
             Authorization: Basic am9iOmpvYi1zZWNyZXQtam9iLXNlY3JldC1qb2Itc2VjcmV0\r\n\r\n{body}",
            body.len()
        ),
    )
    .await;

    assert_eq!(answer.status(), 200, "{}", answer.0);
    let json = &answer.0[answer.0.find("\r\n\r\n").unwrap()..];
    let json = &json[json.find('{').unwrap()..=json.rfind('}').unwrap()];
    let response: Value = serde_json::from_str(json).unwrap();

    response["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepts_tokens_of_a_real_provider_through_key_rotations() {
    let Some(mut provider) = Provider::start().await else {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: accepts_tokens_of_a_real_provider_through_key_rotations: \
             it needs node 20 and `tests/setup test`"
        );
        return;
    };

    let issuer = provider.issuer.clone();
    let harness = Harness::with(|config| {
        config.issuer = issuer;
        config.audience = "coins".into();
        config.jwks = None;
        config.jwks_min_refresh_interval = HumanDuration::from_millis(100);
        config.rules =
            serde_json::from_str(r#"[{"path": "/**", "scopes": ["coins.read"]}]"#).unwrap();
    })
    .await;

    let first = token(provider.address).await;
    let (done, sent) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    // Two clients alternate between new tokens and the first one; its key stays published.
    let asking: Vec<_> = (0..2)
        .map(|_| {
            let (done, sent, first) = (done.clone(), sent.clone(), first.clone());
            let (issuer, filter) = (provider.address, harness.filter.address);
            tokio::spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    for token in [token(issuer).await, first.clone()] {
                        let request = format!(
                            "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"
                        );
                        assert_eq!(send(filter, &request).await.status(), 200);
                        sent.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();

    for rotation in 1..=4 {
        let before = sent.load(Ordering::Relaxed);
        provider.rotate().await;
        support::until("requests after the rotation", || {
            sent.load(Ordering::Relaxed) >= before + 20
                || asking.iter().any(JoinHandle::is_finished)
        })
        .await;
        assert!(
            asking.iter().all(|task| !task.is_finished()),
            "rotation {rotation}"
        );
        // Longer than `jwks_min_refresh_interval`, so that the next rotation can cause a load.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }

    done.store(true, Ordering::Relaxed);
    for task in asking {
        task.await.unwrap();
    }

    let received = harness.upstream.take();
    assert_eq!(received.len(), sent.load(Ordering::Relaxed));
    assert!(
        received
            .iter()
            .all(|request| request.header("x-auth-subject") == ["job"])
    );
}
