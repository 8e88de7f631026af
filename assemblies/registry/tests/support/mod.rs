//! A registry in the test process that can simulate failures.

#![allow(clippy::unwrap_used, reason = "a failing helper fails the test")]
#![allow(dead_code, reason = "each test uses a part of this module")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

pub(crate) mod pushing;
pub(crate) mod store;

/// A registry with prepared replies by path and `Authorization`; the last reply of a list repeats.
pub(crate) struct Registry {
    pub(crate) address: SocketAddr,
    replies: Arc<Mutex<BTreeMap<String, Vec<Reply>>>>,
    requests: Arc<Mutex<Vec<ReceivedRequest>>>,
}

/// A received request.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedRequest {
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) accept: Option<String>,
}

/// A prepared response.
#[derive(Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    never: bool,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            never: false,
        }
    }

    /// Accepts the request and never responds.
    pub(crate) fn never() -> Self {
        Self {
            never: true,
            ..Self::new(200, "")
        }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl Registry {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let registry = Self {
            address: listener.local_addr().unwrap(),
            replies: Arc::default(),
            requests: Arc::default(),
        };
        let (replies, requests) = (registry.replies.clone(), registry.requests.clone());

        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (replies, requests) = (replies.clone(), requests.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    reply_to(request, replies.clone(), requests.clone())
                });
                let server = hyper::server::conn::http1::Builder::new();
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
            }
        });

        registry
    }

    /// Adds a reply; `authorization` restricts it to requests with this header.
    pub(crate) fn on(&self, path: &str, authorization: Option<&str>, reply: Reply) {
        let key = key(path, authorization);
        self.replies
            .lock()
            .unwrap()
            .entry(key)
            .or_default()
            .push(reply);
    }

    /// Returns an image reference such as `127.0.0.1:PORT/web:1`.
    pub(crate) fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<ReceivedRequest> {
        self.requests.lock().unwrap().clone()
    }
}

fn key(path: &str, authorization: Option<&str>) -> String {
    authorization.map_or_else(|| path.to_owned(), |value| format!("{path} {value}"))
}

async fn reply_to(
    request: Request<Incoming>,
    replies: Arc<Mutex<BTreeMap<String, Vec<Reply>>>>,
    requests: Arc<Mutex<Vec<ReceivedRequest>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let header = |name| Some(request.headers().get(name)?.to_str().unwrap().to_owned());
    let path = request.uri().to_string();
    let authorization = header("authorization");
    requests.lock().unwrap().push(ReceivedRequest {
        path: path.clone(),
        authorization: authorization.clone(),
        accept: header("accept"),
    });
    let reply = {
        let mut replies = replies.lock().unwrap();
        // A reply for this `Authorization` has precedence over one for any.
        let narrow = key(&path, authorization.as_deref());
        let chosen = if replies.contains_key(&narrow) {
            narrow
        } else {
            path
        };

        match replies.get_mut(&chosen) {
            // The error format of the OCI distribution specification.
            None => Reply::new(
                404,
                r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#,
            ),
            // The last reply repeats, so that tests need not count retries.
            Some(list) if list.len() > 1 => list.remove(0),
            Some(list) => list[0].clone(),
        }
    };

    if reply.never {
        // The connection stays open until the client gives up.
        std::future::pending::<()>().await;
    }

    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }

    Ok(response.body(Full::new(Bytes::from(reply.body))).unwrap())
}
