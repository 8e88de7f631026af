//! Spans of requests and the W3C trace context that ties them together.
//!
//! Without telemetry nothing is made up: a context that came in is passed on as it came.

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

/// Answers a request inside a SERVER span whose parent is the caller's, and counts its duration.
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
    // Fails only where no telemetry is installed, and then there is no parent to set.
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

/// The CLIENT span of a request to an upstream.
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

/// Records how a request to an upstream ended.
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

/// Writes the current trace context into headers that leave this process.
pub(super) fn inject(headers: &mut HeaderMap) {
    // With telemetry the entered span is the current context; without, what came in is.
    let context = Context::current();
    if context.span().span_context().is_valid() {
        TraceContextPropagator::new().inject_context(&context, &mut HeaderInjector(headers));
        // Injected even when there is no state; a header without a value says nothing.
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

    fn inject_state(state: Option<&'static str>) -> HeaderMap {
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
    fn a_trace_without_state_leaves_without_the_header() {
        for state in [None, Some("")] {
            let headers = inject_state(state);
            assert!(headers.contains_key("traceparent"));
            assert!(!headers.contains_key(TRACESTATE), "{headers:?}");
        }
    }

    #[test]
    fn a_state_that_came_in_is_passed_on() {
        assert_eq!(inject_state(Some("a=b"))[TRACESTATE], "a=b");
    }
}
