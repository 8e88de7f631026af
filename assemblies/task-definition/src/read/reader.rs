//! Compares a record with its schema and reports what differs.

use diagnostics::placeholder::{self, PLACEHOLDER};
use diagnostics::source::{Key, Node, NodeValue, Source, Span};
use diagnostics::{Edit, Finding, Fix, Location, Severity, escape, nearest};
use serde_json::Value;

use super::{UNKNOWN_CONDITION, UNKNOWN_FIELD, WRONG_TYPE};
use crate::partial::UnreadValue;
use crate::placeholder::find_placeholder;
use crate::record::{Field, Schema};

/// The result of validating a record.
pub(crate) struct RecordReading {
    /// The findings about values and fields.
    pub(crate) findings: Vec<Finding>,
    /// The values that could not be read.
    pub(crate) unread: Vec<UnreadValue>,
    /// The values with one possible meaning, by pointer.
    pub(crate) corrections: Vec<(String, Value)>,
}

impl RecordReading {
    pub(crate) fn new(
        source: &Source,
        node: &Node,
        schema: Schema,
        what: &'static str,
        response_only: &'static [&'static str],
    ) -> Self {
        let mut reader = Reader {
            source,
            what,
            response_only,
            findings: Vec::new(),
            unread: Vec::new(),
            corrections: Vec::new(),
        };
        reader.value(node, schema, "");
        Self {
            findings: reader.findings,
            unread: reader.unread,
            corrections: reader.corrections,
        }
    }
}

/// Walks a record along its schema.
pub(super) struct Reader<'s> {
    pub(super) source: &'s Source,
    what: &'static str,
    response_only: &'static [&'static str],
    findings: Vec<Finding>,
    unread: Vec<UnreadValue>,
    corrections: Vec<(String, Value)>,
}

