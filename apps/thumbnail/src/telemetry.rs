//! What `thumbnail` says about itself: a span for a run, a counter and a histogram of pictures.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram};
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::Kind;

/// The span of a run; whoever started the task may have named its parent in `TRACEPARENT`.
pub(crate) fn run_span(variable: impl Fn(&str) -> Option<String>) -> Span {
    let span = tracing::info_span!("run", otel.name = "thumbnail run");
    let carrier: HashMap<String, String> = ["traceparent", "tracestate"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), variable(&name.to_ascii_uppercase())?)))
        .collect();
    if !carrier.is_empty() {
        // Fails only where no telemetry is installed, and then there is no parent to set.
        let _ = span.set_parent(TraceContextPropagator::new().extract(&carrier));
    }
    span
}

/// Counts one picture, or the class of its failure.
pub(crate) fn count(failure: Option<Kind>, took: Duration) {
    static METRICS: OnceLock<(Counter<u64>, Histogram<f64>)> = OnceLock::new();

    let (pictures, duration) = METRICS.get_or_init(|| {
        (
            chassis::telemetry::counter("thumbnail.pictures", "{picture}", "Pictures asked for."),
            chassis::telemetry::histogram("thumbnail.duration", "s", "Time to make one picture."),
        )
    });

    let outcome = failure.map_or("ok", Kind::name);
    let attributes = [KeyValue::new("outcome", outcome)];
    pictures.add(1, &attributes);
    duration.record(took.as_secs_f64(), &attributes);
}
