//! Logs as JSON lines; metrics and traces over OTLP.
//!
//! Components use [`counter`], [`histogram`] and the `tracing` macros; [`crate::main`] installs
//! the subscriber and exporters. Without `OTEL_EXPORTER_OTLP_ENDPOINT` nothing is exported; with
//! `OTEL_METRICS_EXPORTER=prometheus` the admin port answers `/metrics`.

mod log;
mod monitored_exporter;
mod otlp;
mod otlp_client;
mod prometheus;

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Gauge, Histogram, Meter},
};

pub(crate) use log::{Output, directives_error};
pub(crate) use otlp::{TelemetryHandle, install};
pub(crate) use prometheus::{CONTENT_TYPE, PrometheusReader};

/// Creates a counter, such as `tls_proxy.handshakes` with the unit `{handshake}`.
pub fn counter(name: &'static str, unit: &'static str, description: &'static str) -> Counter<u64> {
    meter()
        .u64_counter(name)
        .with_unit(unit)
        .with_description(description)
        .build()
}

/// Creates a histogram, such as of seconds or bytes.
pub fn histogram(
    name: &'static str,
    unit: &'static str,
    description: &'static str,
) -> Histogram<f64> {
    let meter = meter();
    let builder = meter
        .f64_histogram(name)
        .with_unit(unit)
        .with_description(description);
    // The SDK's default boundaries are those of milliseconds: nearly all seconds would be in one bucket.
    if unit == "s" {
        return builder.with_boundaries(SECONDS.to_vec()).build();
    }
    builder.build()
}

/// Creates a gauge, which exports the last recorded value.
pub fn gauge(name: &'static str, unit: &'static str, description: &'static str) -> Gauge<f64> {
    meter()
        .f64_gauge(name)
        .with_unit(unit)
        .with_description(description)
        .build()
}

/// Returns whether spans and measurements of requests would be discarded, since nothing is exported
/// and the log level hides them. Set by [`install`] only, so that a program with another subscriber
/// keeps its spans.
pub(crate) fn is_suppressed() -> bool {
    SUPPRESSED.load(Ordering::Relaxed)
}

fn suppress() {
    SUPPRESSED.store(true, Ordering::Relaxed);
}

/// From OpenTelemetry's semantic conventions for HTTP metrics, `http.server.request.duration`.
const SECONDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

static SUPPRESSED: AtomicBool = AtomicBool::new(false);

/// Records an answered request in `http.server.request.duration`.
pub(crate) fn record_server_request(
    route: &'static str,
    method: &str,
    status: u16,
    duration: Duration,
) {
    // Created on first use, when the process has installed its meter provider.
    static DURATION: OnceLock<Histogram<f64>> = OnceLock::new();

    let histogram = DURATION.get_or_init(|| {
        histogram(
            "http.server.request.duration",
            "s",
            "Duration of requests answered here.",
        )
    });

    let attributes = [
        KeyValue::new("http.route", route),
        KeyValue::new("http.request.method", known_method(method)),
        KeyValue::new("http.response.status_code", i64::from(status)),
    ];
    histogram.record(duration.as_secs_f64(), &attributes);
}

/// Maps unknown methods to `_OTHER` (OpenTelemetry's HTTP conventions), because each value is a time series.
fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 9] = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
    ];
    KNOWN
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("_OTHER")
}

fn meter() -> Meter {
    global::meter("chassis")
}
