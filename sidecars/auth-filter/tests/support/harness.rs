//! The filter between an issuer and an upstream, and a client that sends raw bytes.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auth_filter::Config;
use chassis::{Readiness, Shutdown, Trigger};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::issuer::Issuer;
use super::signer::{Signer, jwks};
use super::upstream::Recorder;
use super::{LIMIT, until};

/// A running filter with issuer and upstream.
pub struct Harness {
    pub signer: Signer,
    pub issuer: Issuer,
    pub upstream: Recorder,
    pub filter: Running,
}

/// A running filter.
pub struct Running {
    pub address: SocketAddr,
    pub readiness: Readiness,
    pub trigger: Option<Trigger>,
    pub task: JoinHandle<()>,
}

impl Harness {
    /// Starts a filter without rules and waits until it is ready.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// Starts a filter with rules.
    pub async fn with_rules(rules: Value) -> Self {
        Self::with(|config| config.rules = serde_json::from_value(rules).unwrap()).await
    }

    /// Starts a filter with changed settings.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let harness = Self::without_waiting(change).await;
        until("readiness", || harness.filter.readiness.is_ready()).await;
        harness
    }

    /// Starts a filter without waiting for readiness.
    pub async fn without_waiting(change: impl FnOnce(&mut Config)) -> Self {
        let signer = Signer::p256("first");
        let issuer = Issuer::new(&jwks(&[&signer])).await;
        let upstream = Recorder::new().await;
        let mut config = Config {
            upstream: format!("http://{}", upstream.address),
            issuer: ISSUER.into(),
            audience: "coins".into(),
            jwks: Some(issuer.url()),
            ..Config::default()
        };

        change(&mut config);
        let filter = Running::new(config).await;
        Self {
            signer,
            issuer,
            upstream,
            filter,
        }
    }

    /// Returns a valid token with these scopes.
    pub fn token(&self, scope: &str) -> String {
        let mut claims = claims();
        claims["scope"] = json!(scope);
        self.signer.token(&claims)
    }

    /// Sends a GET with an `Authorization` header.
    pub async fn get(&self, path: &str, token: &str) -> RawResponse {
        self.filter.get(path, token).await
    }

    /// Sends a request, with `Connection: close` added.
    pub async fn send(&self, request: impl AsRef<str>) -> RawResponse {
        send(self.filter.address, request.as_ref()).await
    }

    /// Sends exactly these bytes.
    pub async fn send_raw(&self, bytes: impl AsRef<[u8]>) -> RawResponse {
        send_raw(self.filter.address, bytes.as_ref()).await
    }
}

impl Running {
    pub async fn new(config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (trigger, shutdown) = Shutdown::pair();
        let readiness = Readiness::new();
        let serving = auth_filter::serve(config, listener, shutdown, readiness.clone());
        let task = tokio::spawn(async move { serving.await.unwrap() });

        Self {
            address,
            readiness,
            trigger: Some(trigger),
            task,
        }
    }

    pub async fn get(&self, path: &str, token: &str) -> RawResponse {
        let head = format!("GET {path} HTTP/1.1\r\nHost: app.test\r\n");
        send(
            self.address,
            &format!("{head}Authorization: Bearer {token}\r\n\r\n"),
        )
        .await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The response as text.
#[derive(Debug)]
pub struct RawResponse(pub String);

impl RawResponse {
    /// Returns the status, or 0 without a response.
    pub fn status(&self) -> u16 {
        self.0
            .split(' ')
            .nth(1)
            .map_or(0, |status| status.parse().unwrap())
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.0
            .lines()
            .take_while(|line| !line.is_empty())
            .find_map(|line| {
                let (known, value) = line.split_once(": ")?;
                known.eq_ignore_ascii_case(name).then_some(value)
            })
    }
}

/// Sends a request with `Connection: close` and reads until the connection is closed.
pub async fn send(address: SocketAddr, request: &str) -> RawResponse {
    let (line, rest) = request.split_once("\r\n").unwrap();
    let request = format!("{line}\r\nConnection: close\r\n{rest}");
    timeout(LIMIT, exchange(address, request.as_bytes()))
        .await
        .unwrap()
}

/// Sends exactly these bytes and reads until the connection is closed or idle.
pub async fn send_raw(address: SocketAddr, bytes: &[u8]) -> RawResponse {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    // A filter that waits for the rest of an incomplete request sends nothing.
    while let Ok(Ok(1..)) = timeout(IDLE_TIMEOUT, stream.read_buf(&mut answer)).await {}
    RawResponse(String::from_utf8_lossy(&answer).into_owned())
}

async fn exchange(address: SocketAddr, bytes: &[u8]) -> RawResponse {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The filter may respond and close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    RawResponse(String::from_utf8_lossy(&answer).into_owned())
}

/// Returns valid claims.
pub fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "coins", "sub": "ada", "exp": now() + 300})
}

pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

const IDLE_TIMEOUT: Duration = Duration::from_millis(300);

pub const ISSUER: &str = "https://issuer.test";
