//! Requests as an SDK sends them.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

/// Encodes spans with these names, in one envelope of the service `sample`.
pub(crate) fn traces<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Vec<u8> {
    let spans = names.into_iter().map(|name| Span {
        trace_id: (1..=16).collect(),
        span_id: (1..=8).collect(),
        name: name.into(),
        kind: 2,
        start_time_unix_nano: 1_000_000_000,
        end_time_unix_nano: 1_500_000_000,
        ..Span::default()
    });

    let scope = ScopeSpans {
        spans: spans.collect(),
        ..ScopeSpans::default()
    };
    let resource = Resource {
        attributes: vec![text("service.name", "sample")],
        ..Resource::default()
    };
    let envelope = ResourceSpans {
        resource: Some(resource),
        scope_spans: vec![scope],
        ..ResourceSpans::default()
    };

    ExportTraceServiceRequest {
        resource_spans: vec![envelope],
    }
    .encode_to_vec()
}

/// Returns `count` names, a prefix and a number each, in sorted order.
pub(crate) fn numbered_names(prefix: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("{prefix}{number:04}"))
        .collect()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue {
        value: Some(Value::StringValue(value.to_owned())),
    });
    KeyValue {
        key: key.to_owned(),
        value,
        ..KeyValue::default()
    }
}
