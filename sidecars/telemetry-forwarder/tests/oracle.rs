//! Property tests that compare this crate with another implementation: prost and
//! opentelemetry-proto.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest as Logs;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest as Metrics;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest as Traces;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryDataPoint, exemplar, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use prost::Message;
use telemetry_forwarder::otlp::Signal;
use telemetry_forwarder::otlp::enrich::{Attributes, enrich};
use telemetry_forwarder::otlp::from_json::from_json;
use telemetry_forwarder::otlp::halve::halve;
use telemetry_forwarder::otlp::to_json::to_json;
use telemetry_forwarder::otlp::validate::validate;

fn decodes(signal: Signal, bytes: &[u8]) -> bool {
    match signal {
        Signal::Traces => Traces::decode(bytes).is_ok(),
        Signal::Metrics => Metrics::decode(bytes).is_ok(),
        Signal::Logs => Logs::decode(bytes).is_ok(),
    }
}

fn any_signal() -> impl Strategy<Value = Signal> {
    prop_oneof![
        Just(Signal::Traces),
        Just(Signal::Metrics),
        Just(Signal::Logs)
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z.]{0,12}",
        any::<String>().prop_map(|text| text.chars().take(8).collect())
    ]
}

fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = option::of(prop_oneof![
        text().prop_map(Value::StringValue),
        any::<bool>().prop_map(Value::BoolValue),
        any::<i64>().prop_map(Value::IntValue),
        number().prop_map(Value::DoubleValue),
        // Lengths around a multiple of three cover the padding of base64.
        vec(any::<u8>(), 0..6).prop_map(Value::BytesValue),
    ])
    .prop_map(|value| AnyValue { value });

    // Three levels are enough to nest lists in maps and maps in lists.
    leaf.prop_recursive(3, 12, 3, |inner| {
        let values = vec(inner.clone(), 0..3).prop_map(|values| ArrayValue { values });
        let pair = (text(), option::of(inner)).prop_map(|(key, value)| KeyValue {
            key,
            value,
            ..KeyValue::default()
        });
        let pairs = vec(pair, 0..3).prop_map(|values| KeyValueList { values });

        prop_oneof![
            values.prop_map(|list| AnyValue {
                value: Some(Value::ArrayValue(list))
            }),
            pairs.prop_map(|list| AnyValue {
                value: Some(Value::KvlistValue(list))
            }),
        ]
    })
}

/// NaN does not equal itself, so it has a separate test.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(-0.0)
    ]
    .prop_filter("NaN", |value| !value.is_nan())
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let pair = (text(), option::of(any_value()));
    vec(
        pair.prop_map(|(key, value)| KeyValue {
            key,
            value,
            ..KeyValue::default()
        }),
        0..3,
    )
}

fn id(length: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(Vec::new()), vec(any::<u8>(), length)]
}

fn resource() -> impl Strategy<Value = Option<Resource>> {
    let resource = (attributes(), any::<u32>()).prop_map(|(attributes, dropped)| Resource {
        attributes,
        dropped_attributes_count: dropped,
        ..Resource::default()
    });
    option::of(resource)
}

fn scope() -> impl Strategy<Value = Option<InstrumentationScope>> {
    let scope = (text(), text(), attributes()).prop_map(|(name, version, attributes)| {
        InstrumentationScope {
            name,
            version,
            attributes,
            ..InstrumentationScope::default()
        }
    });
    option::of(scope)
}

fn span() -> impl Strategy<Value = Span> {
    let ids = (id(16), id(8), id(8), text());
    let times = (any::<u64>(), any::<u64>(), any::<u32>(), any::<i32>());
    let event = (any::<u64>(), text(), attributes(), any::<u32>()).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    );

    let link = (id(16), id(8), attributes(), any::<u32>()).prop_map(
        |(trace_id, span_id, attributes, flags)| Link {
            trace_id,
            span_id,
            attributes,
            flags,
            ..Link::default()
        },
    );

    let status = (text(), 0..3).prop_map(|(message, code)| Status { message, code });
    let rest = (
        text(),
        attributes(),
        vec(event, 0..2),
        vec(link, 0..2),
        option::of(status),
    );

    (ids, times, rest).prop_map(|(ids, times, rest)| Span {
        trace_id: ids.0,
        span_id: ids.1,
        parent_span_id: ids.2,
        trace_state: ids.3,
        start_time_unix_nano: times.0,
        end_time_unix_nano: times.1,
        flags: times.2,
        kind: times.3,
        name: rest.0,
        attributes: rest.1,
        events: rest.2,
        links: rest.3,
        status: rest.4,
        ..Span::default()
    })
}

