//! The OpenTelemetry SDK, held in one place: its asynchronous processors are marked experimental.
//!
//! The plain batch processor runs on a thread without a reactor, where a hyper client panics and
//! nothing is ever exported; so spans and metrics go through the processors that use tokio.

use std::{env, time::Duration};

use opentelemetry::{KeyValue, global, trace::TracerProvider as _};
use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::{
    Resource,
    metrics::{SdkMeterProvider, periodic_reader_with_async_runtime::PeriodicReader},
    runtime::Tokio,
    trace::{SdkTracerProvider, Tracer, span_processor_with_async_runtime::BatchSpanProcessor},
};
use tokio::{
    task::spawn_blocking,
    time::{Instant, timeout_at},
};

use super::{
    log::{self, Output},
    monitored_exporter::MonitoredExporter,
};
use crate::BoxError;

/// What is exported, as the `OTEL_*` variables say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Export {
    traces: bool,
    metrics: bool,
}

/// The telemetry of a running process; to be flushed at its end.
#[derive(Debug, Default)]
pub(crate) struct TelemetryHandle {
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
}

/// Installs logs and, where an endpoint is named, export; must be called inside the runtime.
pub(crate) fn install(
    name: &'static str,
    version: &'static str,
    directives: &str,
    output: Output,
) -> TelemetryHandle {
    let export = Export::from_variables(|variable| env::var(variable).ok());
    let resource = resource(name, version);
    let mut faults: Vec<BoxError> = Vec::new();
    let mut keep = |fault| faults.push(fault);
    let traces = export
        .traces
        .then(|| tracer_provider(resource.clone()).map_err(&mut keep).ok());
    let metrics = export
        .metrics
        .then(|| meter_provider(resource).map_err(&mut keep).ok());

    let installed = TelemetryHandle {
        traces: traces.flatten(),
        metrics: metrics.flatten(),
    };
    let tracer: Option<Tracer> = installed
        .traces
        .as_ref()
        .map(|traces| traces.tracer("chassis"));
    let is_detailed = log::install(directives, output, tracer);

    if let Some(metrics) = &installed.metrics {
        global::set_meter_provider(metrics.clone());
    }

    let exports = installed.traces.is_some() || installed.metrics.is_some();
    if !exports && !is_detailed {
        super::suppress();
    }

    for fault in faults {
        tracing::error!(error = %fault, "telemetry is not exported");
    }
    installed
}

impl Export {
    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let is =
            |name: &str, value: &str| variable(name).is_some_and(|v| v.eq_ignore_ascii_case(value));
        let given = |name: &str| variable(name).is_some_and(|v| !v.is_empty());
        let enabled = |signal: &str| {
            !is("OTEL_SDK_DISABLED", "true")
                && !is(&format!("OTEL_{signal}_EXPORTER"), "none")
                && (given("OTEL_EXPORTER_OTLP_ENDPOINT")
                    || given(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")))
        };

        Self {
            traces: enabled("TRACES"),
            metrics: enabled("METRICS"),
        }
    }
}

impl TelemetryHandle {
    /// Sends what is left, for no longer than `limit`.
    pub(crate) async fn flush(self, limit: Duration) {
        let Self { traces, metrics } = self;
        // The SDK blocks until its tasks answer; on a worker those tasks could not run.
        let flushing = [
            traces.map(|traces| spawn_blocking(move || traces.shutdown_with_timeout(limit))),
            metrics.map(|metrics| spawn_blocking(move || metrics.shutdown_with_timeout(limit))),
        ];
        let deadline = Instant::now() + limit;

        for flushing in flushing.into_iter().flatten() {
            match timeout_at(deadline, flushing).await {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(error))) => tracing::warn!(%error, "telemetry not flushed"),
                Ok(Err(error)) => tracing::warn!(%error, "telemetry not flushed"),
                Err(_) => tracing::warn!(?limit, "telemetry not flushed in time"),
            }
        }
    }
}

fn tracer_provider(resource: Resource) -> Result<SdkTracerProvider, BoxError> {
    let exporter = SpanExporter::builder().with_http().build()?;
    let processor =
        BatchSpanProcessor::builder(MonitoredExporter::new(exporter, "traces"), Tokio).build();
    Ok(SdkTracerProvider::builder()
        .with_resource(resource)
        .with_span_processor(processor)
        .build())
}

fn meter_provider(resource: Resource) -> Result<SdkMeterProvider, BoxError> {
    let exporter = MetricExporter::builder().with_http().build()?;
    let reader =
        PeriodicReader::builder(MonitoredExporter::new(exporter, "metrics"), Tokio).build();
    Ok(SdkMeterProvider::builder()
        .with_resource(resource)
        .with_reader(reader)
        .build())
}

/// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` win over what the component says of itself.
fn resource(name: &'static str, version: &'static str) -> Resource {
    let from_environment = Resource::builder().build();
    let own = [
        KeyValue::new("service.name", name),
        KeyValue::new("service.version", version),
    ];
    let told = |key: &str| {
        env::var("OTEL_RESOURCE_ATTRIBUTES").is_ok_and(|list| {
            list.split(',')
                .any(|pair| pair.trim().split('=').next() == Some(key))
        })
    };

    let named = env::var("OTEL_SERVICE_NAME").is_ok_and(|name| !name.is_empty());
    let own = own.into_iter().filter(|pair| match pair.key.as_str() {
        "service.name" => !named && !told("service.name"),
        key => !told(key),
    });
    let attributes = from_environment
        .iter()
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()))
        .chain(own);

    Resource::builder_empty()
        .with_attributes(attributes)
        .build()
}
