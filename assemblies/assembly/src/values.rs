//! The values of an environment, and the interpolation of `${name}`.
//!
//! A value may refer to other values. `${settings.COMPONENT.NAME}` is a setting of the manifest, and `$${` is a
//! literal `${`.

use std::collections::{BTreeMap, BTreeSet};

use diagnostics::source::{self, Node, NodeValue, Source};
use diagnostics::{Finding, Location};

use crate::lock::Lock;
use crate::rules;

mod interpolator;

pub(crate) use interpolator::Interpolator;

/// The values by name, the environments they belong to, and the lock of image tags.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values {
    entries: BTreeMap<String, Entry>,
    environments: Vec<String>,
    lock: Lock,
}

/// A value, and its location if it comes from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    text: String,
    location: Option<Location>,
}

/// A reason why a text cannot be interpolated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InterpolationError {
    /// The value is not defined.
    Missing(String),
    /// The values refer to each other in a cycle; the last name is the first one again.
    Cycle(Vec<String>),
}

impl Values {
    /// Reads a file of values: a flat map of scalars.
    pub fn read(source: &Source) -> Result<Self, Vec<Finding>> {
        let node = source::parse(source)?;
        let mut values = Self::default();
        let mut findings = Vec::new();

        // An empty file is a valid file without values.
        if !matches!(node.value, NodeValue::Map(_) | NodeValue::Null) {
            let location = Location::from_span(source, node.span);
            findings.push(rules::m02_wrong_type::wrong_type(
                location,
                "values",
                "a map",
                node.kind(),
            ));
        }

        for (key, value) in node.entries() {
            let location = Location::from_span(source, value.span);
            if let Some(text) = scalar(source, value) {
                let location = Some(location);
                values
                    .entries
                    .insert(key.name.clone(), Entry { text, location });
            } else {
                findings.push(rules::m02_wrong_type::wrong_type(
                    location,
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

    /// Adds a value, which replaces an existing one of the same name.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        let (text, location) = (value.to_owned(), None);
        self.entries
            .insert(name.to_owned(), Entry { text, location });
        self
    }

    /// Adds other values, which replace existing ones of the same name.
    pub fn and(mut self, others: Self) -> Self {
        self.entries.extend(others.entries);
        self.environments.extend(others.environments);
        self
    }

    /// Marks the values as those of an environment: a manifest's `environments.NAME` is then overlaid on the
    /// manifest.
    pub fn with_environment(mut self, name: &str) -> Self {
        self.environments.push(name.to_owned());
        self
    }

    /// Replaces the lock.
    pub fn with_lock(self, lock: Lock) -> Self {
        Self { lock, ..self }
    }

    /// Returns the lock, which is empty by default.
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// Returns the environments of these values; a later one takes precedence.
    pub fn environments(&self) -> &[String] {
        &self.environments
    }

    /// Returns the text of a value, without interpolation.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.entries.get(name).map(|entry| entry.text.as_str())
    }

    /// Returns the location of a value, if it comes from a file.
    pub fn location(&self, name: &str) -> Option<&Location> {
        self.entries.get(name)?.location.as_ref()
    }

    /// Returns the names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.entries.keys().map(String::as_str)
    }

    /// Returns the manifest's own `values`, replaced by these where both have a name.
    pub(crate) fn with_manifest(&self, source: &Source, node: &Node) -> Self {
        let mut values = Self::default();
        for (key, value) in node.get("values").map(Node::entries).unwrap_or_default() {
            let location = Some(Location::from_span(source, value.span));
            let entry = scalar(source, value).map(|text| Entry { text, location });
            values
                .entries
                .extend(entry.map(|entry| (key.name.clone(), entry)));
        }

        // The values of the environment come last and so take precedence.
        values.entries.extend(self.entries.clone());
        values.environments.clone_from(&self.environments);
        values.lock.clone_from(&self.lock);
        values
    }

    /// Interpolates the values themselves. A value with an undefined reference is left unchanged.
    pub(crate) fn resolve_references(&self) -> Self {
        let mut resolved = self.clone();
        for entry in resolved.entries.values_mut() {
            // A value that nothing uses may stay undefined; uses have their own finding.
            if let Ok(text) = self.interpolate(&entry.text) {
                entry.text = text;
            }
        }
        resolved
    }

    /// Reports values that look like credentials.
    pub(crate) fn plain_secrets(&self) -> Vec<Finding> {
        let entries = self.entries.iter();
        let plain = entries.filter_map(|(name, entry)| {
            let location = entry.location.clone()?;
            rules::m31_possible_secret::is_plain_secret(name, &entry.text)
                .then(|| rules::m31_possible_secret::plain_text_secret(location, name))
        });
        plain.collect()
    }

    /// Interpolates a text, or returns every reason why it cannot.
    pub fn interpolate(&self, text: &str) -> Result<String, Vec<InterpolationError>> {
        interpolate_nested(text, &|name| self.get(name).map(str::to_owned), &[])
    }
}

impl InterpolationError {
    /// Returns the finding for this error at the location of the text.
    pub(crate) fn into_finding<'a>(
        self,
        location: &Location,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Finding {
        match self {
            Self::Missing(name) => {
                rules::m14_undefined_value::undefined_value(location.clone(), &name, known)
            }
            Self::Cycle(names) => rules::m30_value_cycle::cycle(location.clone(), &names),
        }
    }
}

/// Interpolates a text, and the values it refers to. `through` are the names that led to this text.
fn interpolate_nested(
    text: &str,
    value: &dyn Fn(&str) -> Option<String>,
    through: &[String],
) -> Result<String, Vec<InterpolationError>> {
    let mut errors = Vec::new();
    let interpolated = interpolate(text, |name| {
        if let Some(start) = through.iter().position(|visited| visited == name) {
            // Only the names from the first visit on belong to the cycle.
            let mut cycle = through[start..].to_vec();
            cycle.push(name.to_owned());
            errors.push(InterpolationError::Cycle(cycle));
            return Some(String::new());
        }

        let Some(text) = value(name) else {
            errors.push(InterpolationError::Missing(name.to_owned()));
            return Some(String::new());
        };

        let through = [through, &[name.to_owned()]].concat();
        match interpolate_nested(&text, value, &through) {
            Ok(text) => Some(text),
            Err(more) => {
                errors.extend(more);
                Some(String::new())
            }
        }
    });

    match interpolated {
        Ok(text) if errors.is_empty() => Ok(text),
        _ => {
            // `${a}${a}` is one problem.
            errors.dedup();
            Err(errors)
        }
    }
}

/// Returns the names that a text refers to as `${name}`.
pub fn references(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    // Only the calls matter here; the result is an error as soon as there is a reference.
    let _ = interpolate(text, |name| {
        names.insert(name.to_owned());
        None
    });
    names
}

/// Replaces each `${name}` by the result of `value`, or returns the names without one.
pub(crate) fn interpolate(
    text: &str,
    mut value: impl FnMut(&str) -> Option<String>,
) -> Result<String, Vec<String>> {
    let (mut result, mut missing) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        // An unclosed `${` is ordinary text.
        let Some(length) = rest[start..].find('}') else {
            break;
        };
        let end = start + length;

        // `$${name}` is the escape for a literal `${name}`: one dollar sign is dropped.
        if rest[..start].ends_with('$') {
            result.push_str(&rest[..start - 1]);
            result.push_str(&rest[start..=end]);
        } else {
            result.push_str(&rest[..start]);
            let name = rest[start + 2..end].trim();
            match value(name) {
                Some(value) => result.push_str(&value),
                None => missing.push(name.to_owned()),
            }
        }
        rest = &rest[end + 1..];
    }

    result.push_str(rest);
    if missing.is_empty() {
        Ok(result)
    } else {
        Err(missing)
    }
}

/// Returns a scalar as it is written: `1.10` is not shortened to `1.1`.
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
    fn interpolates_values_and_keeps_escaped_references() {
        let values = Values::default().with("a", "1").with("b", "2");
        assert_eq!(
            values.interpolate("${a}-$${a}-${ b }").as_deref(),
            Ok("1-${a}-2")
        );
    }

