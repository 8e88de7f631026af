//! Something simple that stands in a container's place: this program again, started as `<program> __stub`.
//!
//! It listens on the loopback, hears SIGTERM, and says on stdout what came.

use std::convert::Infallible;
use std::env;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::process::ExitCode;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
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
    /// Takes OTLP over HTTP, and says how much came.
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

    /// The arguments that make this program one of them, on these ports.
    pub fn arguments(self, ports: &[u16]) -> Vec<String> {
        let words = [STUB.to_owned(), self.name().to_owned()];
        words
            .into_iter()
            .chain(ports.iter().map(u16::to_string))
            .collect()
    }
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
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        all.spawn(listen(kind, listener));
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
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(caller), answer)
                .await;
        }
    }
}

async fn answer(
    kind: Kind,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let json = head
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind == "application/json");
    let Ok(body) = Limited::new(body, LARGEST).collect().await else {
        let mut refused = Response::new(Full::default());
        *refused.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return Ok(refused);
    };
    let length = body.to_bytes().len();
    let path = head.uri.path();
    let _ = writeln!(io::stdout(), "{} {path}, {length} bytes", head.method);
    // An export that was taken whole is answered with an empty message: nothing in protobuf, `{}` in JSON.
    let text = if kind == Kind::OtlpSink && json {
        "{}"
    } else {
        ""
    };
    let mut taken = Response::new(Full::from(text));
    if let Some(kind) = head
        .headers
        .get(CONTENT_TYPE)
        .filter(|_| kind == Kind::OtlpSink)
    {
        taken.headers_mut().insert(CONTENT_TYPE, kind.clone());
    }
    Ok(taken)
}

const STUB: &str = "__stub";
const LARGEST: usize = 64 * 1024 * 1024;
const PAUSE: Duration = Duration::from_millis(50);
