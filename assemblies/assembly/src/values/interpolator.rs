//! Interpolates a manifest.

use diagnostics::source::{Node, NodeValue, Source};
use diagnostics::{Finding, Location};

use super::{Values, interpolate_nested, scalar};

/// Interpolates the texts of a manifest.
pub(crate) struct Interpolator<'f> {
    pub(crate) values: &'f Values,
    pub(crate) source: &'f Source,
    /// The manifest before interpolation, for references to its settings.
    pub(crate) node: &'f Node,
    pub(crate) findings: Vec<Finding>,
}

impl Interpolator<'_> {
    /// Interpolates the manifest and collects a finding for each undefined value. `values` and `environments`
    /// are left unchanged: they are interpolated where they are used.
    pub(crate) fn manifest(&mut self) -> Node {
        let NodeValue::Map(entries) = &self.node.value else {
            return self.node.clone();
        };
        let interpolated = entries.iter().map(|(key, value)| {
            let is_source = matches!(key.name.as_str(), "values" | "environments");
            let value = if is_source {
                value.clone()
            } else {
                self.node(value)
            };
            (key.clone(), value)
        });

        let value = NodeValue::Map(interpolated.collect());
        let span = self.node.span;
        Node { value, span }
    }

    fn node(&mut self, node: &Node) -> Node {
        let value = match &node.value {
            NodeValue::Text(text) => self.text(text, node),
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

    fn text(&mut self, text: &str, node: &Node) -> NodeValue {
        match interpolate_nested(text, &|name| self.value(name), &[]) {
            Ok(value) if is_reference(text) => NodeValue::Interpolated(value),
            Ok(value) => NodeValue::Text(value),
            Err(errors) => {
                let location = Location::from_span(self.source, node.span);
                let names = self.values.names();
                let findings = errors
                    .into_iter()
                    .map(|error| error.into_finding(&location, names.clone()));

                self.findings.extend(findings);
                NodeValue::Text(text.to_owned())
            }
        }
    }

    /// Returns a value, or a setting of the manifest for `settings.COMPONENT.NAME`.
    fn value(&self, name: &str) -> Option<String> {
        let Some(setting) = name.strip_prefix("settings.") else {
            return self.values.get(name).map(str::to_owned);
        };
        let (component, setting) = setting.split_once('.')?;
        let given = self.node.get("settings")?.get(component)?;
        scalar(self.source, find_setting(given, setting)?)
    }
}

/// Returns whether a text is a `${…}` and nothing else.
fn is_reference(text: &str) -> bool {
    let inside = text
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'));
    // `${a}${b}` is two of them.
    inside.is_some_and(|name| !name.contains('}'))
}

/// Finds a setting that is written dotted, nested, or a mixture of both.
fn find_setting<'n>(node: &'n Node, setting: &str) -> Option<&'n Node> {
    // `limits.idle_timeout` may be `limits: { idle_timeout: … }`, at every dot.
    let nested = || {
        let dots = setting.match_indices('.');
        let mut halves = dots.map(|(at, _)| (&setting[..at], &setting[at + 1..]));
        halves.find_map(|(first, rest)| find_setting(node.get(first)?, rest))
    };
    node.get(setting).or_else(nested)
}
