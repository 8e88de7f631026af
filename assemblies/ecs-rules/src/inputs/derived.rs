//! Builds the records of the API from the values of files in other formats.
//!
//! | file | does |
//! |---|---|
//! | `fields` | converts values of one form: texts, flags, lists, maps, command lines |
//! | `record` | builds values with the span of the user's value |
//! | `interpolate` | replaces `${NAME}` in texts; without a default the text is unknown |
//! | `amounts` | parses durations, sizes and shell words |
//! | `shape` | reports values that are no collection |
//! | `merge` | expands YAML's merge keys, and merges the settings of an environment |
//!
//! A converter of a format (`compose`, `copilot`, `express`) returns a tree with the API's names, in which every value
//! has the span of the value that it comes from. [`read`] derives the pointers from these spans.

use std::collections::BTreeMap;

use diagnostics::source::{Node, NodeValue, Source, Span};
use diagnostics::{Finding, Location, RuleRef, escape};
use task_definition::{HasSchema, Schema, Service, TaskDefinition};

use super::convert::{UnknownValue, node_from_json};
use super::document::NotEvaluated;
use super::evaluate::Piece;
use super::read::{Reading, definition, service};
use super::source_map::{Naming, SourceMap};

pub(super) mod amounts;
pub(super) mod fields;
pub(super) mod interpolate;
pub(super) mod merge;
pub(super) mod record;
pub(super) mod shape;

use interpolate::{Syntax, interpolate};

/// The findings about a file in another format, and its parts that have no counterpart.
pub(super) struct Notes<'s> {
    pub(super) source: &'s Source,
    pub(super) syntax: Syntax,
    pub(super) findings: Vec<Finding>,
    pub(super) not_evaluated: Vec<NotEvaluated>,
}

impl<'s> Notes<'s> {
    pub(super) fn new(source: &'s Source, syntax: Syntax) -> Self {
        Self {
            source,
            syntax,
            findings: Vec::new(),
            not_evaluated: Vec::new(),
        }
    }

    /// Adds a part that has no counterpart: `message` says what it is, and why it is not evaluated.
    pub(super) fn add(&mut self, span: Span, message: impl Into<String>) {
        let part = NotEvaluated {
            location: Location::from_span(self.source, span),
            message: message.into(),
        };
        if !self.not_evaluated.contains(&part) {
            self.not_evaluated.push(part);
        }
    }

