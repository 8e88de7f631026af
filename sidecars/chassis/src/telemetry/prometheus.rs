//! Metrics in the text format of Prometheus, read when `/metrics` is requested.
//!
//! Names and units are translated as the OpenTelemetry specification defines ("Prometheus and OpenMetrics
//! Compatibility"): `http.server.request.duration` in `s` is `http_server_request_duration_seconds`.

use std::{
    fmt::{self, Display, Write as _},
    sync::{Arc, Weak},
    time::Duration,
};

use opentelemetry::KeyValue;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    metrics::{
        InstrumentKind, ManualReader, Pipeline, Temporality,
        data::{AggregatedMetrics, Histogram, Metric, MetricData, ResourceMetrics, ScopeMetrics},
        reader::MetricReader,
    },
};

/// The media type of the format (version 0.0.4).
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Reads the metrics of this process; clones share the reader.
#[derive(Debug, Clone, Default)]
pub(crate) struct PrometheusReader(Arc<ManualReader>);

impl PrometheusReader {
    /// Returns the current values of all metrics.
    pub(crate) fn render(&self) -> Result<String, opentelemetry_sdk::error::OTelSdkError> {
        let mut metrics = ResourceMetrics::default();
        self.collect(&mut metrics)?;
        Ok(format_metrics(&metrics))
    }
}

// The meter provider owns its readers, and `ManualReader` cannot be cloned.
impl MetricReader for PrometheusReader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

fn format_metrics(metrics: &ResourceMetrics) -> String {
    let mut text = String::new();
    let resource: Vec<KeyValue> = metrics
        .resource()
        .iter()
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()))
        .collect();
    write_header(&mut text, "target_info", "gauge", "Target metadata.");
    write_sample(&mut text, "target_info", Labels::new(&resource), 1);

    for metric in metrics.scope_metrics().flat_map(ScopeMetrics::metrics) {
        match metric.data() {
            AggregatedMetrics::F64(data) => write_metric(&mut text, metric, data),
            AggregatedMetrics::U64(data) => write_metric(&mut text, metric, data),
            AggregatedMetrics::I64(data) => write_metric(&mut text, metric, data),
        }
    }
    text
}

fn write_metric<T: Display + Copy>(text: &mut String, metric: &Metric, data: &MetricData<T>) {
    let name = metric_name(metric);
    match data {
        MetricData::Gauge(gauge) => {
            write_header(text, &name, "gauge", metric.description());
            for point in gauge.data_points() {
                write_sample(text, &name, Labels::new(point.attributes()), point.value());
            }
        }
        MetricData::Sum(sum) => {
            let (name, kind) = if sum.is_monotonic() {
                (format!("{name}_total"), "counter")
            } else {
                (name, "gauge")
            };
            write_header(text, &name, kind, metric.description());
            for point in sum.data_points() {
                write_sample(text, &name, Labels::new(point.attributes()), point.value());
            }
        }
        MetricData::Histogram(histogram) => {
            write_header(text, &name, "histogram", metric.description());
            write_histogram(text, &name, histogram);
        }
        // No instrument uses it, and the format has no representation of it.
        MetricData::ExponentialHistogram(_) => {}
    }
}

fn write_histogram<T: Display + Copy>(text: &mut String, name: &str, histogram: &Histogram<T>) {
    let (bucket, sum, count) = (
        format!("{name}_bucket"),
        format!("{name}_sum"),
        format!("{name}_count"),
    );

    for point in histogram.data_points() {
        let labels = || Labels::new(point.attributes());
        // The last bucket has no bound, and buckets of this format include the smaller ones.
        let bounds = point.bounds().map(|bound| bound.to_string());
        let bounds = bounds.chain(["+Inf".to_owned()]);
        let mut total = 0;
        for (bound, in_bucket) in bounds.zip(point.bucket_counts()) {
            total += in_bucket;
            write_sample(text, &bucket, labels().with("le", &bound), total);
        }

        write_sample(text, &sum, labels(), point.sum());
        write_sample(text, &count, labels(), point.count());
    }
}

