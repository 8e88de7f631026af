//! Something simple that stands in a container's place: this program again, started as `<program> __stub`.
//!
//! It listens on the loopback, hears SIGTERM, and says on stdout what came.

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

/// What it does with those who call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Listens nowhere.
    Sleep,
    /// Answers every HTTP request with 200 and nothing.
    Http200,
    /// Sends back what it is sent.
    Echo,
    /// Takes OTLP over HTTP and gRPC, and says how much came.
    OtlpSink,
    /// Takes everything and answers nothing.
    BlackHole,
}

impl Kind {
    /// All of them, each with its name.
    pub const ALL: [(&str, Self); 5] = [
        ("sleep", Self::Sleep),
        ("http-200", Self::Http200),
        ("echo", Self::Echo),
        ("otlp-sink", Self::OtlpSink),
        ("blackhole", Self::BlackHole),
    ];

    /// The kind of this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|(one, _)| *one == name)
            .map(|(_, kind)| kind)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL
            .into_iter()
            .find(|(_, kind)| *kind == self)
            .map_or("", |(name, _)| name)
    }

    /// The arguments that make this program one of them, on these ports. Who takes OTLP where it is expected
    /// over HTTP takes it where it is expected over gRPC too.
    pub fn arguments(self, ports: &[u16]) -> Vec<String> {
        let words = [STUB.to_owned(), self.name().to_owned()];
        let beside = (self == Self::OtlpSink && ports == [OTLP_HTTP]).then_some(OTLP_GRPC);
        words
            .into_iter()
            .chain(ports.iter().chain(&beside).map(u16::to_string))
            .collect()
    }
}

/// The ports on which a program with these arguments listens as a stub; none for any other program.
pub fn ports(arguments: &[String]) -> Vec<u16> {
    let words = arguments.iter().skip(2);
    let is_one = arguments.first().is_some_and(|word| word == STUB);
    words
        .filter(|_| is_one)
        .filter_map(|word| word.parse().ok())
        .collect()
}

/// Answers when this process was started as one; call it before the command line is read.
pub fn intercept() -> Option<ExitCode> {
    let mut words = env::args().skip(1);
    if words.next()? != STUB {
        return None;
    }

    let kind = words.next().and_then(|word| Kind::of(&word))?;
    let ports: Vec<u16> = words.filter_map(|word| word.parse().ok()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();

    match runtime.and_then(|runtime| runtime.block_on(live(kind, ports))) {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(why) => {
            let _ = writeln!(io::stderr(), "{}: {why}", kind.name());
            Some(ExitCode::FAILURE)
        }
    }
}

async fn live(kind: Kind, ports: Vec<u16>) -> io::Result<()> {
    let mut end = signal(SignalKind::terminate())?;
    let mut all = JoinSet::new();
    for port in ports {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => drop(all.spawn(listen(kind, listener))),
            // Nobody has asked for it by name, and somebody else may be there.
            Err(why) if kind == Kind::OtlpSink && port == OTLP_GRPC && !all.is_empty() => {
                writeln!(io::stdout(), "no OTLP over gRPC on {port}: {why}")?;
            }
            Err(why) => return Err(why),
        }
    }

    end.recv().await;
    Ok(())
}

async fn listen(kind: Kind, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((caller, _)) => drop(tokio::spawn(speak(kind, caller))),
            // Out of descriptors: a moment later there may be one.
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// Whoever hangs up has had enough.
async fn speak(kind: Kind, caller: TcpStream) {
    match kind {
        Kind::Sleep => {}
        Kind::Echo => {
            let (mut from, mut to) = split(caller);
            let _ = copy(&mut from, &mut to).await;
        }
        Kind::BlackHole => {
            let (mut from, _to) = split(caller);
            let _ = copy(&mut from, &mut sink()).await;
        }
        Kind::Http200 | Kind::OtlpSink => {
            let answer = service_fn(move |request| answer(kind, request));
            // HTTP/2 with prior knowledge begins with words of its own; all else is HTTP/1.1.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(caller), answer)
                .await;
        }
    }
}

/// An answer, with or without trailers.
type Answer = Response<BoxBody<Bytes, Infallible>>;

async fn answer(kind: Kind, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let (head, body) = request.into_parts();
    let form = head.headers.get(CONTENT_TYPE).cloned();
    let Ok(body) = Limited::new(body, LARGEST).collect().await else {
        let mut refused = Response::new(Full::default().boxed());
        *refused.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return Ok(refused);
    };

    let length = body.to_bytes().len();
    let path = head.uri.path();
    let _ = writeln!(io::stdout(), "{} {path}, {length} bytes", head.method);
    Ok(match form {
        Some(form) if form.as_bytes().starts_with(GRPC) => taken_over_grpc(),
        form => taken(form.filter(|_| kind == Kind::OtlpSink)),
    })
}

/// Says 200. An export that was taken whole is answered in its own form with an empty message: nothing in protobuf,
/// `{}` in JSON.
fn taken(form: Option<HeaderValue>) -> Answer {
    let json = form.as_ref().is_some_and(|form| form == "application/json");
    let mut taken = Response::new(Full::from(if json { "{}" } else { "" }).boxed());
    if let Some(form) = form {
        taken.headers_mut().insert(CONTENT_TYPE, form);
    }
    taken
}

/// One empty message, and the trailer that says that all is well.
fn taken_over_grpc() -> Answer {
    let status = HeaderMap::from_iter([(GRPC_STATUS, HeaderValue::from_static("0"))]);
    let message = Full::from(EMPTY_MESSAGE).with_trailers(async { Some(Ok(status)) });
    let mut taken = Response::new(message.boxed());
    let form = HeaderValue::from_static("application/grpc");
    taken.headers_mut().insert(CONTENT_TYPE, form);
    taken
}

const STUB: &str = "__stub";
const LARGEST: usize = 64 * 1024 * 1024;
const PAUSE: Duration = Duration::from_millis(50);
const GRPC: &[u8] = b"application/grpc";
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// Not compressed, and no bytes long.
const EMPTY_MESSAGE: &[u8] = &[0; 5];
/// Where OTLP is expected.
const OTLP_HTTP: u16 = 4318;
const OTLP_GRPC: u16 = 4317;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_otlp_where_it_is_expected_takes_it_over_grpc_too() {
        let words = |kind: Kind, ports: &[u16]| kind.arguments(ports)[2..].join(" ");
        assert_eq!(words(Kind::OtlpSink, &[4318]), "4318 4317");
        assert_eq!(words(Kind::OtlpSink, &[9000]), "9000");
        assert_eq!(words(Kind::Http200, &[4318]), "4318");
        assert_eq!(ports(&Kind::OtlpSink.arguments(&[4318])), [4318, 4317]);
        assert!(ports(&["serve".into(), "on".into(), "80".into()]).is_empty());
    }
}
