//! The OTLP messages as tables: field numbers, JSON names and types.
//!
//! The validator, the JSON reader and the JSON writer share these tables, so they cannot disagree.
//! The tables follow opentelemetry-proto 1.x; unlisted fields pass through unchanged.

/// The type of a field.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A boolean.
    Bool,
    /// A 32-bit signed integer or an enum.
    Int32,
    /// A 32-bit unsigned integer.
    Uint32,
    /// A 32-bit integer in zigzag encoding.
    Sint32,
    /// A 64-bit signed integer.
    Int64,
    /// A 64-bit unsigned integer.
    Uint64,
    /// Four bytes, unsigned.
    Fixed32,
    /// Eight bytes, unsigned.
    Fixed64,
    /// Eight bytes, signed.
    Sfixed64,
    /// A floating-point number.
    Double,
    /// UTF-8 text.
    Text,
    /// Bytes, base64 in JSON.
    Binary,
    /// A trace or span id with its length in bytes, hexadecimal in JSON.
    Id(usize),
    /// Another message.
    Nested(&'static Message),
}

impl Kind {
    /// Returns the wire type of a value.
    pub const fn wire(self) -> u8 {
        match self {
            Self::Bool | Self::Int32 | Self::Uint32 | Self::Sint32 | Self::Int64 | Self::Uint64 => {
                0
            }
            Self::Fixed64 | Self::Sfixed64 | Self::Double => 1,
            Self::Text | Self::Binary | Self::Id(_) | Self::Nested(_) => 2,
            Self::Fixed32 => 5,
        }
    }
}

/// How often a field may occur in its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cardinality {
    /// Once; the last occurrence wins.
    Singular,
    /// Any number of times.
    Repeated,
    /// Once among all oneof fields of the message.
    Oneof,
}

/// A field of a message.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The field number.
    pub number: u8,
    /// The name in JSON.
    pub name: &'static str,
    /// The type of the value.
    pub kind: Kind,
    /// How often the field may occur.
    pub cardinality: Cardinality,
}

/// A message.
#[derive(Debug)]
pub struct Message {
    /// The name in opentelemetry-proto, for error messages.
    pub name: &'static str,
    /// The fields, in the order of JSON output.
    pub fields: &'static [Field],
    /// Whether the message is an item: a span, a data point or a log record.
    pub item: bool,
    slots: [u8; SLOTS],
}

impl Message {
    const fn new(name: &'static str, fields: &'static [Field]) -> Self {
        // Indexed by field number, since validation looks up every field of every request.
        let mut slots = [NO_FIELD; SLOTS];
        let mut index = 0;
        // `for` is not available in a const function.
        while index < fields.len() {
            slots[fields[index].number as usize] = index as u8;
            index += 1;
        }

        Self {
            name,
            fields,
            item: false,
            slots,
        }
    }

    const fn item(name: &'static str, fields: &'static [Field]) -> Self {
        let mut message = Self::new(name, fields);
        message.item = true;
        message
    }

    /// Returns the field with a number and its index in `fields`, or `None` if it is unknown.
    #[inline]
    pub fn field(&self, number: u32) -> Option<(usize, &'static Field)> {
        let slot = usize::from(*self.slots.get(number as usize)?);
        self.fields.get(slot).map(|field| (slot, field))
    }

