//! What the tests share: raw HTTP over loopback, and waiting with a limit.
#![allow(dead_code, reason = "every test binary uses its own part of this")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper that fails is a test that fails"
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

/// How long anything may take that is expected to happen.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A served listener.
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
        http::serve(listener, service, limits, shutdown)
            .await
            .unwrap();
    });

    Server {
        address,
        trigger,
        task,
    }
}

/// Waits for something that must happen.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    timeout(LIMIT, future)
        .await
        .expect("this should have happened by now")
}

/// A raw client.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(within(TcpStream::connect(address)).await.unwrap())
    }

    pub(crate) async fn send(&mut self, text: &str) {
        within(self.0.write_all(text.as_bytes())).await.unwrap();
    }

    /// Reads until `end` has arrived.
    pub(crate) async fn read_until(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        let mut byte = [0];
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

    /// Reads until the other side closes, however it does.
    pub(crate) async fn read_to_end(&mut self) -> String {
        let mut read = Vec::new();
        let _ = within(self.0.read_to_end(&mut read)).await;
        String::from_utf8(read).unwrap()
    }
}

/// Asks with a connection of its own; the answer is everything that came back.
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
