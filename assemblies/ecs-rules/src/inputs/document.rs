//! The documents of a text: task definitions, services and RunTask requests.

use std::collections::BTreeMap;

use diagnostics::{Finding, Location, LocationMap};
use serde_json::Value;
use task_definition::{LocatedDefinition, UnreadValue};

use super::convert::UnknownValue;
use super::source_map::{Naming, SourceMap};
use crate::launch::Request;

/// The documents of a text.
#[derive(Debug, Clone)]
pub struct ParsedInput {
    /// The documents, once per assignment of the conditions of a template.
    pub variants: Vec<Vec<Document>>,
    /// Findings about parts that could not be read.
    pub findings: Vec<Finding>,
    /// What no rule has checked.
    pub not_evaluated: Vec<NotEvaluated>,
    /// The kind of file with its article, if its documents are derived from another format: `a Compose file`. What a
    /// tool adds when it deploys such a file is unknown, so its documents cannot be registered.
    pub converted_from: Option<&'static str>,
}

/// A part of a text that no rule checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotEvaluated {
    /// Where it is.
    pub location: Location,
    /// What it is, and why it is not evaluated, as a sentence without a full stop.
    pub message: String,
}

impl ParsedInput {
    /// Creates an input without documents.
    pub fn from_findings(findings: Vec<Finding>) -> Self {
        Self {
            variants: Vec::new(),
            findings,
            not_evaluated: Vec::new(),
            converted_from: None,
        }
    }

    /// Returns the documents under the default assignment.
    pub fn documents(&self) -> &[Document] {
        self.variants.first().map_or(&[], Vec::as_slice)
    }
}

/// A task definition, service or RunTask request in a text.
#[derive(Debug, Clone)]
pub struct Document {
    /// The kind and content of the document.
    pub kind: DocumentKind,
    /// The JSON pointer of the document in the text.
    pub pointer: String,
    /// The names by which other documents of the text refer to it.
    pub(super) names: Vec<String>,
    /// The name of the task definition that it uses.
    pub(super) task_definition: Option<String>,
    pub(super) json: Value,
    pub(super) unknowns: Vec<UnknownValue>,
    pub(super) source_map: SourceMap,
}

/// The content of a document. Unknown values are replaced by minimal ones.
#[derive(Debug, Clone)]
pub enum DocumentKind {
    /// A task definition.
    Definition(Box<LocatedDefinition>),
    /// A service or RunTask request, and the locations of its values.
    Launch(Request, LocationMap),
}

impl Document {
    pub(super) fn new(kind: DocumentKind, json: Value, source_map: SourceMap) -> Self {
        Self {
            kind,
            pointer: source_map.pointer(""),
            names: Vec::new(),
            task_definition: None,
            json,
            unknowns: Vec::new(),
            source_map,
        }
    }

    pub(super) fn with_names(self, names: Vec<String>) -> Self {
        Self { names, ..self }
    }

    /// Adds the values that could not be read, which rules have to take as unknown.
    pub(super) fn with_unread(mut self, unread: Vec<UnreadValue>) -> Self {
        let unknowns = unread.into_iter().map(|unread| UnknownValue {
            pointer: unread.pointer,
            schema: unread.schema,
            pieces: Vec::new(),
            optional: false,
            own_key: unread.own_key,
        });
        self.unknowns.extend(unknowns);
        self
    }

    /// Returns the JSON pointers of values that are unknown until something else fills them in: a template's parameters,
    /// or attributes that are not in the file.
    pub fn unknown_values(&self) -> impl Iterator<Item = &str> {
        self.unknowns.iter().map(|unknown| unknown.pointer.as_str())
    }

    /// Returns whether the document is derived from another format. What AWS or a tool adds to it is unknown, so it cannot
    /// be registered.
    pub fn is_derived(&self) -> bool {
        self.source_map.naming == Naming::Derived
    }

    /// Returns the JSON pointers of unknown values that are not absent: examples take their places.
    pub fn example_values(&self) -> impl Iterator<Item = &str> {
        let filled = self.unknowns.iter().filter(|unknown| !unknown.optional);
        filled.map(|unknown| unknown.pointer.as_str())
    }

    /// Sets the location of the whole document.
    pub(super) fn set_location(&mut self, location: Location) {
        // The empty pointer is the fallback for every value without a location.
        self.locations().insert("", location);
    }

    /// Returns a key that is equal for documents with equal content.
    pub(super) fn identity(&self) -> String {
        let unknowns: Vec<_> = self
            .unknowns
            .iter()
            .map(|unknown| &unknown.pointer)
            .collect();
        format!("{} {} {unknowns:?}", self.pointer, self.json)
    }

    fn locations(&mut self) -> &mut LocationMap {
        match &mut self.kind {
            DocumentKind::Definition(located) => &mut located.locations,
            DocumentKind::Launch(_, locations) => locations,
        }
    }

    /// Records the derivation of values that differ from the text.
    pub(super) fn add_derivations(&mut self, reasons: &BTreeMap<String, String>) {
        let locations = self.locations();
        for (pointer, reason) in reasons {
            let from = locations.get(pointer);
            locations.replace(
                pointer.clone(),
                Location::from_derivation(reason.clone(), Some(from)),
            );
        }
    }
}