    /// Adds an error about a value that cannot be read.
    pub(super) fn error(
        &mut self,
        rule: RuleRef,
        span: Span,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let location = Location::from_span(self.source, span);
        let finding = rule.error(location, message, hint);
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Returns the text of a scalar, or `None` if it is none or depends on a variable without a default.
    pub(super) fn known_text(&self, node: &Node) -> Option<String> {
        interpolate::resolve(&self.read_scalar(node)?, self.syntax)
    }

    /// Returns whether a scalar depends on a variable without a default.
    pub(super) fn is_unknown(&self, node: &Node) -> bool {
        node.text()
            .is_some_and(|text| interpolate::resolve(text, self.syntax).is_none())
    }

    /// Returns a scalar as it is written: `0.50` keeps its zero.
    pub(super) fn read_scalar(&self, node: &Node) -> Option<String> {
        match &node.value {
            NodeValue::Number(_) => Some(self.source.excerpt(node.span).trim())
                .filter(|text| text.parse::<f64>().is_ok())
                .map(str::to_owned)
                .or_else(|| super::evaluate::scalar(node)),
            _ => super::evaluate::scalar(node),
        }
    }
}

/// A record with the API's names, and the type that it has.
pub(super) enum Draft {
    Definition(Node),
    Service(Node),
}

/// Reads a record that was built from the values of `root`.
pub(super) fn read(source: &Source, syntax: Syntax, root: &Node, draft: Draft) -> Reading {
    let (mut node, schema) = match &draft {
        Draft::Definition(node) => (node.clone(), TaskDefinition::SCHEMA),
        Draft::Service(node) => (node.clone(), Service::SCHEMA),
    };
    let mut values = Values {
        syntax,
        pointers_by_span: pointers_by_span(root),
        unknowns: Vec::new(),
        pointers: BTreeMap::from([(String::new(), String::new())]),
        reasons: BTreeMap::new(),
    };
    values.value(&mut node, schema, "", false);

    let source_map = SourceMap {
        naming: Naming::Derived,
        pointers: values.pointers,
        // The record is not in the file, so no fix can edit it.
        not_editable: [String::new()].into(),
    };
    let (document, findings) = match draft {
        Draft::Definition(_) => definition(source, node, source_map),
        Draft::Service(_) => service(source, node, source_map),
    };

    let document = document.map(|mut document| {
        document.unknowns.extend(values.unknowns);
        document.add_derivations(&values.reasons);
        document
    });
    (document, findings)
}

/// Returns an unknown value that may be absent.
pub(super) fn optional_unknown(pointer: &str, schema: Schema) -> UnknownValue {
    UnknownValue {
        pointer: pointer.to_owned(),
        schema,
        pieces: vec![Piece::Unknown(pointer.trim_start_matches('/').to_owned())],
        optional: true,
        own_key: false,
    }
}

/// Walks a record along its schema, and replaces the variables in its texts.
struct Values {
    syntax: Syntax,
    pointers_by_span: BTreeMap<(usize, usize), String>,
    unknowns: Vec<UnknownValue>,
    pointers: BTreeMap<String, String>,
    reasons: BTreeMap<String, String>,
}

impl Values {
    fn value(&mut self, node: &mut Node, schema: Schema, pointer: &str, own_key: bool) {
        let key = (node.span.start, node.span.end);
        if let Some(user) = self
            .pointers_by_span
            .get(&key)
            .filter(|_| !pointer.is_empty())
        {
            self.pointers.insert(pointer.to_owned(), user.clone());
        }

        let below = |step: &str| format!("{pointer}/{step}");
        match (schema, &mut node.value) {
            (Schema::Record(fields), NodeValue::Map(entries)) => {
                for (key, value) in entries {
                    if let Some(field) = fields.iter().find(|field| field.name == key.name) {
                        self.value(value, field.schema, &below(field.name), false);
                    }
                }
            }
            (Schema::List(inner), NodeValue::List(items)) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.value(item, *inner, &below(&index.to_string()), false);
                }
            }
            (Schema::TextMap, NodeValue::Map(entries)) => {
                for (key, value) in entries {
                    self.value(value, Schema::Text, &below(&escape(&key.name)), true);
                }
            }
            (_, NodeValue::Text(text)) if text.contains('$') => {
                let text = text.clone();
                self.text(node, &text, schema, pointer, own_key);
            }
            _ => {}
        }
    }

    fn text(&mut self, node: &mut Node, text: &str, schema: Schema, pointer: &str, own_key: bool) {
        let pieces = interpolate(text, self.syntax);
        if let Some(known) = interpolate::join(&pieces) {
            // `$$` is a dollar sign, and no default.
            if known != text && text.contains("${") {
                let reason = format!("the default in `{text}`");
                self.reasons.insert(pointer.to_owned(), reason);
            }
            node.value = NodeValue::Text(known);
            return;
        }

        let minimal = super::candidates::minimal_value(schema, &pieces);
        *node = node_from_json(&minimal, node.span);
        self.unknowns.push(UnknownValue {
            pointer: pointer.to_owned(),
            schema,
            pieces,
            optional: false,
            own_key,
        });
    }
}

/// Returns the pointer of each value of a file, by its span.
fn pointers_by_span(root: &Node) -> BTreeMap<(usize, usize), String> {
    let mut all = BTreeMap::new();
    collect(root, "", &mut all);
    all
}

fn collect(node: &Node, pointer: &str, all: &mut BTreeMap<(usize, usize), String>) {
    // A value that an alias repeats is named by its first place.
    let mut add = |span: Span, pointer: &str| {
        all.entry((span.start, span.end))
            .or_insert_with(|| pointer.to_owned());
    };
    add(node.span, pointer);
    for (key, _) in node.entries() {
        add(key.span, &format!("{pointer}/{}", escape(&key.name)));
    }

    for (index, item) in node.items().iter().enumerate() {
        collect(item, &format!("{pointer}/{index}"), all);
    }
    for (key, value) in node.entries() {
        collect(value, &format!("{pointer}/{}", escape(&key.name)), all);
    }
}
