//! `/live` and `/ready`, and the probe that asks them.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use http::{Method, Request, Response, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    BoxError, HumanDuration, Readiness, Shutdown,
    http::{Body, Limits, json, problem, serve},
};

/// What a probe asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProbeKind {
    Live,
    Ready,
}

impl ProbeKind {
    fn path(self) -> &'static str {
        match self {
            Self::Live => "/live",
            Self::Ready => "/ready",
        }
    }
}

/// Answers `/live` and `/ready` until it is dropped.
pub(crate) async fn answer(listener: TcpListener, readiness: Readiness) -> Result<(), BoxError> {
    let service = move |request: Request<Body>| {
        let response = respond(request.method(), request.uri().path(), &readiness);
        async move { response }
    };
    let limits = Limits {
        max_connections: 64,
        drain_timeout: HumanDuration::from_secs(1),
        ..Limits::default()
    };
    serve(listener, service, limits, Shutdown::never()).await
}

/// Asks a running component; the error says why the answer is no.
pub(crate) fn probe(admin: SocketAddr, kind: ProbeKind) -> Result<(), String> {
    let address = reachable(admin);
    let answer = ask(address, kind.path())
        .map_err(|error| format!("nothing answers at {address}: {error}"))?;
    let mut words = answer.split_whitespace();
    match (words.next(), words.next()) {
        (Some(version), Some("200")) if version.starts_with("HTTP/1.") => Ok(()),
        _ => Err(answer.lines().last().unwrap_or_default().to_owned()),
    }
}

fn respond(method: &Method, path: &str, readiness: &Readiness) -> Response<Body> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return problem(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "use GET",
        );
    }

    match path {
        "/live" => json(StatusCode::OK, &json!({ "status": "live" })),
        "/ready" => {
            let (status, mut answer) = if readiness.is_ready() {
                (StatusCode::OK, json!({ "status": "ready" }))
            } else {
                let waiting_for = readiness.waiting_for();
                let answer = json!({ "status": "not ready", "waiting_for": waiting_for });
                (StatusCode::SERVICE_UNAVAILABLE, answer)
            };

            let details = readiness.details();
            if !details.is_empty() {
                answer["details"] = json!(details);
            }
            json(status, &answer)
        }
        _ => problem(
            StatusCode::NOT_FOUND,
            "not_found",
            "there are /live and /ready",
        ),
    }
}

/// Where to connect to reach a listener on `admin`, which may be any address.
fn reachable(admin: SocketAddr) -> SocketAddr {
    let ip = match admin.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, admin.port())
}

fn ask(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(64 * 1024).read_to_string(&mut answer)?;
    Ok(answer)
}

/// ECS gives a health check two seconds at least; ours must have answered by then.
const PATIENCE: Duration = Duration::from_millis(1500);