fn write_header(text: &mut String, name: &str, kind: &str, help: &str) {
    let help = help.replace('\\', "\\\\").replace('\n', "\\n");
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn write_sample(text: &mut String, name: &str, labels: Labels, value: impl Display) {
    let _ = writeln!(text, "{name}{labels} {value}");
}

/// The labels of a sample, escaped.
struct Labels(Vec<String>);

impl Labels {
    fn new<'a>(attributes: impl IntoIterator<Item = &'a KeyValue>) -> Self {
        let labels = Self(Vec::new());
        attributes.into_iter().fold(labels, |labels, attribute| {
            let value = attribute.value.as_str();
            labels.with(attribute.key.as_str(), &value)
        })
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        let value = value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        self.0.push(format!("{}=\"{value}\"", sanitize(name)));
        self
    }
}

impl Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        write!(f, "{{{}}}", self.0.join(","))
    }
}

/// Returns the name with the unit as its suffix.
fn metric_name(metric: &Metric) -> String {
    let name = sanitize(metric.name());
    let unit = match metric.unit() {
        "s" => "seconds",
        "ms" => "milliseconds",
        "By" => "bytes",
        // Units in braces are annotations such as `{request}`, and not part of a name.
        _ => return name,
    };
    if name.ends_with(unit) {
        name
    } else {
        format!("{name}_{unit}")
    }
}

/// Returns a name with the characters that the format accepts: letters, digits and `_`.
fn sanitize(name: &str) -> String {
    let name: String = name
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '_'
            }
        })
        .collect();
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        format!("_{name}")
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::metrics::MeterProvider;
    use opentelemetry_sdk::{Resource, metrics::SdkMeterProvider};

    use super::*;

    fn provider() -> (SdkMeterProvider, PrometheusReader) {
        let reader = PrometheusReader::default();
        let resource = Resource::builder_empty()
            .with_attributes([KeyValue::new("service.name", "a \"b\"\\\nc")])
            .build();
        let provider = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_reader(reader.clone())
            .build();
        (provider, reader)
    }

    #[test]
    fn writes_counters_and_gauges_with_escaped_labels() {
        let (provider, reader) = provider();
        let meter = provider.meter("test");
        let counter = meter
            .u64_counter("tls_proxy.bytes")
            .with_unit("By")
            .with_description("Bytes.\nBoth \\ directions.")
            .build();
        counter.add(3, &[KeyValue::new("direction", "up")]);
        counter.add(4, &[KeyValue::new("direction", "up")]);
        meter.f64_gauge("open").build().record(2.5, &[]);

        let text = reader.render().unwrap();
        for line in [
            "target_info{service_name=\"a \\\"b\\\"\\\\\\nc\"} 1\n",
            "# HELP tls_proxy_bytes_total Bytes.\\nBoth \\\\ directions.\n",
            "# TYPE tls_proxy_bytes_total counter\n",
            "tls_proxy_bytes_total{direction=\"up\"} 7\n",
            "# TYPE open gauge\nopen 2.5\n",
        ] {
            assert!(text.contains(line), "{line} is missing in {text}");
        }
    }

    #[test]
    fn writes_cumulative_buckets() {
        let (provider, reader) = provider();
        let histogram = provider
            .meter("test")
            .f64_histogram("duration")
            .with_unit("s")
            .with_boundaries(vec![0.5, 1.0])
            .build();
        for value in [0.25, 0.75, 8.0] {
            histogram.record(value, &[KeyValue::new("http.route", "proxy")]);
        }

        let text = reader.render().unwrap();
        let expected = "# TYPE duration_seconds histogram\n\
            duration_seconds_bucket{http_route=\"proxy\",le=\"0.5\"} 1\n\
            duration_seconds_bucket{http_route=\"proxy\",le=\"1\"} 2\n\
            duration_seconds_bucket{http_route=\"proxy\",le=\"+Inf\"} 3\n\
            duration_seconds_sum{http_route=\"proxy\"} 9\n\
            duration_seconds_count{http_route=\"proxy\"} 3\n";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn names_begin_with_a_letter_or_underscore() {
        assert_eq!(sanitize("2xx.rate-é"), "_2xx_rate__");
    }
}
