//! Candidate values for unknown values.
//!
//! A finding is reported only if it occurs with every candidate. The candidates are values that can change the
//! result of a rule: the values of the rules' passing cases, the names and numbers of the document, and a few
//! unusual values.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use diagnostics::source::{Source, parse};
use serde_json::{Map, Value, json};
use task_definition::Schema;

use crate::rules::rules;

use super::convert::UnknownValue;
use super::evaluate::Piece;

/// The names and numbers of a document.
#[derive(Debug, Default)]
pub(super) struct Literals {
    names: BTreeSet<String>,
    numbers: BTreeSet<i64>,
}

impl Literals {
    /// Adds the names and numbers of a value.
    pub(super) fn collect(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.collect(item)),
            Value::Object(entries) => {
                // The name of an environment variable is not referenced by other fields.
                let is_variable =
                    entries.contains_key("value") || entries.contains_key("valueFrom");
                for (key, value) in entries {
                    match value {
                        Value::String(text) if !is_variable && NAMES.contains(&key.as_str()) => {
                            self.names.insert(text.clone());
                        }
                        Value::Number(number) => self.numbers.extend(number.as_i64()),
                        other => self.collect(other),
                    }
                }
            }
            _ => {}
        }
    }
}

/// Fields that define or reference a name.
const NAMES: [&str; 5] = [
    "name",
    "containerName",
    "sourceVolume",
    "sourceContainer",
    "portName",
];

/// Returns a minimal value of a schema, which completes the record.
pub(super) fn minimal_value(schema: Schema, pieces: &[Piece]) -> Value {
    match schema {
        Schema::Text => Value::String(fill(pieces, FILLERS[0])),
        schema => schema.minimal_value(),
    }
}

/// Returns the candidates for an unknown value. `None` is an absent value.
pub(super) fn candidates(unknown: &UnknownValue, literals: &Literals) -> Vec<Option<Value>> {
    let mut all: Vec<Value> = Vec::new();
    // The known part of a text decides most rules; only the rest varies.
    if unknown.is_text() && unknown.is_partly_known() {
        all.extend(FILLERS.map(|filler| Value::String(fill(&unknown.pieces, filler))));
        return all.into_iter().map(Some).collect();
    }

    all.extend(
        passing_values()
            .get(&wildcard_indices(&unknown.pointer))
            .cloned()
            .unwrap_or_default(),
    );

    all.extend(values_of_schema(unknown.schema, literals));
    all.push(minimal_value(unknown.schema, &unknown.pieces));
    // Absence comes first, because most rules find nothing without the value.
    let absent = Some(None).filter(|_| unknown.optional);
    absent
        .into_iter()
        .chain(all.into_iter().map(Some))
        .collect()
}

impl UnknownValue {
    fn is_text(&self) -> bool {
        matches!(self.schema, Schema::Text)
    }

    /// Returns whether a part of the text is known.
    pub(super) fn is_partly_known(&self) -> bool {
        self.pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Text(text) if !text.is_empty()))
    }
}

fn values_of_schema(schema: Schema, literals: &Literals) -> Vec<Value> {
    match schema {
        Schema::Text => {
            let names = literals.names.iter().map(|name| json!(name));
            let unusual = FILLERS.into_iter().chain(["1", "1000000"]);
            names.chain(unusual.map(|text| json!(text))).collect()
        }
        Schema::Integer(least) => {
            let numbers = literals
                .numbers
                .iter()
                .copied()
                .filter(|number| *number >= least);
            // The limits of ports and a number beyond every range.
            let unusual = [least.max(0), 1, 65_535, 1_000_000];
            numbers.chain(unusual).map(|number| json!(number)).collect()
        }
        Schema::Bool => vec![json!(true), json!(false)],
        Schema::Choice(words) => words.iter().map(|word| json!(word)).collect(),
        Schema::List(inner) => {
            // Lists with one item each, with all items, and without any.
            let items = match inner {
                Schema::Record(_) => records(*inner, literals),
                _ => values_of_schema(*inner, literals),
            };
            let single = items.iter().map(|item| json!([item]));
            single.chain([json!(items), json!([])]).collect()
        }
        Schema::Record(_) => records(schema, literals),
        Schema::Number | Schema::TextMap | Schema::Any => Vec::new(),
    }
}