    #[test]
    fn reports_all_missing_values() {
        let missing = |name: &str| InterpolationError::Missing(name.to_owned());
        // `inner` is missing although only the value of `a` refers to it.
        let values = Values::default().with("a", "${inner}");
        assert_eq!(
            values.interpolate("${a} ${b}"),
            Err(vec![missing("inner"), missing("b")])
        );
    }

    #[test]
    fn interpolates_nested_values_and_detects_cycles() {
        let values = Values::default()
            .with("a", "<${b}>")
            .with("b", "${c}${c}")
            .with("c", "x");
        assert_eq!(values.interpolate("${a}").as_deref(), Ok("<xx>"));
        // Now a refers to b, b to c, and c to a again.
        let values = values.with("c", "${a}");
        let cycle = ["a", "b", "c", "a"].map(str::to_owned).to_vec();
        assert_eq!(
            values.interpolate("${a}"),
            Err(vec![InterpolationError::Cycle(cycle)])
        );
    }

    #[test]
    fn a_later_file_takes_precedence() {
        let file = |text: &str| Values::read(&Source::new("v.yaml", text)).expect("values");
        let values = file("a: 1\nb: 1\n").and(file("b: 2\n")).with("c", "3");
        let all = values.interpolate("${a}${b}${c}");
        assert_eq!(all.as_deref(), Ok("123"));
    }
}
