//! The rules: one file each, with an explanation, a source, a passing case and a failing case.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use diagnostics::{Edit, Finding, Fix, Location, LocationMap, Severity, nearest};
use task_definition::LocatedDefinition;

use crate::images::ImageFacts;
use crate::launch::LaunchContext;

use self::containers::c04_mutable_tag;
use self::shared::is_fragment;
use self::syntax::y03_placeholder;

mod containers;
mod dependencies;
mod health;
mod launch;
mod lifecycle;
mod linux;
mod logging;
mod network;
mod ports;
mod resources;
mod secrets;
mod shared;
pub(crate) mod syntax;
mod task;
#[cfg(test)]
mod tests;
mod volumes;

/// A rule for task definitions, services or RunTask requests.
#[derive(Clone, Copy)]
pub struct Rule {
    /// The id: the letter of its group and a number. Its meaning never changes.
    pub id: &'static str,
    /// The name in kebab-case, unique among the rules: `unsupported-size`.
    pub name: &'static str,
    /// The severity of its findings.
    pub severity: Severity,
    /// The fault, as a short lower-case phrase.
    pub title: &'static str,
    /// Why the rule exists and what happens if it is violated.
    pub explanation: &'static str,
    /// The documentation or table that states it.
    pub source: &'static str,
    /// How to resolve a finding, in general.
    pub hint: &'static str,
    /// A document that passes every rule.
    pub passing: &'static str,
    /// A document that violates this rule and no other.
    pub failing: &'static str,
    /// The check.
    pub check: Check,
    /// Whether its errors may be suppressed or lowered. Warnings always may.
    pub suppressible: bool,
    /// Whether it restricts access to the task. If it is suppressed, every run mentions it.
    pub guard: bool,
    /// Whether it does not apply to a fragment of a definition, which leaves out required values.
    pub needs_whole_definition: bool,
}

/// The check of a rule, by the input it reads.
#[derive(Debug, Clone, Copy)]
pub enum Check {
    /// Checks a task definition.
    Definition(fn(&LocatedDefinition, &mut Report<'_>)),
    /// Checks a service or RunTask request beside its task definition.
    Launch(fn(&LaunchContext<'_>, &mut Report<'_>)),
    /// Reported while the text is parsed and read, before any check runs.
    Parser,
    /// Reported by a stage of the caller, such as a step that resolves a manifest.
    Stage,
}

impl Rule {
    /// The defaults of the optional fields, for `..Rule::DEFAULT`. The texts are empty and must be given.
    pub const DEFAULT: Self = Self {
        id: "",
        name: "",
        severity: Severity::Error,
        title: "",
        explanation: "",
        source: "",
        hint: "",
        passing: "",
        failing: "",
        check: Check::Parser,
        suppressible: true,
        guard: false,
        needs_whole_definition: false,
    };

    /// Creates a finding with the severity and the source of the rule.
    pub fn finding(
        &self,
        location: Location,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Finding {
        Finding {
            severity: self.severity,
            source: Some(self.source),
            ..Finding::error(self.id, location, message, hint)
        }
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Collects the findings of one rule.
#[derive(Debug)]
pub struct Report<'l> {
    rule: &'static Rule,
    locations: &'l LocationMap,
    images: &'l ImageFacts,
    findings: Vec<Finding>,
}

impl<'l> Report<'l> {
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

/// Checks a definition against every rule and returns all findings in the order of the text.
pub fn check(located: &LocatedDefinition) -> Vec<Finding> {
    check_with(located, &ImageFacts::default())
}

/// Checks a definition against every rule, with the caller's facts about images.
pub fn check_with(located: &LocatedDefinition, images: &ImageFacts) -> Vec<Finding> {
    check_selected(located, images, |_| true)
}

/// Checks a definition against a selection of rules.
pub(crate) fn check_selected(
    located: &LocatedDefinition,
    images: &ImageFacts,
    is_selected: impl Fn(&str) -> bool,
) -> Vec<Finding> {
    let mut findings = run_rules(&located.locations, images, is_selected, |rule, report| {
        if let Check::Definition(check) = rule.check {
            check(located, report);
        }
    });
    if findings
        .iter()
        .any(|finding| finding.rule != y03_placeholder::RULE.id)
    {
        // A placeholder violates many formats; Y03 reports it once.
        let placeholders = y03_placeholder::find_all(located);
        findings.retain(|finding| {
            finding.rule == y03_placeholder::RULE.id
                || !is_about_placeholder(finding, &placeholders)
        });
    }

    if is_fragment(located) {
        // T01 reports that it is a fragment.
        findings
            .retain(|finding| !rule(finding.rule).is_some_and(|rule| rule.needs_whole_definition));
    }
    findings
}

/// Checks a service or RunTask request against a selection of rules.
pub(crate) fn check_launch_selected(
    context: &LaunchContext<'_>,
    locations: &LocationMap,
    images: &ImageFacts,
    is_selected: impl Fn(&str) -> bool,
) -> Vec<Finding> {
    run_rules(locations, images, is_selected, |rule, report| {
        if let Check::Launch(check) = rule.check {
            check(context, report);
        }
    })
}

fn run_rules(
    locations: &LocationMap,
    images: &ImageFacts,
    is_selected: impl Fn(&str) -> bool,
    run: impl Fn(&'static Rule, &mut Report<'_>),
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in rules().iter().filter(|rule| is_selected(rule.id)) {
        let mut report = Report {
            rule,
            locations,
            images,
            findings: Vec::new(),
        };

        run(rule, &mut report);
        findings.append(&mut report.findings);
    }

    findings.sort_by_key(|finding| finding.location.sort_key());
    findings
}

/// Returns whether a finding is about a value that contains a placeholder, which Y03 reports.
fn is_about_placeholder(finding: &Finding, placeholders: &[(String, String)]) -> bool {
    let pointer = finding.pointer.as_deref();
    // C04 checks the tag, which is valid even if the registry is a placeholder.
    finding.rule != c04_mutable_tag::RULE.id
        && placeholders
            .iter()
            .any(|(placeholder, _)| pointer == Some(placeholder))
}

/// Returns every rule, grouped by subject.
pub fn rules() -> &'static [Rule] {
    &RULES
}

/// Returns the rule with this id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    rules().iter().find(|rule| rule.id == id)
}

/// The rules of all groups, in the order of the reference.
static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    [
        task::RULES,
        containers::RULES,
        resources::RULES,
        ports::RULES,
        dependencies::RULES,
        lifecycle::RULES,
        health::RULES,
        logging::RULES,
        secrets::RULES,
        volumes::RULES,
        linux::RULES,
        launch::RULES,
        syntax::RULES,
    ]
    .concat()
});