fn traces() -> impl Strategy<Value = Traces> {
    let scope =
        (scope(), vec(span(), 0..4), text()).prop_map(|(scope, spans, schema_url)| ScopeSpans {
            scope,
            spans,
            schema_url,
        });

    let resource =
        (resource(), vec(scope, 0..3), text()).prop_map(|(resource, scope_spans, schema_url)| {
            ResourceSpans {
                resource,
                scope_spans,
                schema_url,
            }
        });

    vec(resource, 0..3).prop_map(|resource_spans| Traces { resource_spans })
}

fn record() -> impl Strategy<Value = LogRecord> {
    let times = (any::<u64>(), any::<u64>(), 0..25, any::<u32>());
    let rest = (
        text(),
        option::of(any_value()),
        attributes(),
        id(16),
        id(8),
        text(),
    );

    (times, rest).prop_map(|(times, rest)| LogRecord {
        time_unix_nano: times.0,
        observed_time_unix_nano: times.1,
        severity_number: times.2,
        flags: times.3,
        severity_text: rest.0,
        body: rest.1,
        attributes: rest.2,
        trace_id: rest.3,
        span_id: rest.4,
        event_name: rest.5,
        ..LogRecord::default()
    })
}

fn logs() -> impl Strategy<Value = Logs> {
    let scope = (scope(), vec(record(), 0..4)).prop_map(|(scope, log_records)| ScopeLogs {
        scope,
        log_records,
        ..ScopeLogs::default()
    });
    let resource = (resource(), vec(scope, 0..3)).prop_map(|(resource, scope_logs)| ResourceLogs {
        resource,
        scope_logs,
        ..ResourceLogs::default()
    });
    vec(resource, 0..3).prop_map(|resource_logs| Logs { resource_logs })
}

fn exemplar() -> impl Strategy<Value = Exemplar> {
    let value = option::of(prop_oneof![
        number().prop_map(exemplar::Value::AsDouble),
        any::<i64>().prop_map(exemplar::Value::AsInt),
    ]);

    (attributes(), any::<u64>(), value, id(16), id(8)).prop_map(
        |(filtered_attributes, time_unix_nano, value, trace_id, span_id)| Exemplar {
            filtered_attributes,
            time_unix_nano,
            value,
            trace_id,
            span_id,
        },
    )
}

fn number_point() -> impl Strategy<Value = NumberDataPoint> {
    let value = option::of(prop_oneof![
        number().prop_map(number_data_point::Value::AsDouble),
        any::<i64>().prop_map(number_data_point::Value::AsInt),
    ]);

    (
        attributes(),
        any::<u64>(),
        any::<u64>(),
        value,
        vec(exemplar(), 0..2),
        any::<u32>(),
    )
        .prop_map(
            |(attributes, start_time_unix_nano, time_unix_nano, value, exemplars, flags)| {
                NumberDataPoint {
                    attributes,
                    start_time_unix_nano,
                    time_unix_nano,
                    value,
                    exemplars,
                    flags,
                }
            },
        )
}

fn histogram_point() -> impl Strategy<Value = HistogramDataPoint> {
    let sums = (
        option::of(number()),
        option::of(number()),
        option::of(number()),
    );

    (
        attributes(),
        any::<u64>(),
        sums,
        vec(any::<u64>(), 0..4),
        vec(number(), 0..4),
    )
        .prop_map(
            |(attributes, count, (sum, min, max), bucket_counts, explicit_bounds)| {
                HistogramDataPoint {
                    attributes,
                    count,
                    sum,
                    min,
                    max,
                    bucket_counts,
                    explicit_bounds,
                    ..HistogramDataPoint::default()
                }
            },
        )
}

