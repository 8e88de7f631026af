//! Rule configuration: turns the findings of a rule off, or makes them warnings or errors, with a reason.
//!
//! [`RuleConfig::apply`] returns the remaining findings together with the suppressed ones, so a caller can
//! always show what was suppressed and why.

use std::collections::BTreeSet;

use crate::finding::{Finding, Severity};
use crate::location::Location;

mod pattern;

/// The level that an override gives a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Findings are suppressed.
    Off,
    /// Findings are warnings.
    Warning,
    /// Findings are errors.
    Error,
}

/// Where an override is written. The first variant has the highest precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LevelSource {
    /// A flag of the command.
    CommandLine,
    /// The manifest that is checked.
    Manifest,
    /// The rules file of a project or a folder.
    File,
}

/// The level of one rule, with a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelOverride {
    /// The rule's id.
    pub rule: String,
    /// The level of its findings.
    pub level: Level,
    /// The reason for the override.
    pub reason: String,
    /// Where the override is written.
    pub source: LevelSource,
    /// The location of the override in that source.
    pub location: Location,
    /// The files it applies to, as paths or patterns with `*`, `**` and `?`; empty means all files.
    pub files: Vec<String>,
}

/// All overrides of rule levels, in order of precedence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuleConfig(Vec<LevelOverride>);

/// A suppressed finding and the override that suppressed it.
#[derive(Debug, Clone, PartialEq)]
pub struct SuppressedFinding {
    /// The finding, with the severity of its rule.
    pub finding: Finding,
    /// The override that suppressed it.
    pub level_override: LevelOverride,
}

/// The findings after the overrides were applied.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// The findings to report.
    pub findings: Vec<Finding>,
    /// The findings that were suppressed.
    pub suppressed: Vec<SuppressedFinding>,
    /// The rules that found something, suppressed or not.
    pub triggered_rules: BTreeSet<&'static str>,
    /// Overrides without effect, because the error they lower cannot be suppressed.
    pub ineffective: Vec<LevelOverride>,
}

impl LevelOverride {
    /// Returns whether the override applies to this file.
    pub fn applies_to(&self, file: &str) -> bool {
        self.files.is_empty()
            || self
                .files
                .iter()
                .any(|pattern| pattern::matches(pattern, file))
    }

    /// Returns whether the override lowers its rule. Such an override is unused when the rule finds nothing.
    pub fn lowers_severity(&self) -> bool {
        self.level != Level::Error
    }

    /// Returns the sort key: the source, then whether the override applies to all files.
    fn precedence(&self) -> (LevelSource, bool) {
        (self.source, self.files.is_empty())
    }
}

impl RuleConfig {
    /// Creates a configuration. Of several overrides of one rule, the one with the highest source wins, then
    /// the one that lists files, then the first.
    pub fn new(overrides: impl IntoIterator<Item = LevelOverride>) -> Self {
        Self::default().with_overrides(overrides)
    }

    /// Adds overrides.
    pub fn with_overrides(mut self, overrides: impl IntoIterator<Item = LevelOverride>) -> Self {
        self.0.extend(overrides);
        // The sort is stable: among equals, the override that was added first stays first.
        self.0.sort_by_key(LevelOverride::precedence);
        self
    }

    /// Returns the overrides that apply to a file.
    pub fn for_file(&self, file: &str) -> Self {
        let applicable = self.0.iter().filter(|entry| entry.applies_to(file));
        Self(applicable.cloned().collect())
    }

    /// Returns all overrides, highest precedence first.
    pub fn overrides(&self) -> &[LevelOverride] {
        &self.0
    }

    /// Applies the overrides to findings. `is_suppressible` decides which errors may be lowered; all others
    /// stay errors, and their overrides are reported as ineffective.
    pub fn apply(
        &self,
        findings: Vec<Finding>,
        is_suppressible: impl Fn(&Finding) -> bool,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        for finding in findings {
            outcome.triggered_rules.insert(finding.rule);
            match self.0.iter().find(|entry| entry.rule == finding.rule) {
                Some(entry) => outcome.apply(finding, entry, &is_suppressible),
                None => outcome.findings.push(finding),
            }
        }

        outcome
    }
}

