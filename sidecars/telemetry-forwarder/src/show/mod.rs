//! The verb `show`: prints the traces of a file sink as trees.

mod tree;

use std::io::{self, ErrorKind, Write};

use chassis::BoxError;
use serde::Deserialize;

use tree::{Span, format_trees};

/// Prints the traces of a file, or only those with an id that starts with the second argument.
pub(crate) fn run(arguments: &[String]) -> Result<u8, BoxError> {
    let (path, id_prefix) = match arguments {
        [path] => (path, ""),
        [path, id] => (path, id.as_str()),
        _ => {
            return print_error(
                "error: expected one file: telemetry-forwarder show FILE [TRACE-ID]",
            );
        }
    };

    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return print_error(&format!("error: cannot read `{path}`: {error}")),
    };

    let (spans, invalid_lines) = parse(&text);
    if invalid_lines > 0 {
        print_error(&format!(
            "warning: {invalid_lines} lines of `{path}` are not OTLP/JSON"
        ))?;
    }

    let text = format_trees(&spans, &id_prefix.to_lowercase());
    if text.is_empty() {
        print_error(&format!("no traces in `{path}`"))?;
        return Ok(EXIT_NO_TRACES);
    }

    match io::stdout().write_all(text.as_bytes()) {
        // A reader such as `head` may close the pipe early.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(0),
    }
}

/// Parses the spans of all lines, and counts the invalid lines.
fn parse(text: &str) -> (Vec<Span>, usize) {
    let mut spans = Vec::new();
    let mut invalid_lines = 0;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match serde_json::from_str::<Request>(line) {
            Ok(request) => spans.extend(request.resource_spans.into_iter().flat_map(into_spans)),
            Err(_) => invalid_lines += 1,
        }
    }
    (spans, invalid_lines)
}

fn into_spans(resource: ResourceSpans) -> impl Iterator<Item = Span> {
    let attributes = resource.resource.attributes;
    let attribute = |key: &str| {
        attributes
            .iter()
            .find(|pair| pair.key == key)
            .and_then(Pair::text)
    };

    // Programs without an SDK have no `service.name`; assemblies set `container.name` for all.
    let service = attribute("service.name").or_else(|| attribute("container.name"));
    let service = service.unwrap_or_else(|| "unknown".to_owned());
    let spans = resource
        .scope_spans
        .into_iter()
        .flat_map(|scope| scope.spans);

    spans.map(move |span| span.into_span(&service))
}

fn print_error(text: &str) -> Result<u8, BoxError> {
    writeln!(io::stderr(), "{text}")?;
    Ok(EXIT_ERROR)
}

/// A line of the file; lines of metrics and logs have no spans.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(default)]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans {
    #[serde(default)]
    resource: Resource,
    #[serde(default)]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Debug, Default, Deserialize)]
struct Resource {
    #[serde(default)]
    attributes: Vec<Pair>,
}

#[derive(Debug, Deserialize)]
struct ScopeSpans {
    #[serde(default)]
    spans: Vec<JsonSpan>,
}

#[derive(Debug, Deserialize)]
struct Pair {
    key: String,
    #[serde(default)]
    value: serde_json::Value,
}

impl Pair {
    /// Formats the value; returns `None` for lists and maps.
    fn text(&self) -> Option<String> {
        match self.value.as_object()?.values().next()? {
            serde_json::Value::String(text) => Some(text.clone()),
            other if other.is_number() || other.is_boolean() => Some(other.to_string()),
            _ => None,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct JsonSpan {
    trace_id: String,
    span_id: String,
    parent_span_id: String,
    name: String,
    kind: i64,
    start_time_unix_nano: Nanos,
    end_time_unix_nano: Nanos,
    attributes: Vec<Pair>,
    status: JsonStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JsonStatus {
    code: i64,
    message: String,
}

/// A 64-bit integer: a string in OTLP/JSON, though some writers use a number.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Nanos {
    Text(String),
    Number(u64),
}

impl Default for Nanos {
    fn default() -> Self {
        Self::Number(0)
    }
}

impl Nanos {
    fn value(&self) -> u64 {
        match self {
            Self::Text(text) => text.parse().unwrap_or(0),
            Self::Number(number) => *number,
        }
    }
}

impl JsonSpan {
    fn into_span(self, service: &str) -> Span {
        let attribute = |key: &str| self.attributes.iter().find(|pair| pair.key == key);
        let mut notes = Vec::new();
        notes.extend(
            KINDS
                .get(self.kind as usize)
                .filter(|kind| !kind.is_empty())
                .map(ToString::to_string),
        );

        notes.extend(attribute("http.response.status_code").and_then(Pair::text));
        if self.status.code == STATUS_ERROR {
            notes.push(
                format!("error {}", self.status.message)
                    .trim_end()
                    .to_owned(),
            );
        }

        Span {
            trace: self.trace_id.to_lowercase(),
            id: self.span_id.to_lowercase(),
            parent: self.parent_span_id.to_lowercase(),
            service: service.to_owned(),
            start: self.start_time_unix_nano.value(),
            end: self.end_time_unix_nano.value(),
            name: self.name,
            notes,
        }
    }
}

/// `SpanKind` by number; unspecified and internal kinds are not shown.
const KINDS: [&str; 6] = ["", "", "server", "client", "producer", "consumer"];
const STATUS_ERROR: i64 = 2;
// Exit codes, as of grep: 1 for no match, 2 for an error.
const EXIT_NO_TRACES: u8 = 1;
const EXIT_ERROR: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = concat!(
        r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"coins"}}]},"scopeSpans":[{"spans":[{"traceId":"AA","spanId":"03","parentSpanId":"02","name":"count","startTimeUnixNano":"2000000","endTimeUnixNano":"5000000","status":{"code":2,"message":"no coins"}}]}]}]}"#,
        "\n",
        r#"{"resourceMetrics":[]}"#,
        "\nnot json\n",
        r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"tls-proxy"}}]},"scopeSpans":[{"spans":[{"traceId":"aa","spanId":"01","name":"POST","kind":2,"startTimeUnixNano":1000000,"endTimeUnixNano":"13500000","attributes":[{"key":"http.response.status_code","value":{"intValue":"200"}}]},{"traceId":"aa","spanId":"02","parentSpanId":"01","name":"POST","kind":3,"startTimeUnixNano":"1500000","endTimeUnixNano":"13000000"}]}]}]}"#,
        "\n",
    );

    #[test]
    fn formats_a_trace_of_two_services_as_a_tree() {
        // Only `not json` is invalid; a line of metrics is ignored.
        let (spans, invalid_lines) = parse(FILE);
        assert_eq!(invalid_lines, 1);
        assert_eq!(
            format_trees(&spans, ""),
            "trace aa  3 spans, 2 services, 12.5 ms\n\
             └─ tls-proxy  POST (server, 200)        +0.00 ms  12.5 ms\n   \
                └─ tls-proxy  POST (client)          +0.50 ms  11.5 ms\n      \
                   └─ coins  count (error no coins)  +1.00 ms  3.00 ms\n\n"
        );
    }

    #[test]
    fn filters_traces_by_the_prefix_of_their_id() {
        let (spans, _) = parse(FILE);
        assert_eq!(format_trees(&spans, "bb"), "");
        assert_ne!(format_trees(&spans, "a"), "");
    }
}