fn exponential_point() -> impl Strategy<Value = ExponentialHistogramDataPoint> {
    let buckets = || {
        let buckets = (any::<i32>(), vec(any::<u64>(), 0..4));
        option::of(buckets.prop_map(|(offset, bucket_counts)| Buckets {
            offset,
            bucket_counts,
        }))
    };

    (
        attributes(),
        any::<i32>(),
        number(),
        buckets(),
        buckets(),
        option::of(number()),
    )
        .prop_map(
            |(attributes, scale, zero_threshold, positive, negative, sum)| {
                ExponentialHistogramDataPoint {
                    attributes,
                    scale,
                    zero_threshold,
                    positive,
                    negative,
                    sum,
                    ..ExponentialHistogramDataPoint::default()
                }
            },
        )
}

fn summary_point() -> impl Strategy<Value = SummaryDataPoint> {
    let quantile = (number(), number());
    let quantile = quantile.prop_map(|(quantile, value)| ValueAtQuantile { quantile, value });
    (attributes(), any::<u64>(), number(), vec(quantile, 0..3)).prop_map(
        |(attributes, count, sum, quantile_values)| SummaryDataPoint {
            attributes,
            count,
            sum,
            quantile_values,
            ..SummaryDataPoint::default()
        },
    )
}

fn metric() -> impl Strategy<Value = Metric> {
    let numbers = || vec(number_point(), 0..3);
    let data = prop_oneof![
        numbers().prop_map(|data_points| Data::Gauge(Gauge { data_points })),
        (numbers(), 0..3, any::<bool>()).prop_map(
            |(data_points, aggregation_temporality, is_monotonic)| Data::Sum(Sum {
                data_points,
                aggregation_temporality,
                is_monotonic
            })
        ),
        (vec(histogram_point(), 0..3), 0..3).prop_map(|(data_points, aggregation_temporality)| {
            Data::Histogram(Histogram {
                data_points,
                aggregation_temporality,
            })
        }),
        (vec(exponential_point(), 0..3), 0..3).prop_map(
            |(data_points, aggregation_temporality)| Data::ExponentialHistogram(
                ExponentialHistogram {
                    data_points,
                    aggregation_temporality
                }
            )
        ),
        vec(summary_point(), 0..3).prop_map(|data_points| Data::Summary(Summary { data_points })),
    ];

    (text(), text(), text(), option::of(data), attributes()).prop_map(
        |(name, description, unit, data, metadata)| Metric {
            name,
            description,
            unit,
            data,
            metadata,
        },
    )
}

fn metrics() -> impl Strategy<Value = Metrics> {
    let scope = (scope(), vec(metric(), 0..3)).prop_map(|(scope, metrics)| ScopeMetrics {
        scope,
        metrics,
        ..ScopeMetrics::default()
    });
    let resource =
        (resource(), vec(scope, 0..2)).prop_map(|(resource, scope_metrics)| ResourceMetrics {
            resource,
            scope_metrics,
            ..ResourceMetrics::default()
        });

    vec(resource, 0..2).prop_map(|resource_metrics| Metrics { resource_metrics })
}

fn request() -> impl Strategy<Value = (Signal, Vec<u8>)> {
    prop_oneof![
        traces().prop_map(|request| (Signal::Traces, request.encode_to_vec())),
        metrics().prop_map(|request| (Signal::Metrics, request.encode_to_vec())),
        logs().prop_map(|request| (Signal::Logs, request.encode_to_vec())),
    ]
}

/// Converts a request to JSON and back, for comparison after decoding.
fn through_json(signal: Signal, request: &[u8]) -> Vec<u8> {
    let mut json = String::new();
    to_json(signal, request, &mut json).unwrap();
    serde_json::from_str::<serde_json::Value>(&json).unwrap();
    from_json(signal, json.as_bytes()).unwrap()
}

