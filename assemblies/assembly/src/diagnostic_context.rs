//! Collects the findings of all stages and applies the rule configuration to them.

use diagnostics::{Finding, LevelOverride, Location, Outcome, RuleConfig, Severity};

use crate::rules;
use crate::text::sort_by_location;

/// The findings so far, and the rule configuration that applies to them.
#[derive(Debug, Clone, Default)]
pub struct DiagnosticContext {
    config: RuleConfig,
    outcome: Outcome,
}

impl DiagnosticContext {
    /// Creates an empty collection with this rule configuration.
    pub fn new(config: &RuleConfig) -> Self {
        Self {
            config: config.clone(),
            outcome: Outcome::default(),
        }
    }

    /// Adds the `rules:` of the manifest to the configuration.
    pub fn add_overrides(&mut self, overrides: Vec<LevelOverride>) {
        self.config = std::mem::take(&mut self.config).with_overrides(overrides);
    }

    /// Adds the findings of a stage that has produced a result, and returns whether the next stage may begin.
    pub fn report(&mut self, findings: Vec<Finding>) -> bool {
        self.apply_config(findings, |finding| rules::is_suppressible(finding.rule));
        !self.outcome.has_errors()
    }

    /// Returns whether a stage has reported an error.
    pub(crate) fn has_errors(&self) -> bool {
        self.outcome.has_errors()
    }

    /// Returns whether a finding cannot follow from the errors so far: it is about a value that is written in a file,
    /// and no error is about the same text.
    pub(crate) fn is_independent(&self, finding: &Finding) -> bool {
        let errors = self.outcome.findings.iter();
        matches!(finding.location, Location::Text { .. })
            && !errors
                .filter(|error| error.severity == Severity::Error)
                .any(|error| error.location == finding.location)
    }

    /// Adds the findings that prevented a stage from producing a result. They cannot be suppressed.
    pub fn report_fatal(&mut self, findings: Vec<Finding>) {
        // Without a result there is nothing that a suppression could accept.
        self.apply_config(findings, |_| false);
    }

    /// Returns the entries of the rule configuration.
    pub(crate) fn overrides(&self) -> &[LevelOverride] {
        self.config.overrides()
    }

    /// Returns whether a rule has had a finding, suppressed or not.
    pub(crate) fn has_triggered(&self, rule: &str) -> bool {
        self.outcome.triggered_rules.contains(rule)
    }

    /// Returns all findings, sorted by line.
    pub fn finish(mut self) -> Outcome {
        // An entry for a rule that cannot be suppressed is an error by itself.
        for entry in std::mem::take(&mut self.outcome.ineffective) {
            let finding =
                rules::m26_unsuppressible_rule::unsuppressible(entry.location.clone(), &entry.rule);
            self.outcome.findings.push(finding);
            self.outcome.ineffective.push(entry);
        }

        self.outcome.findings = sort_by_location(self.outcome.findings);
        self.outcome
    }

    fn apply_config(&mut self, findings: Vec<Finding>, is_suppressible: impl Fn(&Finding) -> bool) {
        let outcome = self.config.apply(findings, is_suppressible);
        let Outcome {
            findings,
            suppressed,
            triggered_rules,
            ineffective,
        } = outcome;

        // Two stages can report the same finding when the first one was suppressed and the second one ran.
        for finding in findings {
            if !self.outcome.findings.contains(&finding) {
                self.outcome.findings.push(finding);
            }
        }

        for suppressed in suppressed {
            if !self.outcome.suppressed.contains(&suppressed) {
                self.outcome.suppressed.push(suppressed);
            }
        }

        for entry in ineffective {
            if !self.outcome.ineffective.contains(&entry) {
                self.outcome.ineffective.push(entry);
            }
        }

        self.outcome.triggered_rules.extend(triggered_rules);
    }
}
