//! A registry in this process that can also misbehave.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(dead_code, reason = "each test uses a part of it")]

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

/// What is answered to `path`, or to `path Authorization`, one after the other; the last one for ever.
pub(crate) struct Registry {
    pub(crate) address: SocketAddr,
    answers: Arc<Mutex<BTreeMap<String, Vec<Reply>>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A question as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) accept: Option<String>,
}

/// An answer that was prepared.
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

    /// Takes the question and says nothing.
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
            answers: Arc::default(),
            asked: Arc::default(),
        };
        let (answers, asked) = (registry.answers.clone(), registry.asked.clone());

        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answers, asked) = (answers.clone(), asked.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    answer(request, answers.clone(), asked.clone())
                });
                let server = hyper::server::conn::http1::Builder::new();
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
            }
        });

        registry
    }

    /// Prepares an answer; `who` narrows it to one `Authorization`.
    pub(crate) fn on(&self, path: &str, who: Option<&str>, reply: Reply) {
        let key = key(path, who);
        self.answers
            .lock()
            .unwrap()
            .entry(key)
            .or_default()
            .push(reply);
    }

    /// `127.0.0.1:PORT/web:1`.
    pub(crate) fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn key(path: &str, who: Option<&str>) -> String {
    who.map_or_else(|| path.to_owned(), |who| format!("{path} {who}"))
}

async fn answer(
    request: Request<Incoming>,
    answers: Arc<Mutex<BTreeMap<String, Vec<Reply>>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let header = |name| Some(request.headers().get(name)?.to_str().unwrap().to_owned());
    let path = request.uri().to_string();
    let authorization = header("authorization");
    asked.lock().unwrap().push(Asked {
        path: path.clone(),
        authorization: authorization.clone(),
        accept: header("accept"),
    });
    let reply = {
        let mut answers = answers.lock().unwrap();
        let narrow = key(&path, authorization.as_deref());
        let chosen = if answers.contains_key(&narrow) {
            narrow
        } else {
            path
        };

        match answers.get_mut(&chosen) {
            None => Reply::new(
                404,
                r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#,
            ),
            Some(list) if list.len() > 1 => list.remove(0),
            Some(list) => list[0].clone(),
        }
    };

    if reply.never {
        std::future::pending::<()>().await;
    }

    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }

    Ok(response.body(Full::new(Bytes::from(reply.body))).unwrap())
}
