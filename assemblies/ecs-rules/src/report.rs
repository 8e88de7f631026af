//! The report to which the check of a rule adds its findings.

use std::collections::BTreeMap;

use diagnostics::{Edit, Finding, Fix, LocationMap, Severity, nearest};

use crate::images::ImageFacts;
use crate::rule::Rule;

/// Collects the findings of one rule.
#[derive(Debug)]
pub struct Report<'l> {
    rule: &'static Rule,
    locations: &'l LocationMap,
    images: &'l ImageFacts,
    findings: Vec<Finding>,
}

impl<'l> Report<'l> {
    /// Creates an empty report of a rule.
    pub(crate) fn new(
        rule: &'static Rule,
        locations: &'l LocationMap,
        images: &'l ImageFacts,
    ) -> Self {
        Self {
            rule,
            locations,
            images,
            findings: Vec::new(),
        }
    }

    /// Returns the findings.
    pub(crate) fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    /// Returns the facts about images.
    pub fn images(&self) -> &'l ImageFacts {
        self.images
    }

    /// Adds a finding with the severity of the rule.
    pub fn add(
        &mut self,
        pointer: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(
            self.rule.severity,
            pointer.into(),
            message.into(),
            hint.into(),
        );
    }

    /// Adds a finding with severity warning.
    pub fn warn(
        &mut self,
        pointer: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(
            Severity::Warning,
            pointer.into(),
            message.into(),
            hint.into(),
        );
    }

    /// Adds a finding about a missing value, at the location of the value `beside` it.
    pub fn add_missing(
        &mut self,
        pointer: &str,
        beside: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(
            self.rule.severity,
            pointer.to_owned(),
            message.into(),
            hint.into(),
        );
        if let Some(finding) = self.findings.last_mut() {
            finding.location = self.locations.get(beside);
        }
    }

    /// Attaches a fix to the last finding. A fix must not need a decision.
    pub fn fix(&mut self, title: impl Into<String>, edits: Vec<Edit>) {
        if let Some(finding) = self.findings.last_mut() {
            let title = title.into();
            finding.fix = Some(Fix { title, edits });
        }
    }

    /// Attaches a fix to the last finding that sets the value at a pointer, if there is a suggestion.
    pub(crate) fn fix_value(&mut self, pointer: impl Into<String>, suggestion: Option<&str>) {
        if let Some(suggestion) = suggestion {
            let edits = vec![Edit::Set(pointer.into(), suggestion.into())];
            self.fix(format!("write `{suggestion}`"), edits);
        }
    }

    /// Attaches a fix to the last finding that renames a key of a map, unless the new key exists with another
    /// value.
    pub(crate) fn fix_key(
        &mut self,
        enclosing: &str,
        values: &BTreeMap<String, String>,
        key: &str,
        suggestion: Option<&str>,
    ) {
        let (Some(suggestion), Some(value)) = (suggestion, values.get(key)) else {
            return;
        };
        if values.get(suggestion).is_none_or(|other| other == value) {
            let fix = Fix::rename(enclosing, key, suggestion, value.as_str().into());
            self.fix(fix.title, fix.edits);
        }
    }

    /// Adds a finding if a value is not one of the known enum values.
    pub fn check_enum(&mut self, pointer: &str, value: Option<&str>, known: &[&str]) {
        let Some(value) = value.filter(|value| !known.contains(value)) else {
            return;
        };
        let field = pointer
            .rsplit('/')
            .find(|step| step.parse::<usize>().is_err());
        let message = format!("{} cannot be `{value}`", field.unwrap_or_default());
        let suggestion = nearest(value, known.iter().copied());
        let hint = match suggestion {
            Some(suggestion) => format!("write `{suggestion}`"),
            None => format!("choose one of {}", known.join(", ")),
        };

        self.add(pointer, message, hint);
        self.fix_value(pointer, suggestion);
    }

    fn push(&mut self, severity: Severity, pointer: String, message: String, hint: String) {
        let location = self.locations.get(&pointer);
        // A container without a name (C01) would be quoted as ``.
        let message = message.replace("``", "the container");
        let finding = self.rule.finding(location, message, hint);
        self.findings.push(Finding {
            severity,
            ..finding.with_pointer(pointer)
        });
    }
}
