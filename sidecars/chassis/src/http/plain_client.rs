//! The client for telemetry: HTTP/1.1 without TLS, and little besides.
//!
//! [`client`](super::client) needs TLS and a trust store, which not every program has otherwise, and the legacy client
//! of hyper-util brings a second pool and HTTP/2: a tenth of a megabyte of every image.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, Uri,
    header::HOST,
    uri::{Authority, Scheme},
};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use super::{
    Body, full,
    idle::{IdlePool, keep_alive},
    read_limited,
    vectored_join::VectoredJoin,
};
use crate::BoxError;

/// A client for one server, which keeps its connection between requests.
#[derive(Debug)]
pub(crate) struct PlainClient {
    idle: Arc<IdlePool<()>>,
    limit: Duration,
}

impl PlainClient {
    /// Creates a client; a request with its response may take `limit`.
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            idle: Arc::new(IdlePool::new(IDLE_TIMEOUT, MAX_IDLE_CONNECTIONS)),
            limit,
        }
    }

    /// Sends a request with an absolute `http` URL, and reads the whole response.
    pub(crate) async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, BoxError> {
        let sending = timeout(self.limit, self.exchange(request)).await;
        sending.unwrap_or_else(|_| Err(format!("no response within {:?}", self.limit).into()))
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, BoxError> {
        let authority = authority(request.uri())?;
        let mut request = prepare(request, &authority)?;

        if let Some(mut sender) = self.idle.take_soon(&()).await {
            match sender.try_send_request(request).await {
                Ok(response) => return self.read(response, sender).await,
                // hyper returns the request only if nothing of it was written: the server has closed the idle
                // connection. What was sent is not repeated, as it may have arrived.
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(failed.into_error().into()),
                },
            }
        }

        let mut sender = connect(&authority).await?;
        let response = sender.send_request(request).await?;
        self.read(response, sender).await
    }

    /// Reads the response, and keeps the connection for the next request.
    async fn read(
        &self,
        response: Response<Incoming>,
        sender: http1::SendRequest<Body>,
    ) -> Result<Response<Bytes>, BoxError> {
        let (head, body) = response.into_parts();
        let body = read_limited(body, MAX_RESPONSE_BYTES).await?;
        self.idle.give_back((), sender, keep_alive(&head.headers));

        Ok(Response::from_parts(head, body))
    }
}

/// Returns the host and port of an `http` URL.
fn authority(url: &Uri) -> Result<Authority, BoxError> {
    let is_plain = url.scheme() == Some(&Scheme::HTTP);
    let authority = url.authority().filter(|_| is_plain).cloned();
    authority.ok_or_else(|| format!("`{url}` is not a URL like http://127.0.0.1:4318").into())
}

/// Converts a request to the form for an origin server (RFC 9112, section 3.2.1).
fn prepare(request: Request<Bytes>, authority: &Authority) -> Result<Request<Body>, BoxError> {
    let (mut head, body) = request.into_parts();
    // Without the user information that a URL may have before the `@`.
    let host = authority.as_str().rsplit('@').next().unwrap_or_default();
    head.headers.insert(HOST, HeaderValue::from_str(host)?);
    let path = head.uri.path_and_query().cloned();
    head.uri = path.map_or_else(|| Uri::from_static("/"), Uri::from);

    Ok(Request::from_parts(head, full(body)))
}

async fn connect(authority: &Authority) -> Result<http1::SendRequest<Body>, BoxError> {
    let host = authority.host().trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
    stream.set_nodelay(true)?;

    // The types of the upstream's connections, so that a program has their code once.
    let (sender, connection) = http1::handshake(TokioIo::new(VectoredJoin(stream))).await?;
    // Ends when the sender is dropped. An error also reaches the request that waits on this connection.
    tokio::spawn(async move {
        let _ = connection.with_upgrades().await;
    });
    Ok(sender)
}

/// Shorter than the idle timeout of common servers, so that a request does not race with the server's close.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

const MAX_IDLE_CONNECTIONS: usize = 1;

/// As the clients of opentelemetry-http; collectors respond with a few bytes.
const MAX_RESPONSE_BYTES: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn sends_requests_on_one_connection_until_the_server_closes_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let mut heads = Vec::new();
            for options in [&["keep-alive", "close"][..], &["close"]] {
                let (mut stream, _) = listener.accept().await.unwrap();
                for option in options {
                    heads.push(read_request(&mut stream).await);
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\nconnection: {option}\r\ncontent-length: 2\r\n\r\nok"
                    );
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
            heads
        });

        let client = PlainClient::new(LIMIT);
        for _ in 0..3 {
            let url = format!("http://user@{address}/v1/traces");
            let request = Request::post(url).body("spans".into()).unwrap();
            let response = client.send(request).await.unwrap();
            assert_eq!(response.body(), "ok");
        }

        for head in serving.await.unwrap() {
            assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
            assert!(head.contains(&format!("host: {address}\r\n")), "{head}");
        }
    }

    #[tokio::test]
    async fn gives_up_when_the_limit_is_reached() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let client = PlainClient::new(Duration::from_millis(20));
        let request = Request::post(&url).body("spans".into()).unwrap();
        let error = client.send(request).await.unwrap_err();
        assert_eq!(error.to_string(), "no response within 20ms");
    }

    #[tokio::test]
    async fn rejects_long_responses_and_urls_with_tls() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4194305\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        });

        let client = PlainClient::new(LIMIT);
        for (url, message) in [
            (&*url, "longer than 4194304 bytes"),
            ("https://127.0.0.1:1/", "is not a URL like http://"),
        ] {
            let request = Request::post(url).body("spans".into()).unwrap();
            let error = client.send(request).await.unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
        }
    }

    /// Reads a request with the body `spans`, and returns its header section.
    async fn read_request(stream: &mut TcpStream) -> String {
        let mut read = String::new();
        let mut buffer = [0; 1024];
        loop {
            if read.ends_with("\r\n\r\nspans") {
                return read;
            }
            let count = stream.read(&mut buffer).await.unwrap();
            assert_ne!(count, 0, "the request ended early: {read}");
            read += std::str::from_utf8(&buffer[..count]).unwrap();
        }
    }
}