/// Returns records that each contain one of the document's names or numbers.
fn records(schema: Schema, literals: &Literals) -> Vec<Value> {
    let Schema::Record(fields) = schema else {
        return Vec::new();
    };
    let Value::Object(minimal) = minimal_value(schema, &[]) else {
        return Vec::new();
    };
    let with = |value: Value, fits: fn(&str, Schema) -> bool| {
        let mut entries: Map<String, Value> = minimal.clone();
        for field in fields.iter().filter(|field| fits(field.name, field.schema)) {
            entries.insert(field.name.to_owned(), value.clone());
        }
        Value::Object(entries)
    };

    let by_name = literals.names.iter().map(|name| {
        with(json!(name), |field, schema| {
            NAMES.contains(&field) && matches!(schema, Schema::Text)
        })
    });
    let by_number = literals
        .numbers
        .iter()
        .filter(|number| **number >= 0)
        .map(|number| {
            with(json!(number), |field, schema| {
                field == "containerPort" && matches!(schema, Schema::Integer(_))
            })
        });

    by_name.chain(by_number).collect()
}

/// Returns the text with a filler in place of its unknown parts.
pub(super) fn fill(pieces: &[Piece], filler: &str) -> String {
    if pieces.is_empty() {
        return filler.to_owned();
    }
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            // Account and region have plausible values, so ARNs and registries stay well-formed.
            Piece::Unknown(name) => pseudo_parameter(name).unwrap_or(filler),
        })
        .collect()
}

/// Formats the text as an argument of `Fn::Sub`, for messages.
pub(super) fn format_as_sub(pieces: &[Piece]) -> String {
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Unknown(name) => format!("${{{name}}}"),
        })
        .collect()
}

/// Texts for unknown parts: a plain word, a number, an ARN and an image repository.
pub(super) const FILLERS: [&str; 5] = [
    "example-value",
    "4711",
    // An account.
    "111122223333",
    "arn:aws:secretsmanager:eu-central-1:111122223333:secret:example-value-a1B2c3",
    "111122223333.dkr.ecr.eu-central-1.amazonaws.com/example-value",
];

fn pseudo_parameter(name: &str) -> Option<&'static str> {
    match name {
        "AWS::AccountId" => Some("111122223333"),
        "AWS::Region" => Some("eu-central-1"),
        "AWS::Partition" => Some("aws"),
        "AWS::URLSuffix" => Some("amazonaws.com"),
        _ => None,
    }
}

/// Returns the values of the rules' passing cases, by pointer with `*` for each index.
fn passing_values() -> &'static BTreeMap<String, Vec<Value>> {
    static CASES: OnceLock<BTreeMap<String, Vec<Value>>> = OnceLock::new();

    CASES.get_or_init(|| {
        let mut all = BTreeMap::new();
        // A value that passes a rule somewhere is the best candidate to refute a finding of that rule.
        for rule in rules() {
            let Ok(node) = parse(&Source::new(rule.id, rule.passing)) else {
                continue;
            };
            for part in ["", "/taskDefinition", "/service", "/runTask"] {
                if let Some(node) = node.at(part) {
                    collect(&node.to_json(), &mut String::new(), &mut all);
                }
            }
        }
        all
    })
}

fn collect(value: &Value, pointer: &mut String, all: &mut BTreeMap<String, Vec<Value>>) {
    // Many rules share the same values; each one is tried once.
    let known = all.entry(pointer.clone()).or_default();
    if !known.contains(value) {
        known.push(value.clone());
    }

    let length = pointer.len();
    match value {
        Value::Array(items) => {
            for item in items {
                pointer.push_str("/*");
                collect(item, pointer, all);
                pointer.truncate(length);
            }
        }
        Value::Object(entries) => {
            for (key, value) in entries {
                pointer.push('/');
                pointer.push_str(key);
                collect(value, pointer, all);
                pointer.truncate(length);
            }
        }
        _ => {}
    }
}

/// Returns the pointer with `*` for each index.
fn wildcard_indices(pointer: &str) -> String {
    let steps: Vec<_> = pointer
        .split('/')
        .map(|step| match step.parse::<usize>() {
            Ok(_) => "*",
            Err(_) => step,
        })
        .collect();
    steps.join("/")
}
