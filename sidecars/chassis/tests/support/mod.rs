//! Shared by the tests: a server, raw HTTP over loopback, and waits with a timeout.
#![allow(dead_code, reason = "each test binary uses a part of this")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper may panic to fail its test"
)]

use std::{future::Future, net::SocketAddr, time::Duration};

use chassis::{
    Shutdown, Trigger,
    http::{self, Body, Limits},
};
use http_body_util::BodyExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};

pub(crate) type Request = ::http::Request<Body>;
pub(crate) type Response = ::http::Response<Body>;

/// How long a test waits for an expected event; generous, because the host may be busy.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) trigger: Trigger,
    pub(crate) task: JoinHandle<()>,
}

pub(crate) async fn start_server<S, F>(service: S, limits: Limits) -> Server
where
    S: Fn(Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (trigger, shutdown) = Shutdown::pair();
    let task = tokio::spawn(async move {
        http::serve(listener, service, limits, shutdown).await;
    });

    Server {
        address,
        trigger,
        task,
    }
}

/// Waits for a future that must resolve.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    timeout(LIMIT, future).await.expect("timed out")
}

/// A client that writes and reads raw bytes.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(within(TcpStream::connect(address)).await.unwrap())
    }

    pub(crate) async fn send(&mut self, text: &str) {
        within(self.0.write_all(text.as_bytes())).await.unwrap();
    }

    /// Reads until the text ends with `end`.
    pub(crate) async fn read_until(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        let mut byte = [0];
        // Byte by byte, so that nothing after `end` is consumed.
        while !read.ends_with(end.as_bytes()) {
            let count = within(self.0.read(&mut byte)).await.unwrap();
            assert_ne!(
                count,
                0,
                "closed after {:?}",
                String::from_utf8_lossy(&read)
            );
            read.push(byte[0]);
        }

        String::from_utf8(read).unwrap()
    }

    /// Reads until the server closes the connection.
    pub(crate) async fn read_to_end(&mut self) -> String {
        let mut read = Vec::new();
        // A reset is as good as an end here.
        let _ = within(self.0.read_to_end(&mut read)).await;
        String::from_utf8(read).unwrap()
    }
}

/// Sends a request on a new connection and returns the whole response.
pub(crate) async fn ask(address: SocketAddr, head: &str) -> String {
    let mut raw = Raw::connect(address).await;
    raw.send(&format!(
        "{head}\r\nhost: test\r\nconnection: close\r\n\r\n"
    ))
    .await;
    raw.read_to_end().await
}

pub(crate) async fn text(body: Body) -> String {
    let bytes = within(body.collect()).await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(crate) fn answer(text: &str) -> Response {
    Response::new(http::full(text.to_owned()))
}
