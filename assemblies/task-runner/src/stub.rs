//! Stubs that replace a container: this program, started as `<program> __stub`.
//!
//! A stub listens on the loopback interface, exits on SIGTERM, and prints the requests it receives.

use std::convert::Infallible;
use std::env;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::process::ExitCode;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{copy, sink, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{Duration, sleep};

/// The behavior of a stub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StubKind {
    /// Does not listen.
    Sleep,
    /// Responds to every HTTP request with 200 and an empty body.
    Http200,
    /// Echoes everything it receives.
    Echo,
    /// Accepts OTLP over HTTP and gRPC, and prints the size of each export.
    OtlpSink,
    /// Reads everything and never responds.
    BlackHole,
}

impl StubKind {
    /// All kinds with their names.
    pub const ALL: [(&str, Self); 5] = [
        ("sleep", Self::Sleep),
        ("http-200", Self::Http200),
        ("echo", Self::Echo),
        ("otlp-sink", Self::OtlpSink),
        ("blackhole", Self::BlackHole),
    ];

    /// Returns the kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|(known, _)| *known == name)
            .map(|(_, kind)| kind)
    }

    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        Self::ALL
            .into_iter()
            .find(|(_, kind)| *kind == self)
            .map_or("", |(name, _)| name)
    }

    /// Returns the arguments with which this program becomes the stub on these ports.
    ///
    /// An OTLP sink on the HTTP port of OTLP also listens on its gRPC port.
    pub fn arguments(self, ports: &[u16]) -> Vec<String> {
        let words = [STUB.to_owned(), self.as_str().to_owned()];
        // The app may be configured for either protocol; the definition names one port.
        let grpc = (self == Self::OtlpSink && ports == [OTLP_HTTP]).then_some(OTLP_GRPC);
        words
            .into_iter()
            .chain(ports.iter().chain(&grpc).map(u16::to_string))
            .collect()
    }
}

/// Returns the ports on which a stub with these arguments listens; empty for any other program.
pub fn ports(arguments: &[String]) -> Vec<u16> {
    if arguments.first().is_none_or(|word| word != STUB) {
        return Vec::new();
    }
    let words = arguments.iter().skip(2);
    words.filter_map(|word| word.parse().ok()).collect()
}

/// Runs a stub if the command line asks for one; call it before arguments are parsed.
pub fn run_if_stub() -> Option<ExitCode> {
    let mut words = env::args().skip(1);
    if words.next()? != STUB {
        return None;
    }

    let kind = words.next().and_then(|word| StubKind::from_name(&word))?;
    let ports: Vec<u16> = words.filter_map(|word| word.parse().ok()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();

    match runtime.and_then(|runtime| runtime.block_on(run(kind, ports))) {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(error) => {
            let _ = writeln!(io::stderr(), "{}: {error}", kind.as_str());
            Some(ExitCode::FAILURE)
        }
    }
}

async fn run(kind: StubKind, ports: Vec<u16>) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut listeners = JoinSet::new();
    for port in ports {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => drop(listeners.spawn(accept(kind, listener))),
            // The gRPC port was added without being asked for; another process may use it.
            Err(error)
                if kind == StubKind::OtlpSink && port == OTLP_GRPC && !listeners.is_empty() =>
            {
                writeln!(io::stdout(), "no OTLP over gRPC on {port}: {error}")?;
            }
            Err(error) => return Err(error),
        }
    }

    terminate.recv().await;
    Ok(())
}

async fn accept(kind: StubKind, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => drop(tokio::spawn(serve_connection(kind, client))),
            // Most likely out of descriptors (EMFILE); retrying at once would spin.
            Err(_) => sleep(ACCEPT_RETRY_DELAY).await,
        }
    }
}

/// Serves one connection. Its errors are ignored: a client may hang up at any time.
async fn serve_connection(kind: StubKind, client: TcpStream) {
    match kind {
        StubKind::Sleep => {}
        StubKind::Echo => {
            let (mut from, mut to) = split(client);
            let _ = copy(&mut from, &mut to).await;
        }
        // The write half is kept, so that the client sees an open connection.
        StubKind::BlackHole => {
            let (mut from, _to) = split(client);
            let _ = copy(&mut from, &mut sink()).await;
        }
        StubKind::Http200 | StubKind::OtlpSink => {
            let service = service_fn(move |request| handle(kind, request));
            // Detects HTTP/2 with prior knowledge by its preface (RFC 9113, section 3.4); otherwise HTTP/1.1.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(client), service)
                .await;
        }
    }
}

/// A response, with or without trailers.
type StubResponse = Response<BoxBody<Bytes, Infallible>>;

async fn handle(kind: StubKind, request: Request<Incoming>) -> Result<StubResponse, Infallible> {
    let (head, body) = request.into_parts();
    let content_type = head.headers.get(CONTENT_TYPE).cloned();
    let Ok(body) = Limited::new(body, MAX_BODY_BYTES).collect().await else {
        let mut response = Response::new(Full::default().boxed());
        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return Ok(response);
    };

    let length = body.to_bytes().len();
    let path = head.uri.path();
    let _ = writeln!(io::stdout(), "{} {path}, {length} bytes", head.method);
    Ok(match content_type {
        Some(content_type) if content_type.as_bytes().starts_with(GRPC) => grpc_response(),
        content_type => http_response(content_type.filter(|_| kind == StubKind::OtlpSink)),
    })
}

/// Returns a response with status 200. An OTLP export gets an empty message in its own content type, as OTLP/HTTP
/// requires: no bytes in protobuf, `{}` in JSON.
fn http_response(content_type: Option<HeaderValue>) -> StubResponse {
    let is_json = content_type
        .as_ref()
        .is_some_and(|content_type| content_type == "application/json");
    let mut response = Response::new(Full::from(if is_json { "{}" } else { "" }).boxed());
    if let Some(content_type) = content_type {
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    response
}

/// Returns one empty message, and trailers with the status OK.
fn grpc_response() -> StubResponse {
    let status = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))]);
    let message = Full::from(EMPTY_MESSAGE).with_trailers(async { Some(Ok(status)) });
    let mut response = Response::new(message.boxed());
    let content_type = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

const STUB: &str = "__stub";
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);
const GRPC: &[u8] = b"application/grpc";
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// The prefix of a gRPC message: not compressed, length 0.
const EMPTY_MESSAGE: &[u8] = &[0; 5];
/// The ports of OTLP over HTTP and gRPC (OpenTelemetry Protocol specification).
const OTLP_HTTP: u16 = 4318;
const OTLP_GRPC: u16 = 4317;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_otlp_sink_on_the_http_port_also_listens_on_the_grpc_port() {
        let words = |kind: StubKind, ports: &[u16]| kind.arguments(ports)[2..].join(" ");
        assert_eq!(words(StubKind::OtlpSink, &[4318]), "4318 4317");
        assert_eq!(words(StubKind::OtlpSink, &[9000]), "9000");
        assert_eq!(words(StubKind::Http200, &[4318]), "4318");

        // Only a stub has ports; a program may have numbers as arguments, too.
        assert_eq!(ports(&StubKind::OtlpSink.arguments(&[4318])), [4318, 4317]);
        assert!(ports(&["serve".into(), "on".into(), "80".into()]).is_empty());
    }
}
