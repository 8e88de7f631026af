//! What differs by environment: names with text, and how `${name}` is filled.
//!
//! `$${` stands for `${` itself.

use std::collections::BTreeMap;

use task_definition::source::{self, Node, NodeValue, Source};
use task_definition::{Finding, Place};

use crate::lock::Lock;
use crate::rules;

/// Names with their text, and the images that tags stand for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values {
    texts: BTreeMap<String, String>,
    lock: Lock,
}

impl Values {
    /// Reads a file of values: a flat map of scalars.
    pub fn read(source: &Source) -> Result<Self, Vec<Finding>> {
        let node = source::parse(source)?;
        let mut values = Self::default();
        let mut findings = Vec::new();
        if !matches!(node.value, NodeValue::Map(_) | NodeValue::Null) {
            let place = Place::in_text(source, node.span);
            findings.push(rules::m02::wrong_type(
                place,
                "values",
                "a map",
                node.kind(),
            ));
        }
        for (key, value) in node.entries() {
            if let Some(text) = scalar(source, value) {
                values.texts.insert(key.name.clone(), text);
            } else {
                let place = Place::in_text(source, value.span);
                findings.push(rules::m02::wrong_type(
                    place,
                    &key.name,
                    "text",
                    value.kind(),
                ));
            }
        }
        if findings.is_empty() {
            Ok(values)
        } else {
            Err(findings)
        }
    }

    /// These values and one more, which wins.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.texts.insert(name.to_owned(), value.to_owned());
        self
    }

    /// These values, with this lock.
    pub fn locked(self, lock: Lock) -> Self {
        Self { lock, ..self }
    }

    /// The lock, which is empty where nobody gave one.
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// The text of a value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.texts.keys().map(String::as_str)
    }

    /// The values of a manifest's own `values` under these.
    fn over(&self, source: &Source, node: &Node) -> Self {
        let mut values = Self::default();
        for (key, value) in node.get("values").map(Node::entries).unwrap_or_default() {
            values
                .texts
                .extend(scalar(source, value).map(|text| (key.name.clone(), text)));
        }
        values.texts.extend(self.texts.clone());
        values
    }

    /// A manifest with its `${…}` filled; all that is missing comes back together.
    pub(crate) fn filled(&self, source: &Source, node: &Node) -> (Node, Vec<Finding>) {
        let mut findings = Vec::new();
        let filled = self
            .over(source, node)
            .fill_node(source, node, &mut findings);
        (filled, findings)
    }

    fn fill_node(&self, source: &Source, node: &Node, findings: &mut Vec<Finding>) -> Node {
        let value = match &node.value {
            NodeValue::Text(text) => match self.fill(text) {
                Ok(filled) => NodeValue::Text(filled),
                Err(missing) => {
                    for name in missing {
                        let place = Place::in_text(source, node.span);
                        findings.push(rules::m14::no_value(place, &name, self.names()));
                    }
                    node.value.clone()
                }
            },
            NodeValue::List(items) => NodeValue::List(
                items
                    .iter()
                    .map(|item| self.fill_node(source, item, findings))
                    .collect(),
            ),
            NodeValue::Map(entries) => NodeValue::Map(
                entries
                    .iter()
                    .map(|(key, value)| (key.clone(), self.fill_node(source, value, findings)))
                    .collect(),
            ),
            other => other.clone(),
        };
        Node {
            value,
            span: node.span,
        }
    }

    /// A text with its `${…}` filled, or the names that have no value.
    pub fn fill(&self, text: &str) -> Result<String, Vec<String>> {
        fill(text, |name| self.get(name).map(str::to_owned))
    }
}

/// A text with its `${…}` filled from anywhere, or the names that have no value.
pub(crate) fn fill(
    text: &str,
    value: impl Fn(&str) -> Option<String>,
) -> Result<String, Vec<String>> {
    let (mut filled, mut missing) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else {
            break;
        };
        let end = start + length;
        if rest[..start].ends_with('$') {
            filled.push_str(&rest[..start - 1]);
            filled.push_str(&rest[start..=end]);
        } else {
            filled.push_str(&rest[..start]);
            let name = rest[start + 2..end].trim();
            match value(name) {
                Some(value) => filled.push_str(&value),
                None => missing.push(name.to_owned()),
            }
        }
        rest = &rest[end + 1..];
    }
    filled.push_str(rest);
    if missing.is_empty() {
        Ok(filled)
    } else {
        Err(missing)
    }
}

/// A scalar as it was written: `1.10` stays `1.10`.
fn scalar(source: &Source, node: &Node) -> Option<String> {
    match &node.value {
        NodeValue::Text(text) => Some(text.clone()),
        NodeValue::Number(_) | NodeValue::Bool(_) => Some(source.excerpt(node.span).to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_values_and_keeps_what_is_escaped() {
        let values = Values::default().with("a", "1").with("b", "2");
        assert_eq!(values.fill("${a}-$${a}-${ b }").as_deref(), Ok("1-${a}-2"));
    }

    #[test]
    fn tells_all_that_is_missing() {
        let missing = Values::default().fill("${a} ${b}");
        assert_eq!(missing, Err(vec!["a".to_owned(), "b".to_owned()]));
    }
}
