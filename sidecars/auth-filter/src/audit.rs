//! What is find_cached of each outcome: a log line and a counter, both with the reason that the sender
//! is not told.

use std::net::IpAddr;
use std::sync::OnceLock;

use chassis::http::Peer;
use chassis::telemetry;
use http::request::Parts;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;

use crate::authorizer::Authorized;
use crate::filter::Enforcement;
use crate::rejection::Rejection;

/// Remembers that a request went on.
pub(crate) fn log_authorized(request: &Parts, authorized: &Authorized) {
    let identity = authorized.identity.as_ref();
    let reason = identity.map_or("public", |identity| identity.credential.as_str());
    count_request("passed", reason);

    let subject = identity.and_then(|identity| identity.subject.as_deref());
    tracing::debug!(
        target: TARGET,
        reason,
        subject = subject.map(truncate),
        method = truncate(request.method.as_str()),
        path = truncate(request.uri.path()),
        peer = peer(request),
        "request passed"
    );
}

/// Remembers that a request was refused, or would have been, and why. At `info`, because who was kept
/// out is what an audit asks for; `AUTH_FILTER_LOG=info,audit=warn` keeps it quiet.
pub(crate) fn log_rejected(
    request: &Parts,
    rejection: &Rejection,
    client: Option<IpAddr>,
    enforcement: Enforcement,
) {
    let (outcome, message) = match enforcement {
        Enforcement::Enforce => ("refused", "request refused"),
        Enforcement::DryRun => ("would_refuse", "request would be refused"),
    };

    count_request(outcome, rejection.as_str());
    // Never the query: it is where tokens and passwords stand that should not.
    tracing::info!(
        target: TARGET,
        reason = rejection.as_str(),
        error = %rejection,
        status = rejection.status().as_u16(),
        method = truncate(request.method.as_str()),
        path = truncate(request.uri.path()),
        peer = peer(request),
        client = client.map(|client| client.to_string()),
        "{message}"
    );
}

fn count_request(outcome: &'static str, reason: &'static str) {
    static REQUESTS: OnceLock<Counter<u64>> = OnceLock::new();

    let counter = REQUESTS.get_or_init(|| {
        telemetry::counter(
            "auth_filter.requests",
            "{request}",
            "Requests judged, by reason.",
        )
    });

    counter.add(
        1,
        &[
            KeyValue::new("outcome", outcome),
            KeyValue::new("reason", reason),
        ],
    );
}

fn peer(request: &Parts) -> Option<String> {
    request
        .extensions
        .get::<Peer>()
        .map(|peer| peer.address.to_string())
}

/// Strangers choose these texts, so their length is ours to choose.
fn truncate(text: &str) -> String {
    text.chars().take(MAX_CHARS).collect()
}

const TARGET: &str = "audit";
const MAX_CHARS: usize = 256;
