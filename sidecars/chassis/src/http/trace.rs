//! Spans of requests, and the W3C trace context that links them.
//!
//! Without telemetry no span is created, and an incoming trace context is forwarded unchanged.

use std::{future::Future, time::Instant};

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, uri::Authority};
use opentelemetry::{
    Context, context::FutureExt, propagation::TextMapPropagator, trace::TraceContextExt,
};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Instrument, Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::Body;
use crate::telemetry;

/// Handles a request in a SERVER span with the caller's span as parent, and records its duration.
///
/// `name` is the route, not the path: `GET /v1/coins`.
pub async fn trace_request<B, H, F>(
    name: &'static str,
    request: Request<B>,
    handler: H,
) -> Response<Body>
where
    H: FnOnce(Request<B>) -> F,
    F: Future<Output = Response<Body>>,
{
    // A trace context must be forwarded even without telemetry, which needs the code below.
    if telemetry::is_suppressed() && !request.headers().contains_key(TRACEPARENT) {
        return handler(request).await;
    }

    let started = Instant::now();
    let method = request.method().clone();
    let span = tracing::info_span!(
        "request",
        otel.name = name,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = %method,
        http.response.status_code = Empty,
        url.path = request.uri().path(),
    );

    let remote = TraceContextPropagator::new().extract(&HeaderExtractor(request.headers()));
    // Fails only without installed telemetry, and then there is no parent to set.
    let _ = span.set_parent(remote.clone());
    let answering = async {
        let response = handler(request).await;
        tracing::debug!(
            status = response.status().as_u16(),
            duration = ?started.elapsed(),
            "request answered"
        );
        response
    };

    // Without installed telemetry the span has no OpenTelemetry context; this one carries the caller's.
    let response = answering
        .instrument(span.clone())
        .with_context(remote)
        .await;

    record_status(
        &span,
        response.status(),
        response.status().is_server_error(),
    );
    telemetry::record_server_request(
        name,
        method.as_str(),
        response.status().as_u16(),
        started.elapsed(),
    );

    response
}

/// Creates the CLIENT span of a request to an upstream.
pub(super) fn client_span(request: &Request<Body>, authority: &Authority) -> Span {
    if telemetry::is_suppressed() {
        return Span::none();
    }
    tracing::info_span!(
        "upstream request",
        otel.name = request.method().as_str(),
        otel.kind = "client",
        otel.status_code = Empty,
        http.request.method = %request.method(),
        http.response.status_code = Empty,
        server.address = authority.host(),
        server.port = authority.port_u16(),
        error.type = Empty,
    )
}

/// Records the result of a request to an upstream.
pub(super) fn record_client(span: &Span, result: Result<StatusCode, &dyn std::error::Error>) {
    match result {
        Ok(status) => record_status(
            span,
            status,
            status.is_client_error() || status.is_server_error(),
        ),
        Err(error) => {
            span.record("otel.status_code", "error");
            span.record("error.type", tracing::field::display(error));
        }
    }
}

/// Writes the current trace context into the headers of an outgoing request.
pub(super) fn inject(headers: &mut HeaderMap) {
    // With telemetry the current context is the entered span; without, it is the incoming context.
    let context = Context::current();
    if context.span().span_context().is_valid() {
        TraceContextPropagator::new().inject_context(&context, &mut HeaderInjector(headers));
        // The propagator injects `tracestate` even if it is empty; such a header carries nothing.
        if headers.get(TRACESTATE).is_some_and(HeaderValue::is_empty) {
            headers.remove(TRACESTATE);
        }
    }
}

fn record_status(span: &Span, status: StatusCode, failed: bool) {
    span.record("http.response.status_code", status.as_u16());
    if failed {
        span.record("otel.status_code", "error");
    }
}

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

#[cfg(test)]
mod tests {
    use super::*;

    fn headers_with_injected(state: Option<&'static str>) -> HeaderMap {
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", HeaderValue::from_static(trace));
        if let Some(state) = state {
            headers.insert(TRACESTATE, HeaderValue::from_static(state));
        }
        let remote = TraceContextPropagator::new().extract(&HeaderExtractor(&headers));
        let _entered = remote.attach();
        inject(&mut headers);
        headers
    }

    #[test]
    fn omits_an_empty_tracestate() {
        for state in [None, Some("")] {
            let headers = headers_with_injected(state);
            assert!(headers.contains_key("traceparent"));
            assert!(!headers.contains_key(TRACESTATE), "{headers:?}");
        }
    }

    #[test]
    fn forwards_an_incoming_tracestate() {
        assert_eq!(headers_with_injected(Some("a=b"))[TRACESTATE], "a=b");
    }
}