impl Reader<'_> {
    fn value(&mut self, node: &Node, schema: Schema, pointer: &str) {
        match (schema, &node.value) {
            (Schema::Text, NodeValue::Text(_))
            | (Schema::Bool, NodeValue::Bool(_))
            | (Schema::Number, NodeValue::Number(_))
            | (Schema::Any, _) => {}
            (Schema::Integer(least), NodeValue::Number(number)) => {
                // serde reads integers as u32 or i64; a larger one would fail without a location.
                let fits = number
                    .as_i64()
                    .is_some_and(|n| n >= least && n <= i64::from(u32::MAX));
                if !fits {
                    self.report_wrong_type(node, schema, pointer);
                }
            }
            (Schema::Choice(words), NodeValue::Text(word)) => {
                self.choice(node, words, word, pointer);
            }
            (Schema::List(inner), NodeValue::List(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(item, *inner, &format!("{pointer}/{index}"));
                }
            }
            (Schema::TextMap, NodeValue::Map(entries)) => {
                let known = self.unread.len();
                for (key, value) in entries {
                    self.value(
                        value,
                        Schema::Text,
                        &format!("{pointer}/{}", escape(&key.name)),
                    );
                }
                for unread in &mut self.unread[known..] {
                    unread.own_key = true;
                }
            }
            (Schema::Record(fields), NodeValue::Map(_)) => self.record(node, fields, pointer),
            _ => self.report_wrong_type(node, schema, pointer),
        }
    }

    fn record(&mut self, node: &Node, fields: &[Field], pointer: &str) {
        for (key, value) in node.entries() {
            let below = format!("{pointer}/{}", escape(&key.name));
            match fields.iter().find(|field| field.name == key.name) {
                Some(field) => self.value(value, field.schema, &below),
                // Response-only fields occur at the top level only.
                None if pointer.is_empty() && self.response_only.contains(&key.name.as_str()) => {}
                None => self.report_unknown_field(node, (key, value), fields, &below),
            }
        }

        // The finding points to the record, because the missing field has no span.
        let missing = fields
            .iter()
            .filter(|f| f.required && node.get(f.name).is_none());
        for field in missing.filter(|field| !has_absence_rule(field.name, pointer)) {
            let message = format!("{} needs `{}`", self.describe(pointer), field.name);
            let hint = format!("add \"{}\": {}", field.name, example(field.schema));
            let finding = self.type_error(node.span, pointer, message, hint);
            self.findings.push(finding);
            self.add_unread(field.schema, format!("{pointer}/{}", field.name));
        }
    }

    fn add_unread(&mut self, schema: Schema, pointer: String) {
        // A misspelt field that is required is reported twice, but is one value.
        if self.unread.iter().all(|unread| unread.pointer != pointer) {
            self.unread.push(UnreadValue {
                pointer,
                schema,
                own_key: false,
            });
        }
    }

    fn report_unknown_field(
        &mut self,
        node: &Node,
        (key, value): (&Key, &Node),
        fields: &[Field],
        pointer: &str,
    ) {
        let name = &key.name;
        let known = fields.iter().map(|field| field.name);
        let suggestion = nearest(name, known.clone());
        let hint = match suggestion {
            Some(suggestion) => format!("did you mean `{suggestion}`?"),
            None => format!(
                "remove it; known fields: {}",
                known.collect::<Vec<_>>().join(", ")
            ),
        };

        let location = Location::from_span(self.source, key.span);
        let enclosing = pointer.rfind('/').map_or("", |end| &pointer[..end]);
        let message = format!("{} has no field `{name}`", self.describe(enclosing));
        let mut finding = UNKNOWN_FIELD
            .error(location, message, hint)
            .with_pointer(pointer);

        // Renaming must not overwrite a field that exists with another value.
        let value = value.to_json();
        finding.fix = suggestion
            .filter(|suggestion| {
                node.get(suggestion)
                    .is_none_or(|other| other.to_json() == value)
            })
            .map(|suggestion| Fix::rename(enclosing, name, suggestion, value));
        self.findings.push(finding);

        // The value of the field that was meant is unknown, so that no rule reports its absence.
        let meant = fields
            .iter()
            .find(|field| Some(field.name) == suggestion && node.get(field.name).is_none());
        if let Some(field) = meant {
            self.add_unread(field.schema, format!("{enclosing}/{}", field.name));
        }
    }

    fn choice(&mut self, node: &Node, words: &'static [&'static str], word: &str, pointer: &str) {
        if words.contains(&word) {
            return;
        }
        self.add_unread(Schema::Choice(words), pointer.to_owned());
        if self.report_placeholder(node, pointer) {
            return;
        }

        let suggestion = nearest(word, words.iter().copied());
        let hint = match suggestion {
            Some(suggestion) => format!("write `{suggestion}`"),
            None => format!("choose one of {}", words.join(", ")),
        };

        let location = Location::from_span(self.source, node.span);
        let message = format!(
            "`{word}` is not a condition; ECS accepts {}",
            words.join(", ")
        );
        let mut finding = UNKNOWN_CONDITION
            .error(location, message, hint)
            .with_pointer(pointer);
        finding.fix = suggestion.map(|suggestion| Fix {
            title: format!("write `{suggestion}`"),
            edits: vec![Edit::Set(pointer.to_owned(), suggestion.into())],
        });
        self.findings.push(finding);
    }

    /// Reports a text that contains a placeholder, and returns whether it does.
    fn report_placeholder(&mut self, node: &Node, pointer: &str) -> bool {
        let Some(found) = node.text().and_then(find_placeholder) else {
            return false;
        };
        let location = Location::from_span(self.source, node.span);
        let mut finding =
            PLACEHOLDER.error(location, placeholder::message(found), placeholder::HINT);
        finding.severity = Severity::Warning;
        self.findings.push(finding.with_pointer(pointer));
        true
    }

    fn report_wrong_type(&mut self, node: &Node, schema: Schema, pointer: &str) {
        match self.certain_value(node, schema) {
            Some(value) => self.corrections.push((pointer.to_owned(), value)),
            None => self.add_unread(schema, pointer.to_owned()),
        }
        if self.report_placeholder(node, pointer) {
            return;
        }

        // For a number out of range, the number is more helpful than its type.
        let actual = match (schema, &node.value) {
            (Schema::Integer(_), NodeValue::Number(number)) => number.to_string(),
            _ => node.kind().to_owned(),
        };

        let message = format!(
            "{} must be {}, not {actual}",
            self.describe(pointer),
            kind(schema)
        );
        let mut finding = self.type_error(
            node.span,
            pointer,
            message,
            self.correction_hint(node, schema),
        );

        finding.fix = self.correction(node, schema, pointer);
        self.findings.push(finding);
    }

    fn type_error(
        &self,
        span: Span,
        pointer: &str,
        message: String,
        hint: impl Into<String>,
    ) -> Finding {
        WRONG_TYPE
            .error(Location::from_span(self.source, span), message, hint)
            .with_pointer(pointer)
    }

    fn describe(&self, pointer: &str) -> String {
        let last = pointer
            .rsplit('/')
            .find(|step| step.parse::<usize>().is_err())
            .unwrap_or_default();
        match last {
            "" => self.what.to_owned(),
            "containerDefinitions" => "a container".to_owned(),
            name => format!("`{name}`"),
        }
    }
}

fn has_absence_rule(field: &str, pointer: &str) -> bool {
    // `/containerDefinitions/0` has two steps; deeper records have no such rule.
    let depth = pointer.matches('/').count();
    ABSENCE_HAS_A_RULE.contains(&field)
        && (pointer.is_empty() || (pointer.starts_with("/containerDefinitions/") && depth == 2))
}

/// Fields with a separate rule for their absence, which has a better message than "missing". The name of a service is
/// often outside its file: in the configuration of ecspresso, or on the command line.
const ABSENCE_HAS_A_RULE: [&str; 4] = ["family", "name", "image", "serviceName"];

/// Returns what values of a type are called in messages.
pub(super) fn kind(schema: Schema) -> &'static str {
    match schema {
        Schema::Text | Schema::Choice(_) => "a string",
        Schema::Integer(0) => "a non-negative integer",
        Schema::Integer(_) => "an integer",
        Schema::Number => "a number",
        Schema::Any => "a value",
        Schema::Bool => "true or false",
        Schema::TextMap => "a map of strings",
        Schema::List(_) => "a list",
        Schema::Record(_) => "a map",
    }
}

fn example(schema: Schema) -> &'static str {
    match schema {
        Schema::Text | Schema::Choice(_) => "\"…\"",
        Schema::Integer(_) | Schema::Number => "1",
        Schema::Bool => "true",
        Schema::List(_) => "[…]",
        Schema::TextMap | Schema::Record(_) | Schema::Any => "{…}",
    }
}
