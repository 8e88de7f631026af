//! Exporters that report failed exports.
//!
//! The SDK silently drops batches it cannot send. Here each lost batch is counted, and the log has
//! one line when the losses begin and one when they end.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use opentelemetry::{KeyValue, metrics::Counter};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
    trace::{SpanData, SpanExporter},
};

/// An exporter that counts and logs failures.
#[derive(Debug)]
pub(super) struct MonitoredExporter<E> {
    exporter: E,
    signal: &'static str,
    failures: AtomicU64,
}

impl<E> MonitoredExporter<E> {
    pub(super) fn new(exporter: E, signal: &'static str) -> Self {
        Self {
            exporter,
            signal,
            failures: AtomicU64::new(0),
        }
    }

    fn report(&self, result: OTelSdkResult) -> OTelSdkResult {
        let signal = self.signal;
        match &result {
            Ok(()) => {
                let lost = self.failures.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    tracing::info!(signal, lost, "telemetry is exported again");
                }
            }
            Err(error) => {
                lost().add(1, &[KeyValue::new("signal", signal)]);
                if self.failures.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::warn!(signal, %error, "telemetry export fails");
                }
            }
        }

        result
    }
}

/// Creates the counter on first use, when the process has installed its meter provider.
fn lost() -> &'static Counter<u64> {
    static LOST: OnceLock<Counter<u64>> = OnceLock::new();
    LOST.get_or_init(|| {
        super::counter(
            "chassis.telemetry.lost",
            "{batch}",
            "Batches of telemetry that could not be sent.",
        )
    })
}

impl<E: SpanExporter> SpanExporter for MonitoredExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.report(self.exporter.export(batch).await)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for MonitoredExporter<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.report(self.exporter.export(metrics).await)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