    /// Returns the field with a JSON name, or `None` if it is unknown.
    pub fn field_by_name(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

// The largest field number in the tables is 16.
const SLOTS: usize = 17;
const NO_FIELD: u8 = u8::MAX;

const fn singular(number: u8, name: &'static str, kind: Kind) -> Field {
    Field {
        number,
        name,
        kind,
        cardinality: Cardinality::Singular,
    }
}

const fn list(number: u8, name: &'static str, kind: Kind) -> Field {
    Field {
        number,
        name,
        kind,
        cardinality: Cardinality::Repeated,
    }
}

const fn oneof(number: u8, name: &'static str, kind: Kind) -> Field {
    Field {
        number,
        name,
        kind,
        cardinality: Cardinality::Oneof,
    }
}

const fn attributes(number: u8) -> Field {
    list(number, "attributes", Kind::Nested(&KEY_VALUE))
}

const fn time(number: u8, name: &'static str) -> Field {
    singular(number, name, Kind::Fixed64)
}

const fn dropped_attributes(number: u8) -> Field {
    singular(number, "droppedAttributesCount", Kind::Uint32)
}

/// `ExportTraceServiceRequest`.
// Tables refer to each other, also recursively (AnyValue), which only statics allow.
pub static TRACES: Message = Message::new(
    "ExportTraceServiceRequest",
    &[list(1, "resourceSpans", Kind::Nested(&RESOURCE_SPANS))],
);

/// `ExportMetricsServiceRequest`.
pub static METRICS: Message = Message::new(
    "ExportMetricsServiceRequest",
    &[list(1, "resourceMetrics", Kind::Nested(&RESOURCE_METRICS))],
);

/// `ExportLogsServiceRequest`.
pub static LOGS: Message = Message::new(
    "ExportLogsServiceRequest",
    &[list(1, "resourceLogs", Kind::Nested(&RESOURCE_LOGS))],
);

static RESOURCE_SPANS: Message = Message::new(
    "ResourceSpans",
    &[
        singular(1, "resource", Kind::Nested(&RESOURCE)),
        list(2, "scopeSpans", Kind::Nested(&SCOPE_SPANS)),
        singular(3, "schemaUrl", Kind::Text),
    ],
);

static SCOPE_SPANS: Message = Message::new(
    "ScopeSpans",
    &[
        singular(1, "scope", Kind::Nested(&SCOPE)),
        list(2, "spans", Kind::Nested(&SPAN)),
        singular(3, "schemaUrl", Kind::Text),
    ],
);

static SPAN: Message = Message::item(
    "Span",
    &[
        singular(1, "traceId", Kind::Id(16)),
        singular(2, "spanId", Kind::Id(8)),
        singular(3, "traceState", Kind::Text),
        singular(4, "parentSpanId", Kind::Id(8)),
        singular(16, "flags", Kind::Fixed32),
        singular(5, "name", Kind::Text),
        singular(6, "kind", Kind::Int32),
        time(7, "startTimeUnixNano"),
        time(8, "endTimeUnixNano"),
        attributes(9),
        dropped_attributes(10),
        list(11, "events", Kind::Nested(&SPAN_EVENT)),
        singular(12, "droppedEventsCount", Kind::Uint32),
        list(13, "links", Kind::Nested(&SPAN_LINK)),
        singular(14, "droppedLinksCount", Kind::Uint32),
        singular(15, "status", Kind::Nested(&STATUS)),
    ],
);

static SPAN_EVENT: Message = Message::new(
    "Span.Event",
    &[
        time(1, "timeUnixNano"),
        singular(2, "name", Kind::Text),
        attributes(3),
        dropped_attributes(4),
    ],
);

static SPAN_LINK: Message = Message::new(
    "Span.Link",
    &[
        singular(1, "traceId", Kind::Id(16)),
        singular(2, "spanId", Kind::Id(8)),
        singular(3, "traceState", Kind::Text),
        attributes(4),
        dropped_attributes(5),
        singular(6, "flags", Kind::Fixed32),
    ],
);

static STATUS: Message = Message::new(
    "Status",
    &[
        singular(2, "message", Kind::Text),
        singular(3, "code", Kind::Int32),
    ],
);

static RESOURCE_LOGS: Message = Message::new(
    "ResourceLogs",
    &[
        singular(1, "resource", Kind::Nested(&RESOURCE)),
        list(2, "scopeLogs", Kind::Nested(&SCOPE_LOGS)),
        singular(3, "schemaUrl", Kind::Text),
    ],
);

static SCOPE_LOGS: Message = Message::new(
    "ScopeLogs",
    &[
        singular(1, "scope", Kind::Nested(&SCOPE)),
        list(2, "logRecords", Kind::Nested(&LOG_RECORD)),
        singular(3, "schemaUrl", Kind::Text),
    ],
);

static LOG_RECORD: Message = Message::item(
    "LogRecord",
    &[
        time(1, "timeUnixNano"),
        time(11, "observedTimeUnixNano"),
        singular(2, "severityNumber", Kind::Int32),
        singular(3, "severityText", Kind::Text),
        singular(5, "body", Kind::Nested(&ANY_VALUE)),
        attributes(6),
        dropped_attributes(7),
        singular(8, "flags", Kind::Fixed32),
        singular(9, "traceId", Kind::Id(16)),
        singular(10, "spanId", Kind::Id(8)),
        singular(12, "eventName", Kind::Text),
    ],
);

static RESOURCE_METRICS: Message = Message::new(
    "ResourceMetrics",
    &[
        singular(1, "resource", Kind::Nested(&RESOURCE)),
        list(2, "scopeMetrics", Kind::Nested(&SCOPE_METRICS)),
        singular(3, "schemaUrl", Kind::Text),
    ],
);

static SCOPE_METRICS: Message = Message::new(
    "ScopeMetrics",
    &[
        singular(1, "scope", Kind::Nested(&SCOPE)),
        list(2, "metrics", Kind::Nested(&METRIC)),
        singular(3, "schemaUrl", Kind::Text),
    ],
);

static METRIC: Message = Message::new(
    "Metric",
    &[
        singular(1, "name", Kind::Text),
        singular(2, "description", Kind::Text),
        singular(3, "unit", Kind::Text),
        oneof(5, "gauge", Kind::Nested(&GAUGE)),
        oneof(7, "sum", Kind::Nested(&SUM)),
        oneof(9, "histogram", Kind::Nested(&HISTOGRAM)),
        oneof(
            10,
            "exponentialHistogram",
            Kind::Nested(&EXPONENTIAL_HISTOGRAM),
        ),
        oneof(11, "summary", Kind::Nested(&SUMMARY)),
        list(12, "metadata", Kind::Nested(&KEY_VALUE)),
    ],
);

static GAUGE: Message = Message::new(
    "Gauge",
    &[list(1, "dataPoints", Kind::Nested(&NUMBER_DATA_POINT))],
);

static SUM: Message = Message::new(
    "Sum",
    &[
        list(1, "dataPoints", Kind::Nested(&NUMBER_DATA_POINT)),
        singular(2, "aggregationTemporality", Kind::Int32),
        singular(3, "isMonotonic", Kind::Bool),
    ],
);

static HISTOGRAM: Message = Message::new(
    "Histogram",
    &[
        list(1, "dataPoints", Kind::Nested(&HISTOGRAM_DATA_POINT)),
        singular(2, "aggregationTemporality", Kind::Int32),
    ],
);

static EXPONENTIAL_HISTOGRAM: Message = Message::new(
    "ExponentialHistogram",
    &[
        list(
            1,
            "dataPoints",
            Kind::Nested(&EXPONENTIAL_HISTOGRAM_DATA_POINT),
        ),
        singular(2, "aggregationTemporality", Kind::Int32),
    ],
);

static SUMMARY: Message = Message::new(
    "Summary",
    &[list(1, "dataPoints", Kind::Nested(&SUMMARY_DATA_POINT))],
);

static NUMBER_DATA_POINT: Message = Message::item(
    "NumberDataPoint",
    &[
        attributes(7),
        time(2, "startTimeUnixNano"),
        time(3, "timeUnixNano"),
        oneof(4, "asDouble", Kind::Double),
        oneof(6, "asInt", Kind::Sfixed64),
        list(5, "exemplars", Kind::Nested(&EXEMPLAR)),
        singular(8, "flags", Kind::Uint32),
    ],
);

static HISTOGRAM_DATA_POINT: Message = Message::item(
    "HistogramDataPoint",
    &[
        attributes(9),
        time(2, "startTimeUnixNano"),
        time(3, "timeUnixNano"),
        singular(4, "count", Kind::Fixed64),
        singular(5, "sum", Kind::Double),
        list(6, "bucketCounts", Kind::Fixed64),
        list(7, "explicitBounds", Kind::Double),
        list(8, "exemplars", Kind::Nested(&EXEMPLAR)),
        singular(10, "flags", Kind::Uint32),
        singular(11, "min", Kind::Double),
        singular(12, "max", Kind::Double),
    ],
);

static EXPONENTIAL_HISTOGRAM_DATA_POINT: Message = Message::item(
    "ExponentialHistogramDataPoint",
    &[
        attributes(1),
        time(2, "startTimeUnixNano"),
        time(3, "timeUnixNano"),
        singular(4, "count", Kind::Fixed64),
        singular(5, "sum", Kind::Double),
        singular(6, "scale", Kind::Sint32),
        singular(7, "zeroCount", Kind::Fixed64),
        singular(8, "positive", Kind::Nested(&BUCKETS)),
        singular(9, "negative", Kind::Nested(&BUCKETS)),
        singular(10, "flags", Kind::Uint32),
        list(11, "exemplars", Kind::Nested(&EXEMPLAR)),
        singular(12, "min", Kind::Double),
        singular(13, "max", Kind::Double),
        singular(14, "zeroThreshold", Kind::Double),
    ],
);

static BUCKETS: Message = Message::new(
    "Buckets",
    &[
        singular(1, "offset", Kind::Sint32),
        list(2, "bucketCounts", Kind::Uint64),
    ],
);

static SUMMARY_DATA_POINT: Message = Message::item(
    "SummaryDataPoint",
    &[
        attributes(7),
        time(2, "startTimeUnixNano"),
        time(3, "timeUnixNano"),
        singular(4, "count", Kind::Fixed64),
        singular(5, "sum", Kind::Double),
        list(6, "quantileValues", Kind::Nested(&VALUE_AT_QUANTILE)),
        singular(8, "flags", Kind::Uint32),
    ],
);

static VALUE_AT_QUANTILE: Message = Message::new(
    "ValueAtQuantile",
    &[
        singular(1, "quantile", Kind::Double),
        singular(2, "value", Kind::Double),
    ],
);

static EXEMPLAR: Message = Message::new(
    "Exemplar",
    &[
        list(7, "filteredAttributes", Kind::Nested(&KEY_VALUE)),
        time(2, "timeUnixNano"),
        oneof(3, "asDouble", Kind::Double),
        oneof(6, "asInt", Kind::Sfixed64),
        singular(4, "spanId", Kind::Id(8)),
        singular(5, "traceId", Kind::Id(16)),
    ],
);

static RESOURCE: Message = Message::new(
    "Resource",
    &[
        attributes(1),
        dropped_attributes(2),
        list(3, "entityRefs", Kind::Nested(&ENTITY_REFERENCE)),
    ],
);

static ENTITY_REFERENCE: Message = Message::new(
    "EntityRef",
    &[
        singular(1, "schemaUrl", Kind::Text),
        singular(2, "type", Kind::Text),
        list(3, "idKeys", Kind::Text),
        list(4, "descriptionKeys", Kind::Text),
    ],
);

static SCOPE: Message = Message::new(
    "InstrumentationScope",
    &[
        singular(1, "name", Kind::Text),
        singular(2, "version", Kind::Text),
        attributes(3),
        dropped_attributes(4),
    ],
);

static KEY_VALUE: Message = Message::new(
    "KeyValue",
    &[
        singular(1, "key", Kind::Text),
        singular(2, "value", Kind::Nested(&ANY_VALUE)),
        singular(3, "keyStrindex", Kind::Int32),
    ],
);

static ANY_VALUE: Message = Message::new(
    "AnyValue",
    &[
        oneof(1, "stringValue", Kind::Text),
        oneof(2, "boolValue", Kind::Bool),
        oneof(3, "intValue", Kind::Int64),
        oneof(4, "doubleValue", Kind::Double),
        oneof(5, "arrayValue", Kind::Nested(&ARRAY_VALUE)),
        oneof(6, "kvlistValue", Kind::Nested(&KEY_VALUE_LIST)),
        oneof(7, "bytesValue", Kind::Binary),
        oneof(8, "stringValueStrindex", Kind::Int32),
    ],
);

static ARRAY_VALUE: Message =
    Message::new("ArrayValue", &[list(1, "values", Kind::Nested(&ANY_VALUE))]);

static KEY_VALUE_LIST: Message = Message::new(
    "KeyValueList",
    &[list(1, "values", Kind::Nested(&KEY_VALUE))],
);
