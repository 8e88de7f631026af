//! What an unknown value may turn out to be.
//!
//! A finding counts only if it is made whatever the unknown values are. That cannot be tried for every
//! value there is, but for those that make a difference to a rule: the values of the rules' own passing
//! cases, the names and numbers of the document itself, and a few that are plainly odd.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use crate::record::Shape;
use crate::rules::rules;
use crate::source::{Source, parse};

use super::convert::Hole;
use super::evaluate::Piece;

/// Names and numbers that occur in a document.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    names: BTreeSet<String>,
    numbers: BTreeSet<i64>,
}

impl Vocabulary {
    /// Adds what occurs in a value.
    pub(super) fn learn(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.learn(item)),
            Value::Object(entries) => {
                // A variable's name names nothing else.
                let is_variable =
                    entries.contains_key("value") || entries.contains_key("valueFrom");
                for (key, value) in entries {
                    match value {
                        Value::String(text) if !is_variable && NAMES.contains(&key.as_str()) => {
                            self.names.insert(text.clone());
                        }
                        Value::Number(number) => self.numbers.extend(number.as_i64()),
                        other => self.learn(other),
                    }
                }
            }
            _ => {}
        }
    }
}

/// Fields that hold or name a name.
const NAMES: [&str; 5] = [
    "name",
    "containerName",
    "sourceVolume",
    "sourceContainer",
    "portName",
];

/// A value of that shape which says as little as possible, for the record to be whole.
pub(super) fn plainest(shape: Shape, pieces: &[Piece]) -> Value {
    match shape {
        Shape::Text => Value::String(filled(pieces, FILLERS[0])),
        Shape::Integer(least) => json!(least.max(1)),
        Shape::Number => json!(1.0),
        Shape::Bool => json!(false),
        Shape::Choice(words) => json!(words.first()),
        Shape::List(_) => json!([]),
        Shape::TextMap | Shape::Any => json!({}),
        Shape::Record(fields) => {
            let needed = fields.iter().filter(|field| field.required);
            let entries = needed.map(|field| (field.name.to_owned(), plainest(field.shape, &[])));
            Value::Object(entries.collect())
        }
    }
}

/// What a hole may turn out to be; `None` is a value that is not there.
pub(super) fn candidates(hole: &Hole, known: &Vocabulary) -> Vec<Option<Value>> {
    let mut all: Vec<Value> = Vec::new();
    if hole.shape_is_text() && hole.is_partly_known() {
        all.extend(FILLERS.map(|filler| Value::String(filled(&hole.pieces, filler))));
        return all.into_iter().map(Some).collect();
    }

    all.extend(
        cases()
            .get(&general(&hole.pointer))
            .cloned()
            .unwrap_or_default(),
    );

    all.extend(of_shape(hole.shape, known));
    all.push(plainest(hole.shape, &hole.pieces));
    let absent = Some(None).filter(|_| hole.optional);
    absent
        .into_iter()
        .chain(all.into_iter().map(Some))
        .collect()
}

impl Hole {
    fn shape_is_text(&self) -> bool {
        matches!(self.shape, Shape::Text)
    }

    /// Whether something of it is written down.
    pub(super) fn is_partly_known(&self) -> bool {
        self.pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Text(text) if !text.is_empty()))
    }
}

fn of_shape(shape: Shape, known: &Vocabulary) -> Vec<Value> {
    match shape {
        Shape::Text => {
            let names = known.names.iter().map(|name| json!(name));
            let odd = FILLERS.into_iter().chain(["1", "1000000"]);
            names.chain(odd.map(|one| json!(one))).collect()
        }
        Shape::Integer(least) => {
            let numbers = known.numbers.iter().copied().filter(|one| *one >= least);
            let odd = [least.max(0), 1, 65_535, 1_000_000];
            numbers.chain(odd).map(|one| json!(one)).collect()
        }
        Shape::Bool => vec![json!(true), json!(false)],
        Shape::Choice(words) => words.iter().map(|word| json!(word)).collect(),
        Shape::List(inner) => {
            let one_of_each = match inner {
                Shape::Record(_) => records(*inner, known),
                _ => of_shape(*inner, known),
            };
            let alone = one_of_each.iter().map(|one| json!([one]));
            alone.chain([json!(one_of_each), json!([])]).collect()
        }
        Shape::Record(_) => records(shape, known),
        Shape::Number | Shape::TextMap | Shape::Any => Vec::new(),
    }
}

/// Records that have each of the known names and numbers once.
fn records(shape: Shape, known: &Vocabulary) -> Vec<Value> {
    let Shape::Record(fields) = shape else {
        return Vec::new();
    };
    let Value::Object(whole) = plainest(shape, &[]) else {
        return Vec::new();
    };
    let with = |value: Value, fits: fn(&str, Shape) -> bool| {
        let mut entries: Map<String, Value> = whole.clone();
        for field in fields.iter().filter(|field| fits(field.name, field.shape)) {
            entries.insert(field.name.to_owned(), value.clone());
        }
        Value::Object(entries)
    };

    let named = known.names.iter().map(|name| {
        with(json!(name), |field, shape| {
            NAMES.contains(&field) && matches!(shape, Shape::Text)
        })
    });
    let numbered = known
        .numbers
        .iter()
        .filter(|number| **number >= 0)
        .map(|number| {
            with(json!(number), |field, shape| {
                field == "containerPort" && matches!(shape, Shape::Integer(_))
            })
        });

    named.chain(numbered).collect()
}

/// The text with something in place of what is unknown.
pub(super) fn filled(pieces: &[Piece], filler: &str) -> String {
    if pieces.is_empty() {
        return filler.to_owned();
    }
    let parts = pieces.iter().map(|piece| match piece {
        Piece::Text(text) => text.as_str(),
        Piece::Open(name) => pseudo(name).unwrap_or(filler),
    });
    parts.collect()
}

/// The text as `Fn::Sub` would have it, for people.
pub(super) fn shown(pieces: &[Piece]) -> String {
    let parts = pieces.iter().map(|piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Open(name) => format!("${{{name}}}"),
    });
    parts.collect()
}

/// What stands in for an unknown text or part of one.
pub(super) const FILLERS: [&str; 4] = [
    "stand-in",
    "4711",
    "arn:aws:secretsmanager:eu-central-1:111122223333:secret:stand-in-a1B2c3",
    "111122223333.dkr.ecr.eu-central-1.amazonaws.com/stand-in",
];

fn pseudo(name: &str) -> Option<&'static str> {
    match name {
        "AWS::AccountId" => Some("111122223333"),
        "AWS::Region" => Some("eu-central-1"),
        "AWS::Partition" => Some("aws"),
        "AWS::URLSuffix" => Some("amazonaws.com"),
        _ => None,
    }
}

/// The values of the rules' passing cases, by pointer with `*` for each index.
fn cases() -> &'static BTreeMap<String, Vec<Value>> {
    static CASES: OnceLock<BTreeMap<String, Vec<Value>>> = OnceLock::new();

    CASES.get_or_init(|| {
        let mut all = BTreeMap::new();
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

/// The pointer with `*` for each index.
fn general(pointer: &str) -> String {
    let steps = pointer.split('/').map(|step| match step.parse::<usize>() {
        Ok(_) => "*",
        Err(_) => step,
    });
    steps.collect::<Vec<_>>().join("/")
}
