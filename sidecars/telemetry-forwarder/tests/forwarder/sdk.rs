//! Tests the forwarder with the OpenTelemetry SDK as the sender.

use opentelemetry::trace::{Tracer, TracerProvider};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::runtime::Tokio;
use opentelemetry_sdk::trace::SdkTracerProvider;
use opentelemetry_sdk::trace::span_processor_with_async_runtime::BatchSpanProcessor;

use crate::support::samples::numbered_names;
use crate::support::sink::Sink;
use crate::support::{TestForwarder, config};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receives_every_span_of_the_sdk() {
    let sink = Sink::start().await;
    let forwarder = TestForwarder::start(config(sink.url())).await;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("http://{}/v1/traces", forwarder.http))
        .build()
        .unwrap();

    let processor = BatchSpanProcessor::builder(exporter, Tokio).build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(processor)
        .build();
    let tracer = provider.tracer("test");

    for name in numbered_names("", 100) {
        tracer.in_span(name, |_| {});
    }

    // `force_flush` blocks, and the exporter needs the runtime meanwhile.
    let flushing = provider.clone();
    tokio::task::spawn_blocking(move || flushing.force_flush())
        .await
        .unwrap()
        .unwrap();
    forwarder.stop().await;
    assert_eq!(sink.spans(), numbered_names("", 100));
}
