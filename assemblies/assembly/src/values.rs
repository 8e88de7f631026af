//! What differs by environment: names with text, and how `${name}` is filled.
//!
//! A value may name others; `${settings.COMPONENT.NAME}` is what the manifest says of a setting; `$${` stands
//! for `${` itself.

use std::collections::{BTreeMap, BTreeSet};

use task_definition::source::{self, Node, NodeValue, Source};
use task_definition::{Finding, Place};

use crate::lock::Lock;
use crate::rules;

/// Names with their text, the environments they are of, and the images that tags stand for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values {
    entries: BTreeMap<String, Entry>,
    environments: Vec<String>,
    lock: Lock,
}

/// A value, and its line if it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    text: String,
    place: Option<Place>,
}

/// Why a text could not be filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InterpolationError {
    /// Nobody gave a value.
    Missing(String),
    /// Values that name each other in a ring, the first one last as well.
    Cycle(Vec<String>),
}

impl Values {
    /// Reads a file of values: a flat map of scalars.
    pub fn read(source: &Source) -> Result<Self, Vec<Finding>> {
        let node = source::parse(source)?;
        let mut values = Self::default();
        let mut findings = Vec::new();

        if !matches!(node.value, NodeValue::Map(_) | NodeValue::Null) {
            let place = Place::in_text(source, node.span);
            findings.push(rules::m02_wrong_type::wrong_type(
                place,
                "values",
                "a map",
                node.kind(),
            ));
        }

        for (key, value) in node.entries() {
            let place = Place::in_text(source, value.span);
            if let Some(text) = scalar(source, value) {
                let place = Some(place);
                values
                    .entries
                    .insert(key.name.clone(), Entry { text, place });
            } else {
                findings.push(rules::m02_wrong_type::wrong_type(
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
        let (text, place) = (value.to_owned(), None);
        self.entries.insert(name.to_owned(), Entry { text, place });
        self
    }

    /// These values and others, which win.
    pub fn and(mut self, others: Self) -> Self {
        self.entries.extend(others.entries);
        self.environments.extend(others.environments);
        self
    }

    /// The same values, said to be those of an environment: what a manifest has under `environments` for
    /// that name is laid over it.
    pub fn with_environment(mut self, name: &str) -> Self {
        self.environments.push(name.to_owned());
        self
    }

    /// These values, with this lock.
    pub fn with_lock(self, lock: Lock) -> Self {
        Self { lock, ..self }
    }

    /// The lock, which is empty where nobody gave one.
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// The environments these are the values of; a later one wins.
    pub fn environments(&self) -> &[String] {
        &self.environments
    }

    /// The text of a value, as it was written.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.entries.get(name).map(|entry| entry.text.as_str())
    }

    /// The line of a value, if it stands in a file.
    pub fn place(&self, name: &str) -> Option<&Place> {
        self.entries.get(name)?.place.as_ref()
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.entries.keys().map(String::as_str)
    }

    /// A manifest's own `values`, and these over them. What names others is filled, as far as it can be.
    pub(crate) fn with_manifest(&self, source: &Source, node: &Node) -> Self {
        let mut values = Self::default();
        for (key, value) in node.get("values").map(Node::entries).unwrap_or_default() {
            let place = Some(Place::in_text(source, value.span));
            let entry = scalar(source, value).map(|text| Entry { text, place });
            values
                .entries
                .extend(entry.map(|entry| (key.name.clone(), entry)));
        }

        values.entries.extend(self.entries.clone());
        values.environments.clone_from(&self.environments);
        values.lock.clone_from(&self.lock);
        values
    }

    /// The same, each with what it names filled in, as far as that is known.
    pub(crate) fn resolve_references(&self) -> Self {
        let mut settled = self.clone();
        for entry in settled.entries.values_mut() {
            if let Ok(text) = self.interpolate(&entry.text) {
                entry.text = text;
            }
        }
        settled
    }

    /// Names of passwords with text that can be one.
    pub(crate) fn plain_secrets(&self) -> Vec<Finding> {
        let entries = self.entries.iter();
        let plain = entries.filter_map(|(name, entry)| {
            let place = entry.place.clone()?;
            rules::m31_possible_secret::is_plain_secret(name, &entry.text)
                .then(|| rules::m31_possible_secret::plain_text_secret(place, name))
        });
        plain.collect()
    }

    /// A text with its `${…}` filled, or why that cannot be.
    pub fn interpolate(&self, text: &str) -> Result<String, Vec<InterpolationError>> {
        interpolate_nested(text, &|name| self.get(name).map(str::to_owned), &[])
    }
}

/// A manifest's texts and what may fill them.
pub(crate) struct Interpolator<'f> {
    pub(crate) values: &'f Values,
    pub(crate) source: &'f Source,
    /// The manifest, unfilled, for its settings.
    pub(crate) node: &'f Node,
    pub(crate) findings: Vec<Finding>,
}

impl Interpolator<'_> {
    /// The manifest with its `${…}` filled; all that is missing is found together. `values` and
    /// `environments` are left as they are: they count where they are used.
    pub(crate) fn manifest(&mut self) -> Node {
        let NodeValue::Map(entries) = &self.node.value else {
            return self.node.clone();
        };
        let filled = entries.iter().map(|(key, value)| {
            let is_source = matches!(key.name.as_str(), "values" | "environments");
            let value = if is_source {
                value.clone()
            } else {
                self.node(value)
            };
            (key.clone(), value)
        });

        let value = NodeValue::Map(filled.collect());
        let span = self.node.span;
        Node { value, span }
    }

    fn node(&mut self, node: &Node) -> Node {
        let value = match &node.value {
            NodeValue::Text(text) => NodeValue::Text(self.text(text, node)),
            NodeValue::List(items) => {
                NodeValue::List(items.iter().map(|item| self.node(item)).collect())
            }
            NodeValue::Map(entries) => NodeValue::Map(
                entries
                    .iter()
                    .map(|(key, value)| (key.clone(), self.node(value)))
                    .collect(),
            ),
            other => other.clone(),
        };

        let span = node.span;
        Node { value, span }
    }

    fn text(&mut self, text: &str, node: &Node) -> String {
        match interpolate_nested(text, &|name| self.value(name), &[]) {
            Ok(filled) => filled,
            Err(unfilled) => {
                let place = Place::in_text(self.source, node.span);
                let names = self.values.names();
                let told = unfilled
                    .into_iter()
                    .map(|one| one.to_finding(&place, names.clone()));

                self.findings.extend(told);
                text.to_owned()
            }
        }
    }

    /// A value, or what the manifest says of a setting.
    fn value(&self, name: &str) -> Option<String> {
        let Some(setting) = name.strip_prefix("settings.") else {
            return self.values.get(name).map(str::to_owned);
        };
        let (component, setting) = setting.split_once('.')?;
        let given = self.node.get("settings")?.get(component)?;
        scalar(self.source, below(given, setting)?)
    }
}

/// A setting that is written dotted, nested, or half and half.
fn below<'n>(node: &'n Node, setting: &str) -> Option<&'n Node> {
    let nested = || {
        let dots = setting.match_indices('.');
        let mut halves = dots.map(|(at, _)| (&setting[..at], &setting[at + 1..]));
        halves.find_map(|(first, rest)| below(node.get(first)?, rest))
    };
    node.get(setting).or_else(nested)
}

