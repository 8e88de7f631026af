//! Audit: a log line and a counter for each request, with the reason that the client does not get.

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

/// Logs and counts an authorized request.
pub(crate) fn log_authorized(request: &Parts, authorized: &Authorized) {
    let identity = authorized.identity.as_ref();
    let without_identity = if authorized.is_preflight {
        "preflight"
    } else {
        "public"
    };
    let reason = identity.map_or(without_identity, |identity| identity.credential.as_str());
    count_request("authorized", reason);

    let subject = identity.and_then(|identity| identity.subject.as_deref());
    tracing::debug!(
        target: TARGET,
        reason,
        subject = subject.map(truncate),
        method = truncate(request.method.as_str()),
        path = truncate(request.uri.path()),
        peer = peer(request),
        "request authorized"
    );
}

/// Logs and counts a rejected request. At `info`, because rejections are what an audit needs;
/// `AUTH_FILTER_LOG=info,audit=warn` disables it.
pub(crate) fn log_rejected(
    request: &Parts,
    rejection: &Rejection,
    client: Option<IpAddr>,
    enforcement: Enforcement,
) {
    let (outcome, message) = match enforcement {
        Enforcement::Enforce => ("rejected", "request rejected"),
        Enforcement::DryRun => ("would_reject", "request would be rejected"),
    };

    count_request(outcome, rejection.as_str());
    // Never the query, which may contain tokens and passwords.
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
            "Requests by outcome and reason.",
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

/// Truncates text chosen by clients.
fn truncate(text: &str) -> String {
    text.chars().take(MAX_CHARS).collect()
}

const TARGET: &str = "audit";
const MAX_CHARS: usize = 256;
