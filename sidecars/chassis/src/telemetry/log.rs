//! Logs: one JSON object per line.

use std::{fmt, io};

use opentelemetry::{Context, trace::TraceContextExt};
use opentelemetry_sdk::trace::Tracer;
use serde_json::{Map, Value};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, ParseError, Targets},
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::Writer,
        time::{FormatTime, SystemTime as Rfc3339},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

/// The stream that log lines are written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// For `serve`, which has no other output.
    Stdout,
    /// For an additional verb, because its result goes to stdout.
    Stderr,
}

/// Installs the process-wide subscriber; a second call leaves the first one in place. Returns whether
/// levels below `info` are logged.
pub(super) fn install(directives: &str, output: Output, tracer: Option<Tracer>) -> bool {
    let filter =
        parse(directives).unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
    // Spans of requests are worth their cost only if something beyond lifecycle events is logged.
    let levels = filter.iter().map(|(_, level)| level);
    let is_detailed = levels
        .chain(filter.default_level())
        .any(|level| level > LevelFilter::INFO);
    let lines = tracing_subscriber::fmt::layer().event_format(JsonLine);
    let lines = match output {
        Output::Stdout => lines.with_writer(io::stdout).with_filter(filter).boxed(),
        Output::Stderr => lines.with_writer(io::stderr).with_filter(filter).boxed(),
    };

    // Exported spans do not depend on the log level; code location and threads would only add bytes.
    let spans = tracer.map(|tracer| {
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(LevelFilter::INFO)
    });

    let _ = tracing_subscriber::registry()
        .with(spans)
        .with(lines)
        .try_init();

    is_detailed
}

/// Returns the error of invalid log directives.
pub(crate) fn directives_error(directives: &str) -> Option<String> {
    parse(directives).err().map(|error| error.to_string())
}

/// Parses directives. `EnvFilter` would also select by span and field, and with that add two regex engines, a tenth of
/// a megabyte of every compressed image.
fn parse(directives: &str) -> Result<Targets, ParseError> {
    directives.parse()
}

/// `{"time":…,"level":…,"message":…,"target":…, fields…, "trace_id":…}`.
struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::new();
        Rfc3339.format_time(&mut Writer::new(&mut time))?;
        let line = line(time, event);
        writeln!(writer, "{}", Value::Object(line))
    }
}

fn line(time: String, event: &Event<'_>) -> Map<String, Value> {
    let mut fields = Fields::default();
    event.record(&mut fields);
    let metadata = event.metadata();
    let mut line = Map::new();

    line.insert("time".into(), time.into());
    line.insert("level".into(), level(*metadata.level()).into());
    line.insert("message".into(), fields.message.into());
    line.insert("target".into(), metadata.target().into());
    line.extend(fields.others);

    // Without exported spans this is the context that came in with the request.
    let context = Context::current();
    let span = context.span();
    if span.span_context().is_valid() {
        line.insert(
            "trace_id".into(),
            span.span_context().trace_id().to_string().into(),
        );
        line.insert(
            "span_id".into(),
            span.span_context().span_id().to_string().into(),
        );
    }

    line
}

fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn insert(&mut self, field: &Field, value: Value) {
        self.others.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            // `tracing` passes the message as a field of this name.
            "message" => self.message = text,
            _ => self.insert(field, text.into()),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            _ => self.insert(field, value.into()),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.insert(field, crate::error::format_chain(value).into());
    }
}
