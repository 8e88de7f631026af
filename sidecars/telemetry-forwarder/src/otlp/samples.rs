//! Requests for the tests of this module, encoded by opentelemetry-proto.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use super::Signal;

/// Encodes a request of one envelope, one scope and `items` items.
pub(crate) fn request(signal: Signal, items: usize) -> Vec<u8> {
    let resource = Some(Resource {
        attributes: vec![pair(
            "service.name",
            Value::StringValue("sample".to_owned()),
        )],
        ..Resource::default()
    });

    match signal {
        Signal::Traces => {
            let scope = ScopeSpans {
                spans: vec![span(); items],
                ..ScopeSpans::default()
            };
            let spans = ResourceSpans {
                resource,
                scope_spans: vec![scope],
                ..ResourceSpans::default()
            };

            ExportTraceServiceRequest {
                resource_spans: vec![spans],
            }
            .encode_to_vec()
        }
        Signal::Metrics => {
            let scope = ScopeMetrics {
                metrics: vec![gauge(); items],
                ..ScopeMetrics::default()
            };
            let metrics = ResourceMetrics {
                resource,
                scope_metrics: vec![scope],
                ..ResourceMetrics::default()
            };

            ExportMetricsServiceRequest {
                resource_metrics: vec![metrics],
            }
            .encode_to_vec()
        }
        Signal::Logs => {
            let scope = ScopeLogs {
                log_records: vec![record(); items],
                ..ScopeLogs::default()
            };
            let logs = ResourceLogs {
                resource,
                scope_logs: vec![scope],
                ..ResourceLogs::default()
            };

            ExportLogsServiceRequest {
                resource_logs: vec![logs],
            }
            .encode_to_vec()
        }
    }
}

/// Encodes a log record with a body of `depth` nested lists.
pub(crate) fn nested_value(depth: usize) -> Vec<u8> {
    let mut value = AnyValue::default();
    for _ in 0..depth {
        value = AnyValue {
            value: Some(Value::ArrayValue(ArrayValue {
                values: vec![value],
            })),
        };
    }

    let record = LogRecord {
        body: Some(value),
        ..LogRecord::default()
    };
    let scope = ScopeLogs {
        log_records: vec![record],
        ..ScopeLogs::default()
    };
    let logs = ResourceLogs {
        scope_logs: vec![scope],
        ..ResourceLogs::default()
    };

    ExportLogsServiceRequest {
        resource_logs: vec![logs],
    }
    .encode_to_vec()
}

/// Returns the key and the value of a text attribute.
pub(crate) fn text_pair(pair: KeyValue) -> (String, String) {
    match pair.value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => (pair.key, text),
        other => panic!("`{}` is {other:?}", pair.key),
    }
}

fn span() -> Span {
    Span {
        // All bytes differ, so that a wrong order would show.
        trace_id: (1..=16).collect(),
        span_id: (1..=8).collect(),
        name: "GET /v1/coins".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_000_000_000,
        end_time_unix_nano: 1_500_000_000,
        attributes: vec![pair("http.response.status_code", Value::IntValue(200))],
        ..Span::default()
    }
}

fn gauge() -> Metric {
    let point = NumberDataPoint {
        time_unix_nano: 1_000_000_000,
        value: Some(number_data_point::Value::AsDouble(0.1)),
        ..NumberDataPoint::default()
    };
    let data = Some(metric::Data::Gauge(Gauge {
        data_points: vec![point],
    }));

    Metric {
        name: "queue.size".to_owned(),
        unit: "By".to_owned(),
        data,
        ..Metric::default()
    }
}

fn record() -> LogRecord {
    LogRecord {
        time_unix_nano: 1_000_000_000,
        severity_number: 9,
        body: Some(AnyValue {
            // Not UTF-8, so that it must be base64 in JSON.
            value: Some(Value::BytesValue(vec![0, 255, 127])),
        }),
        ..LogRecord::default()
    }
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}
