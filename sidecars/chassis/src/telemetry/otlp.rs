//! The OpenTelemetry SDK, kept in one place because its asynchronous processors are experimental.
//!
//! The default batch processor runs on a thread without a reactor, where a hyper client panics and
//! nothing is exported; so spans and metrics use the processors for tokio.

use std::{env, time::Duration};

use opentelemetry::{KeyValue, global, trace::TracerProvider as _};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithHttpConfig};
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
    otlp_client::OtlpClient,
    prometheus::PrometheusReader,
};
use crate::BoxError;

/// The exported signals, from the `OTEL_*` variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Export {
    traces: bool,
    metrics: bool,
    /// Metrics on the admin port.
    prometheus: bool,
}

/// The telemetry of a running process, which must be flushed before it exits.
#[derive(Debug, Default)]
pub(crate) struct TelemetryHandle {
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
    /// The reader for `/metrics`.
    pub(crate) prometheus: Option<PrometheusReader>,
}

/// Installs logs and, if an endpoint is set, exporters; must be called inside the runtime.
pub(crate) fn install(
    name: &'static str,
    version: &'static str,
    directives: &str,
    output: Output,
) -> TelemetryHandle {
    let export = Export::from_variables(|variable| env::var(variable).ok());
    let resource = resource(name, version);
    let mut errors: Vec<BoxError> = Vec::new();
    let mut keep = |error| errors.push(error);
    let traces = export
        .traces
        .then(|| tracer_provider(resource.clone()).map_err(&mut keep).ok());
    let prometheus = export.prometheus.then(PrometheusReader::default);
    let metrics = (export.metrics || export.prometheus).then(|| {
        let exporter = export.metrics.then(metric_exporter).transpose();
        // Without its exporter, the process still answers `/metrics`.
        let exporter = exporter.map_err(&mut keep).ok().flatten();
        (exporter.is_some() || prometheus.is_some())
            .then(|| meter_provider(resource, exporter, prometheus.clone()))
    });

    let installed = TelemetryHandle {
        traces: traces.flatten(),
        metrics: metrics.flatten(),
        prometheus,
    };
    let tracer: Option<Tracer> = installed
        .traces
        .as_ref()
        .map(|traces| traces.tracer("chassis"));
    // The subscriber is installed before errors are logged, which is why they are collected.
    let is_detailed = log::install(directives, output, tracer);

    if let Some(metrics) = &installed.metrics {
        global::set_meter_provider(metrics.clone());
    }

    let exports = installed.traces.is_some() || installed.metrics.is_some();
    if !exports && !is_detailed {
        super::suppress();
    }

    for error in errors {
        tracing::error!(%error, "telemetry is not exported");
    }
    installed
}

impl Export {
    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let is =
            |name: &str, value: &str| variable(name).is_some_and(|v| v.eq_ignore_ascii_case(value));
        let is_set = |name: &str| variable(name).is_some_and(|v| !v.is_empty());
        let enabled = |signal: &str| {
            !is("OTEL_SDK_DISABLED", "true")
                // As the OpenTelemetry SDK specification defines these variables.
                && !is(&format!("OTEL_{signal}_EXPORTER"), "none")
                && (is_set("OTEL_EXPORTER_OTLP_ENDPOINT")
                    || is_set(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")))
        };

        // A list, as `OTEL_TRACES_EXPORTER` and this variable are specified.
        let exporters = variable("OTEL_METRICS_EXPORTER").unwrap_or_default();
        let lists = |name: &str| {
            let mut exporters = exporters.split(',').map(str::trim);
            exporters.any(|exporter| exporter.eq_ignore_ascii_case(name))
        };
        let prometheus = lists("prometheus") && !is("OTEL_SDK_DISABLED", "true");

        Self {
            traces: enabled("TRACES"),
            metrics: enabled("METRICS") && (!prometheus || lists("otlp")),
            prometheus,
        }
    }
}

impl TelemetryHandle {
    /// Sends the remaining telemetry within `limit`.
    pub(crate) async fn flush(self, limit: Duration) {
        let Self {
            traces, metrics, ..
        } = self;
        // The SDK blocks until its tasks finish; on a worker thread those tasks could not run.
        let flushing = [
            traces.map(|traces| spawn_blocking(move || traces.shutdown_with_timeout(limit))),
            metrics.map(|metrics| spawn_blocking(move || metrics.shutdown_with_timeout(limit))),
        ];
        // One deadline for both signals, which are flushed concurrently.
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
    let client = OtlpClient::from_variables("TRACES", |variable| env::var(variable).ok());
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .build()?;
    let processor =
        BatchSpanProcessor::builder(MonitoredExporter::new(exporter, "traces"), Tokio).build();
    Ok(SdkTracerProvider::builder()
        .with_resource(resource)
        .with_span_processor(processor)
        .build())
}

fn metric_exporter() -> Result<MetricExporter, BoxError> {
    let client = OtlpClient::from_variables("METRICS", |variable| env::var(variable).ok());
    let exporter = MetricExporter::builder()
        .with_http()
        .with_http_client(client)
        .build()?;
    Ok(exporter)
}

fn meter_provider(
    resource: Resource,
    exporter: Option<MetricExporter>,
    prometheus: Option<PrometheusReader>,
) -> SdkMeterProvider {
    let mut builder = SdkMeterProvider::builder().with_resource(resource);
    if let Some(exporter) = exporter {
        let exporter = MonitoredExporter::new(exporter, "metrics");
        builder = builder.with_reader(PeriodicReader::builder(exporter, Tokio).build());
    }
    if let Some(reader) = prometheus {
        builder = builder.with_reader(reader);
    }
    builder.build()
}

/// Builds the resource; `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` win over the component's attributes.
fn resource(name: &'static str, version: &'static str) -> Resource {
    // The SDK's default detectors read the two variables; they also set `service.name=unknown_service`.
    let from_environment = Resource::builder().build();
    let own = [
        KeyValue::new("service.name", name),
        KeyValue::new("service.version", version),
    ];
    let is_in_environment = |key: &str| {
        env::var("OTEL_RESOURCE_ATTRIBUTES").is_ok_and(|list| {
            list.split(',')
                .any(|pair| pair.trim().split('=').next() == Some(key))
        })
    };

    let has_service_name = env::var("OTEL_SERVICE_NAME").is_ok_and(|name| !name.is_empty());
    let own = own.into_iter().filter(|pair| match pair.key.as_str() {
        "service.name" => !has_service_name && !is_in_environment("service.name"),
        key => !is_in_environment(key),
    });
    let attributes = from_environment
        .iter()
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()))
        .chain(own);

    Resource::builder_empty()
        .with_attributes(attributes)
        .build()
}
