//! A backend that replies from a script and records the requests.

use std::collections::VecDeque;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use chassis::Shutdown;
use chassis::http::{Body, Limits, Protocol, full, read_limited, serve, serve_with};
use flate2::read::GzDecoder;
use http::{HeaderMap, Request, Response};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// A scripted response.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

/// A request as it arrived, decompressed.
#[derive(Debug, Clone)]
pub(crate) struct ReceivedRequest {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) status: u16,
    pub(crate) at: Instant,
}

/// The backend; clones share its state.
#[derive(Clone)]
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

type Responder = Box<dyn Fn(&[u8]) -> Reply + Send>;

struct State {
    script: VecDeque<Reply>,
    /// Replies after the end of the script.
    then: Responder,
    requests: Vec<ReceivedRequest>,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl Sink {
    /// Starts a backend that accepts everything.
    pub(crate) async fn start() -> Self {
        Self::with_script([]).await
    }

    /// Starts a backend that sends these replies first, and then accepts everything.
    pub(crate) async fn with_script(script: impl IntoIterator<Item = Reply>) -> Self {
        let listener = super::bind().await;
        let sink = Self::new(listener.local_addr().unwrap(), script);
        let service = sink.service();
        tokio::spawn(serve(
            listener,
            service,
            Limits::default(),
            Shutdown::never(),
        ));
        sink
    }

    /// Starts a backend that accepts everything over TLS.
    pub(crate) async fn secure(acceptor: TlsAcceptor) -> Self {
        let listener = super::bind().await;
        let sink = Self::new(listener.local_addr().unwrap(), []);
        let service = sink.service();
        let transport = move |stream: TcpStream| {
            let acceptor = acceptor.clone();
            async move { Ok((acceptor.accept(stream).await?, Protocol::Http1)) }
        };
        let (limits, shutdown) = (Limits::default(), Shutdown::never());
        tokio::spawn(serve_with(listener, transport, service, limits, shutdown));
        sink
    }

    fn new(address: SocketAddr, script: impl IntoIterator<Item = Reply>) -> Self {
        let script = script.into_iter().collect();
        let then: Responder = Box::new(|_| Reply::status(200));
        let state = State {
            script,
            then,
            requests: Vec::new(),
        };
        Self {
            address,
            state: Arc::new(Mutex::new(state)),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets the reply from now on, by the body of the request.
    pub(crate) fn respond_with(&self, responder: impl Fn(&[u8]) -> Reply + Send + 'static) {
        self.state.lock().unwrap().then = Box::new(responder);
    }

    pub(crate) fn requests(&self) -> Vec<ReceivedRequest> {
        self.state.lock().unwrap().requests.clone()
    }

    /// Returns the names of all accepted spans, sorted.
    pub(crate) fn spans(&self) -> Vec<String> {
        let mut names: Vec<String> = self.traces().iter().flat_map(names).collect();
        names.sort();
        names
    }

    /// Returns the accepted trace requests, decoded by opentelemetry-proto.
    pub(crate) fn traces(&self) -> Vec<ExportTraceServiceRequest> {
        let requests = self.requests();
        let accepted = requests
            .iter()
            .filter(|request| request.status == 200 && request.path == "/v1/traces");
        accepted
            .map(|request| ExportTraceServiceRequest::decode(&request.body[..]).unwrap())
            .collect()
    }

    fn service(
        &self,
    ) -> impl Fn(Request<Body>) -> BoxFuture + Clone + Send + Sync + 'static + use<> {
        let sink = self.clone();
        move |request| {
            let sink = sink.clone();
            Box::pin(async move { sink.respond(request).await })
        }
    }

    async fn respond(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let compressed = read_limited(body, 64 << 20).await.unwrap();
        // The forwarder sends gzip or nothing else.
        let body = match head.headers.get("content-encoding") {
            Some(_) => gunzip(&compressed),
            None => compressed,
        };

        // Not held across an await, so that a slow reply would not block other requests.
        let mut state = self.state.lock().unwrap();
        let reply = match state.script.pop_front() {
            Some(reply) => reply,
            None => (state.then)(&body),
        };

        state.requests.push(ReceivedRequest {
            path: head.uri.path().to_owned(),
            headers: head.headers,
            body,
            status: reply.status,
            at: Instant::now(),
        });

        let mut response = Response::builder().status(reply.status);
        for (name, value) in reply.headers {
            response = response.header(name, value);
        }

        response.body(full(reply.body)).unwrap()
    }
}

type BoxFuture = std::pin::Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// Returns the names of the spans of a request.
pub(crate) fn names(request: &ExportTraceServiceRequest) -> Vec<String> {
    let scopes = request
        .resource_spans
        .iter()
        .flat_map(|resource| &resource.scope_spans);
    scopes
        .flat_map(|scope| &scope.spans)
        .map(|span| span.name.clone())
        .collect()
}

fn gunzip(compressed: &[u8]) -> Bytes {
    let mut out = Vec::new();
    GzDecoder::new(compressed).read_to_end(&mut out).unwrap();
    out.into()
}
