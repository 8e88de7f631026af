//! The admin endpoints `/live`, `/ready` and `/metrics`, and the probe that requests them.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    HumanDuration, Readiness, Shutdown,
    http::{Body, Limits, full, json, problem, serve},
    telemetry::{CONTENT_TYPE, PrometheusReader},
};

/// The endpoint a probe requests.
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

/// Serves `/live` and `/ready`, and with a reader `/metrics`, until the future is dropped.
pub(crate) async fn answer(
    listener: TcpListener,
    readiness: Readiness,
    metrics: Option<PrometheusReader>,
) {
    let service = move |request: Request<Body>| {
        let response = respond(
            request.method(),
            request.uri().path(),
            &readiness,
            metrics.as_ref(),
        );
        async move { response }
    };
    // Health checks need few connections, and must not delay the exit.
    let limits = Limits {
        max_connections: 64,
        drain_timeout: HumanDuration::from_secs(1),
        ..Limits::default()
    };
    serve(listener, service, limits, Shutdown::never()).await;
}

/// Probes a running component; the error is the reason it is not live or not ready.
pub(crate) fn probe(admin: SocketAddr, kind: ProbeKind) -> Result<(), String> {
    let address = connectable_address(admin);
    let response = request(address, kind.path())
        .map_err(|error| format!("no response from {address}: {error}"))?;
    let mut words = response.split_whitespace();
    match (words.next(), words.next()) {
        (Some(version), Some("200")) if version.starts_with("HTTP/1.") => Ok(()),
        // The last line is the JSON body, which names the latches that are not released.
        _ => Err(response.lines().last().unwrap_or_default().to_owned()),
    }
}

fn respond(
    method: &Method,
    path: &str,
    readiness: &Readiness,
    metrics: Option<&PrometheusReader>,
) -> Response<Body> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return problem(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "use GET",
        );
    }

    match path {
        // Answered as long as the process runs at all, during the drain too.
        "/live" => json(StatusCode::OK, &json!({ "status": "live" })),
        "/ready" => {
            let (status, mut body) = if readiness.is_ready() {
                (StatusCode::OK, json!({ "status": "ready" }))
            } else {
                let waiting_for = readiness.waiting_for();
                let body = json!({ "status": "not ready", "waiting_for": waiting_for });
                (StatusCode::SERVICE_UNAVAILABLE, body)
            };

            let details = readiness.details();
            if !details.is_empty() {
                body["details"] = json!(details);
            }
            json(status, &body)
        }
        "/metrics" => respond_metrics(metrics),
        _ => problem(
            StatusCode::NOT_FOUND,
            "not_found",
            "request /live, /ready or /metrics",
        ),
    }
}

fn respond_metrics(metrics: Option<&PrometheusReader>) -> Response<Body> {
    let Some(metrics) = metrics else {
        let message = "set OTEL_METRICS_EXPORTER=prometheus to enable /metrics";
        return problem(StatusCode::NOT_FOUND, "metrics_disabled", message);
    };

    match metrics.render() {
        Ok(text) => {
            let mut response = Response::new(full(text));
            let content_type = HeaderValue::from_static(CONTENT_TYPE);
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, content_type);
            response
        }
        // Only while the process ends, when telemetry is already flushed.
        Err(error) => problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "metrics_unavailable",
            &error.to_string(),
        ),
    }
}

/// Returns the address to connect to for a listener on `admin`: loopback for the unspecified address.
fn connectable_address(admin: SocketAddr) -> SocketAddr {
    let ip = match admin.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, admin.port())
}

fn request(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PROBE_TIMEOUT)?;
    stream.set_read_timeout(Some(PROBE_TIMEOUT))?;
    stream.set_write_timeout(Some(PROBE_TIMEOUT))?;
    // Written by hand, so that the probe needs no runtime: it runs every few seconds as a new process.
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut response = String::new();
    // Bounded, because anything may listen on a port that was configured wrongly.
    stream.take(64 * 1024).read_to_string(&mut response)?;
    Ok(response)
}

/// Shorter than the smallest health check timeout ECS allows (2 s), so that the probe reports the reason itself.
const PROBE_TIMEOUT: Duration = Duration::from_millis(1500);