impl InterpolationError {
    /// What is said about it, at the line of the text.
    pub(crate) fn to_finding<'a>(
        self,
        place: &Place,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Finding {
        match self {
            Self::Missing(name) => {
                rules::m14_undefined_value::undefined(place.clone(), &name, known)
            }
            Self::Cycle(names) => rules::m30_value_cycle::cycle(place.clone(), &names),
        }
    }
}

/// A text with its `${…}` filled, and those of what they are filled with. `through` are the names that led
/// here.
fn interpolate_nested(
    text: &str,
    value: &dyn Fn(&str) -> Option<String>,
    through: &[String],
) -> Result<String, Vec<InterpolationError>> {
    let mut troubles = Vec::new();
    let filled = interpolate(text, |name| {
        if let Some(start) = through.iter().position(|one| one == name) {
            let mut ring = through[start..].to_vec();
            ring.push(name.to_owned());
            troubles.push(InterpolationError::Cycle(ring));
            return Some(String::new());
        }

        let Some(text) = value(name) else {
            troubles.push(InterpolationError::Missing(name.to_owned()));
            return Some(String::new());
        };

        let through = [through, &[name.to_owned()]].concat();
        match interpolate_nested(&text, value, &through) {
            Ok(text) => Some(text),
            Err(more) => {
                troubles.extend(more);
                Some(String::new())
            }
        }
    });

    match filled {
        Ok(filled) if troubles.is_empty() => Ok(filled),
        _ => {
            troubles.dedup();
            Err(troubles)
        }
    }
}

/// The names that stand in a text as `${name}`.
pub fn references(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let _ = interpolate(text, |name| {
        names.insert(name.to_owned());
        None
    });
    names
}

/// A text with its `${…}` filled from anywhere, or the names that have no value.
pub(crate) fn interpolate(
    text: &str,
    mut value: impl FnMut(&str) -> Option<String>,
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
        assert_eq!(
            values.interpolate("${a}-$${a}-${ b }").as_deref(),
            Ok("1-${a}-2")
        );
    }

    #[test]
    fn tells_all_that_is_missing() {
        let missing = |name: &str| InterpolationError::Missing(name.to_owned());
        let values = Values::default().with("a", "${inner}");
        assert_eq!(
            values.interpolate("${a} ${b}"),
            Err(vec![missing("inner"), missing("b")])
        );
    }

    #[test]
    fn fills_what_values_name_and_finds_rings() {
        let values = Values::default()
            .with("a", "<${b}>")
            .with("b", "${c}${c}")
            .with("c", "x");
        assert_eq!(values.interpolate("${a}").as_deref(), Ok("<xx>"));
        let values = values.with("c", "${a}");
        let ring = ["a", "b", "c", "a"].map(str::to_owned).to_vec();
        assert_eq!(
            values.interpolate("${a}"),
            Err(vec![InterpolationError::Cycle(ring)])
        );
    }

    #[test]
    fn a_later_file_wins() {
        let file = |text: &str| Values::read(&Source::new("v.yaml", text)).expect("values");
        let values = file("a: 1\nb: 1\n").and(file("b: 2\n")).with("c", "3");
        let all = values.interpolate("${a}${b}${c}");
        assert_eq!(all.as_deref(), Ok("123"));
    }
}
