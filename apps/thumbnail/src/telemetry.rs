//! Telemetry: a span for a run, a counter and a histogram of pictures.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram};
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::ErrorKind;

/// Creates the span of a run, with the parent in `TRACEPARENT` if it is set.
pub(crate) fn run_span(variable: impl Fn(&str) -> Option<String>) -> Span {
    let span = tracing::info_span!("run", otel.name = "thumbnail run");
    let carrier: HashMap<String, String> = ["traceparent", "tracestate"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), variable(&name.to_ascii_uppercase())?)))
        .collect();
    if !carrier.is_empty() {
        // Fails only without a telemetry layer, and then there is nothing to link.
        let _ = span.set_parent(TraceContextPropagator::new().extract(&carrier));
    }
    span
}

/// Counts a picture, or the kind of its error.
pub(crate) fn count(error: Option<ErrorKind>, duration: Duration) {
    static METRICS: OnceLock<(Counter<u64>, Histogram<f64>)> = OnceLock::new();

    let (pictures, histogram) = METRICS.get_or_init(|| {
        (
            chassis::telemetry::counter(
                "thumbnail.pictures",
                "{picture}",
                "Requested pictures, by outcome.",
            ),
            chassis::telemetry::histogram("thumbnail.duration", "s", "Time to make a picture."),
        )
    });

    let outcome = error.map_or("ok", ErrorKind::name);
    let attributes = [KeyValue::new("outcome", outcome)];
    pictures.add(1, &attributes);
    histogram.record(duration.as_secs_f64(), &attributes);
}
