//! An issuer with configurable responses that records its requests.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

pub struct Issuer {
    pub address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    held: watch::Sender<bool>,
    task: JoinHandle<()>,
}

struct Shared {
    answer: String,
    /// Responses for single paths.
    answers_at: HashMap<String, String>,
    requests: Vec<String>,
}

impl Issuer {
    /// Creates an issuer that publishes `jwks` at every path.
    pub async fn new(jwks: &Value) -> Self {
        let issuer = Self::bind(None).await;
        issuer.publish(jwks);
        issuer
    }

    pub async fn with_tls(jwks: &Value, acceptor: TlsAcceptor) -> Self {
        let issuer = Self::bind(Some(acceptor)).await;
        issuer.publish(jwks);
        issuer
    }

    async fn bind(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(Shared {
            answer: String::new(),
            answers_at: HashMap::new(),
            requests: Vec::new(),
        }));
        let theirs = shared.clone();
        let (held, holding) = watch::channel(false);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (shared, tls) = (theirs.clone(), tls.clone());
                let held = holding.clone();
                tokio::spawn(async move {
                    match tls {
                        None => answer(stream, address, &shared, held).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                answer(stream, address, &shared, held).await;
                            }
                        }
                    }
                });
            }
        });

        Self {
            address,
            shared,
            held,
            task,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/jwks", self.address)
    }

    pub fn publish(&self, jwks: &Value) {
        self.answer("200 OK", &jwks.to_string());
    }

    pub fn answer(&self, status: &str, body: &str) {
        self.shared.lock().unwrap().answer = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
    }

    /// Responds so at this path only.
    pub fn answer_at(&self, path: &str, status: &str, body: &str) {
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut shared = self.shared.lock().unwrap();
        shared.answers_at.insert(path.to_owned(), answer);
    }

    /// Responds with exactly these bytes.
    pub fn answer_raw(&self, answer: String) {
        self.shared.lock().unwrap().answer = answer;
    }

    /// Holds all responses, as they were at the time of the request, or releases them.
    pub fn hold_responses(&self, held: bool) {
        self.held.send_replace(held);
    }

    /// Returns the paths requested so far.
    pub fn requests(&self) -> Vec<String> {
        self.shared.lock().unwrap().requests.clone()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    address: SocketAddr,
    shared: &Mutex<Shared>,
    mut held: watch::Receiver<bool>,
) {
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while !is_complete(&head) {
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return,
            Ok(count) => head.extend_from_slice(&part[..count]),
        }
    }

    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    // Decided before waiting, so that a held response is the old one.
    let answer = {
        let mut shared = shared.lock().unwrap();
        let discovery = path == "/.well-known/openid-configuration";
        let chosen = shared.answers_at.get(&path).cloned();
        shared.requests.push(path);

        if let Some(answer) = chosen {
            answer
        } else if discovery {
            configuration(address)
        } else {
            shared.answer.clone()
        }
    };

    let _ = held.wait_for(|held| !held).await;
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// Returns whether a request with its body, if it has a length, has arrived.
fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let mut lines = head.lines();
    let length = lines.find_map(|line| line.strip_prefix("content-length: "));
    length.is_none_or(|length| body.len() >= length.parse().unwrap())
}

fn configuration(address: SocketAddr) -> String {
    let issuer = format!("http://{address}");
    let body = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/found")}).to_string();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