impl Outcome {
    /// Returns whether any reported finding is an error.
    pub fn has_errors(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Error)
    }

    fn apply(
        &mut self,
        mut finding: Finding,
        entry: &LevelOverride,
        is_suppressible: &impl Fn(&Finding) -> bool,
    ) {
        let is_fixed = finding.severity == Severity::Error && !is_suppressible(&finding);
        match entry.level {
            Level::Error => finding.severity = Severity::Error,
            Level::Off | Level::Warning if is_fixed => {
                // One override can meet many findings of its rule, and is reported once.
                if !self.ineffective.contains(entry) {
                    self.ineffective.push(entry.clone());
                }
            }
            Level::Warning => finding.severity = Severity::Warning,
            Level::Off => {
                self.suppressed.push(SuppressedFinding {
                    finding,
                    level_override: entry.clone(),
                });
                return;
            }
        }

        self.findings.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{Level, LevelOverride, LevelSource, RuleConfig};
    use crate::finding::{Finding, Severity};
    use crate::location::Location;

    fn level_override(
        rule: &str,
        level: Level,
        source: LevelSource,
        files: &[&str],
    ) -> LevelOverride {
        LevelOverride {
            rule: rule.to_owned(),
            level,
            reason: format!("{source:?}"),
            source,
            location: Location::Pointer(String::new()),
            files: files.iter().map(|file| (*file).to_owned()).collect(),
        }
    }

    fn finding(rule: &'static str) -> Finding {
        let location = Location::Pointer("/x".to_owned());
        Finding::error(rule, location, "it is wrong", "correct it")
    }

    #[test]
    fn suppresses_lowers_and_raises_findings_and_keeps_the_suppressed_ones() {
        let config = RuleConfig::new([
            level_override("S01", Level::Off, LevelSource::File, &[]),
            level_override("T01", Level::Warning, LevelSource::File, &[]),
            level_override("C04", Level::Error, LevelSource::File, &[]),
        ]);
        let warning = Finding {
            severity: Severity::Warning,
            ..finding("C04")
        };
        let findings = vec![finding("S01"), finding("T01"), warning, finding("T02")];
        let outcome = config.apply(findings, |_| true);
        let remaining: Vec<_> = outcome
            .findings
            .iter()
            .map(|f| (f.rule, f.severity))
            .collect();

        assert_eq!(
            remaining,
            [
                ("T01", Severity::Warning),
                ("C04", Severity::Error),
                ("T02", Severity::Error)
            ]
        );

        assert_eq!(outcome.suppressed.len(), 1);
        assert_eq!(outcome.suppressed[0].level_override.reason, "File");
        // The suppressed finding keeps the severity of its rule.
        assert_eq!(outcome.suppressed[0].finding.severity, Severity::Error);
        assert!(outcome.triggered_rules.contains("S01") && outcome.ineffective.is_empty());
    }

    #[test]
    fn the_command_line_wins_over_the_manifest_and_the_manifest_over_the_file() {
        let file = level_override("S01", Level::Error, LevelSource::File, &[]);
        let some = level_override("S01", Level::Off, LevelSource::File, &["a/*.json"]);
        let manifest = level_override("S01", Level::Off, LevelSource::Manifest, &[]);
        let flag = level_override("S01", Level::Warning, LevelSource::CommandLine, &[]);
        let severity = |overrides: &[LevelOverride]| {
            let config = RuleConfig::new(overrides.to_vec()).for_file("a/b.json");
            let outcome = config.apply(vec![finding("S01")], |_| true);
            outcome.findings.first().map(|finding| finding.severity)
        };

        let all = [file.clone(), some.clone(), manifest.clone(), flag];
        assert_eq!(severity(&all), Some(Severity::Warning));
        assert_eq!(severity(&[file.clone(), manifest]), None);
        assert_eq!(severity(&[file.clone(), some]), None);
        assert_eq!(severity(&[file]), Some(Severity::Error));
    }

    #[test]
    fn an_unsuppressible_error_stays_an_error() {
        let config = RuleConfig::new([level_override("Y01", Level::Off, LevelSource::File, &[])]);
        let outcome = config.apply(vec![finding("Y01")], |_| false);
        assert_eq!(outcome.findings, [finding("Y01")]);
        assert_eq!(outcome.ineffective.len(), 1);
    }
}