fn spans_in(request: &Traces) -> Vec<Span> {
    let scopes = request
        .resource_spans
        .iter()
        .flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| scope.spans.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn prost_decodes_random_bytes_that_validate(
        signal in any_signal(), bytes in vec(any::<u8>(), 0..40),
    ) {
        if validate(signal, &bytes).is_ok() {
            prop_assert!(decodes(signal, &bytes));
        }
    }

    #[test]
    fn prost_decodes_damaged_requests_that_validate(
        (signal, mut bytes) in request(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        other in any_signal(),
    ) {
        if !bytes.is_empty() {
            for (index, byte) in damage {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
        }
        // Validated as another signal too, where field numbers have other types.
        for signal in [signal, other] {
            if validate(signal, &bytes).is_ok() {
                prop_assert!(decodes(signal, &bytes));
            }
        }
    }

    #[test]
    fn validates_every_generated_request((signal, bytes) in request()) {
        prop_assert!(validate(signal, &bytes).is_ok());
    }

    #[test]
    fn counts_the_same_spans_as_prost(request in traces()) {
        let counted = validate(Signal::Traces, &request.encode_to_vec());
        prop_assert_eq!(counted, Ok(spans_in(&request).len()));
    }

    #[test]
    fn round_trips_traces_through_json(request in traces()) {
        let back = through_json(Signal::Traces, &request.encode_to_vec());
        prop_assert_eq!(Traces::decode(&back[..]).unwrap(), request);
    }

    #[test]
    fn round_trips_metrics_through_json(request in metrics()) {
        let back = through_json(Signal::Metrics, &request.encode_to_vec());
        prop_assert_eq!(Metrics::decode(&back[..]).unwrap(), request);
    }

    #[test]
    fn round_trips_logs_through_json(request in logs()) {
        let back = through_json(Signal::Logs, &request.encode_to_vec());
        prop_assert_eq!(Logs::decode(&back[..]).unwrap(), request);
    }

    #[test]
    fn concatenated_requests_decode_to_all_parts(left in traces(), right in traces()) {
        // The queue relies on this property of protobuf.
        let joined = [left.encode_to_vec(), right.encode_to_vec()].concat();
        let expected = [left.resource_spans, right.resource_spans].concat();
        prop_assert_eq!(Traces::decode(&joined[..]).unwrap().resource_spans, expected);
    }

    #[test]
    fn enrichment_adds_only_the_missing_attributes(request in traces()) {
        let added = Attributes::new([("a", "1"), ("cloud.provider", "aws")]);
        let bytes = request.encode_to_vec();
        let enriched = enrich(&bytes, &added).unwrap();
        let mut decoded = Traces::decode(&enriched[..]).unwrap();
        prop_assert_eq!(decoded.resource_spans.len(), request.resource_spans.len());
        for (after, before) in decoded.resource_spans.iter_mut().zip(&request.resource_spans) {
            let before_attributes = before.resource.clone().unwrap_or_default().attributes;
            let resource = after.resource.as_mut().unwrap();
            // Added attributes come last, after those of the sender.
            let new = resource.attributes.split_off(before_attributes.len());
            let keys: Vec<&str> = new.iter().map(|pair| pair.key.as_str()).collect();
            let had = |key: &&str| !before_attributes.iter().any(|pair| pair.key == *key);
            let expected: Vec<&str> = added.keys().filter(had).collect();
            prop_assert_eq!(keys, expected);
            prop_assert_eq!(&*resource, &before.resource.clone().unwrap_or_default());
            prop_assert_eq!(&after.scope_spans, &before.scope_spans);
        }
    }

    #[test]
    fn halves_contain_all_spans_of_the_request(request in traces()) {
        let whole = request.encode_to_vec();
        if let Some((left, right)) = halve(&whole).unwrap() {
            let left = Traces::decode(&left[..]).unwrap();
            let right = Traces::decode(&right[..]).unwrap();
            prop_assert_eq!([spans_in(&left), spans_in(&right)].concat(), spans_in(&request));
        }
    }

    #[test]
    fn converted_json_always_validates_and_decodes(signal in any_signal(), json in "[\\[\\]{}:,\"a-zA-Z0-9]{0,60}") {
        if let Ok(bytes) = from_json(signal, json.as_bytes()) {
            // The reader only emits fields of the tables, so its output is always well-formed.
            prop_assert!(validate(signal, &bytes).is_ok() && decodes(signal, &bytes));
        }
    }
}

#[test]
fn round_trips_nan_through_json() {
    let value = Some(number_data_point::Value::AsDouble(f64::NAN));
    let data_points = vec![NumberDataPoint {
        value,
        ..NumberDataPoint::default()
    }];
    let metric = Metric {
        data: Some(Data::Gauge(Gauge { data_points })),
        ..Metric::default()
    };
    let scope = ScopeMetrics {
        metrics: vec![metric],
        ..ScopeMetrics::default()
    };
    let resource = ResourceMetrics {
        scope_metrics: vec![scope],
        ..ResourceMetrics::default()
    };
    let request = Metrics {
        resource_metrics: vec![resource],
    }
    .encode_to_vec();
    assert_eq!(through_json(Signal::Metrics, &request), request);
}
