//! Writes JSON values as readable YAML, with quotes only where a plain scalar would be ambiguous.
//!
//! One [`Writer`] serves every document. What differs between them is a [`Style`]: which values share a line with
//! their key, and which texts need quotes.

use std::collections::BTreeMap;

use serde_json::Value;

use self::writer::Writer;

mod function;
mod scalar;
#[cfg(test)]
mod tests;
mod writer;

/// Comments to write above values, by JSON pointer.
pub(crate) type Comments = BTreeMap<String, String>;

/// The maximum length of a line, unless one scalar is longer.
const WIDTH: usize = 110;

/// How a document is laid out.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Style<'c> {
    /// Manifests and other files that people edit: what fits is on one line, maps included.
    Compact,
    /// Compose files: maps are blocks, lists of scalars are on one line.
    Compose,
    /// CloudFormation templates: comments, blank lines between sections, functions in their short form.
    Template(&'c Comments),
}

/// Formats a value as a document.
pub(crate) fn document(value: &Value, style: Style<'_>) -> String {
    let mut writer = Writer::new(style);
    writer.block(value, 0);
    writer.finish().trim_start_matches('\n').to_owned()
}

/// Formats a key and its value in the compact style, as lines that end with a newline.
pub(crate) fn entry(key: &str, value: &Value, indent: usize) -> String {
    let mut writer = Writer::new(Style::Compact);
    writer.entry(key, value, indent);
    writer.finish()
}
