//! What is remembered of each verdict: a log line and a counter, both with the reason that the sender
//! is not told.

use std::net::IpAddr;
use std::sync::OnceLock;

use chassis::http::Peer;
use chassis::telemetry;
use http::request::Parts;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;

use crate::filter::Refusals;
use crate::judge::Passed;
use crate::refusal::Refusal;

/// Remembers that a request went on.
pub(crate) fn passed(request: &Parts, passed: &Passed) {
    let identity = passed.identity.as_ref();
    let reason = identity.map_or("public", |identity| identity.credential.word());
    count("passed", reason);

    let subject = identity.and_then(|identity| identity.subject.as_deref());
    tracing::debug!(
        target: TARGET,
        reason,
        subject = subject.map(clipped),
        method = clipped(request.method.as_str()),
        path = clipped(request.uri.path()),
        peer = peer(request),
        "request passed"
    );
}

/// Remembers that a request was refused, or would have been, and why. At `info`, because who was kept
/// out is what an audit asks for; `AUTH_FILTER_LOG=info,audit=warn` keeps it quiet.
pub(crate) fn refused(
    request: &Parts,
    refusal: &Refusal,
    client: Option<IpAddr>,
    refusals: Refusals,
) {
    let (verdict, said) = match refusals {
        Refusals::Answered => ("refused", "request refused"),
        Refusals::OnlyNoted => ("would_refuse", "request would be refused"),
    };

    count(verdict, refusal.word());
    // Never the query: it is where tokens and passwords stand that should not.
    tracing::info!(
        target: TARGET,
        reason = refusal.word(),
        error = %refusal,
        status = refusal.status().as_u16(),
        method = clipped(request.method.as_str()),
        path = clipped(request.uri.path()),
        peer = peer(request),
        client = client.map(|client| client.to_string()),
        "{said}"
    );
}

fn count(verdict: &'static str, reason: &'static str) {
    static VERDICTS: OnceLock<Counter<u64>> = OnceLock::new();

    let counter = VERDICTS.get_or_init(|| {
        telemetry::counter(
            "auth_filter.verdicts",
            "{request}",
            "Requests judged, by reason.",
        )
    });

    counter.add(
        1,
        &[
            KeyValue::new("verdict", verdict),
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
fn clipped(text: &str) -> String {
    text.chars().take(MAX_CHARS).collect()
}

const TARGET: &str = "audit";
const MAX_CHARS: usize = 256;
