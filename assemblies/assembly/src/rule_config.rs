//! `rules:` in a manifest and the rules file of a project: the severity of rules, with a reason.

use std::collections::BTreeMap;

use diagnostics::source::{self, Node, Source};
use diagnostics::{Finding, Level, LevelOverride, LevelSource, Location, nearest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decode;
use crate::manifest::Manifest;
use crate::rules::{self, rules};

/// The entry of a manifest for one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSetting {
    /// The severity of this rule's findings in this assembly.
    pub severity: RuleSeverity,
    /// The reason: a sentence for the next reader.
    pub reason: String,
}

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuleSeverity {
    /// The finding is counted, but not reported.
    Off,
    /// The finding is reported and does not fail the command.
    Warning,
    /// The finding fails the command.
    Error,
}

/// The rules file of a project (`assemblies/rules.yaml`) or of a folder (`.assemble-rules.yaml`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Rules")]
pub struct RulesFile {
    /// The entries, by rule id.
    #[serde(default)]
    pub rules: BTreeMap<String, FileRuleSetting>,
}

/// The entry of a rules file for one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileRuleSetting {
    /// The severity of this rule's findings.
    pub severity: RuleSeverity,
    /// The reason: a sentence for the next reader.
    pub reason: String,
    /// The files it applies to: paths relative to the folder of `assemblies/` (or of this file), with `*`,
    /// `**` and `?`. The default is all files.
    #[serde(default)]
    pub files: Vec<String>,
}

impl From<RuleSeverity> for Level {
    fn from(severity: RuleSeverity) -> Self {
        match severity {
            RuleSeverity::Off => Self::Off,
            RuleSeverity::Warning => Self::Warning,
            RuleSeverity::Error => Self::Error,
        }
    }
}

/// Reads a rules file and returns its valid entries, and a finding for each invalid one.
pub fn read(source: &Source) -> (Vec<LevelOverride>, Vec<Finding>) {
    let node = match source::parse(source) {
        Ok(node) => node,
        Err(findings) => return (Vec::new(), findings),
    };

    // A file of comments only is valid YAML and has no entries.
    if node.value == source::NodeValue::Null {
        return (Vec::new(), Vec::new());
    }

    let (file, mut findings) = decode::read::<RulesFile>(source, &node);
    let settings = file.unwrap_or_default().rules;
    let overrides = settings.into_iter().map(|(rule, setting)| LevelOverride {
        location: key_location(source, &node, &rule),
        level: setting.severity.into(),
        reason: setting.reason,
        source: LevelSource::File,
        files: setting.files,
        rule,
    });

    let overrides = validate(overrides.collect(), &mut findings);
    (overrides, findings)
}

/// Returns the valid entries of a manifest's `rules:`, and a finding for each invalid one.
pub(crate) fn from_manifest(manifest: &Manifest) -> (Vec<LevelOverride>, Vec<Finding>) {
    let settings = manifest.file().rules.iter();
    let overrides = settings.map(|(rule, setting)| LevelOverride {
        rule: rule.clone(),
        level: setting.severity.into(),
        reason: setting.reason.clone(),
        source: LevelSource::Manifest,
        location: manifest.key_location("/rules", rule),
        files: Vec::new(),
    });

    let mut findings = Vec::new();
    let overrides = validate(overrides.collect(), &mut findings);
    (overrides, findings)
}

/// Reports the entries that suppress no finding. Call it after the last stage: only then have all rules run.
pub(crate) fn unused_suppressions<'r>(
    overrides: impl IntoIterator<Item = &'r LevelOverride>,
    has_triggered: impl Fn(&str) -> bool,
) -> Vec<Finding> {
    // A suppressed M25 is never unused: without an unused entry it has nothing to report.
    let unused = overrides.into_iter().filter(|entry| {
        entry.lowers_severity() && !has_triggered(&entry.rule) && entry.rule != "M25"
    });
    unused.map(unused_suppression).collect()
}

/// Returns the finding for an entry that suppresses nothing.
pub fn unused_suppression(entry: &LevelOverride) -> Finding {
    rules::m25_unused_suppression::unused_suppression(entry.location.clone(), &entry.rule)
}

/// Returns the finding for an entry that tries to suppress an error that cannot be suppressed.
pub fn unsuppressible_rule(entry: &LevelOverride) -> Finding {
    rules::m26_unsuppressible_rule::unsuppressible(entry.location.clone(), &entry.rule)
}

/// Checks that a rule exists; the error is the most similar id, if there is one.
pub fn check_rule_id(id: &str) -> Result<(), Option<&'static str>> {
    if ids().any(|known| known == id) {
        return Ok(());
    }
    Err(nearest(id, ids()))
}

/// Returns the ids of all rules, those of this crate first.
pub fn ids() -> impl Iterator<Item = &'static str> + Clone {
    let own = rules().iter().map(|rule| rule.id);
    own.chain(ecs_rules::rules().iter().map(|rule| rule.id))
}

/// Returns the valid entries; the others become findings.
fn validate(overrides: Vec<LevelOverride>, findings: &mut Vec<Finding>) -> Vec<LevelOverride> {
    let mut valid = Vec::new();
    for entry in overrides {
        let location = entry.location.clone();
        if let Err(similar) = check_rule_id(&entry.rule) {
            findings.push(rules::m24_unknown_rule::unknown_rule(
                location,
                &entry.rule,
                similar,
            ));
        } else if entry.reason.trim().is_empty() {
            findings.push(rules::m27_missing_reason::missing_reason(
                location,
                &entry.rule,
            ));
        } else if entry.lowers_severity() && !rules::is_suppressible(&entry.rule) {
            findings.push(rules::m26_unsuppressible_rule::unsuppressible(
                location,
                &entry.rule,
            ));
        } else {
            valid.push(entry);
        }
    }

    valid
}

fn key_location(source: &Source, node: &Node, rule: &str) -> Location {
    // The decoded map has no spans, so the key is found in the node again.
    let entries = node.get("rules").map(Node::entries).unwrap_or_default();
    let key = entries.iter().find(|(key, _)| key.name == rule);
    Location::from_span(source, key.map_or(node.span, |(key, _)| key.span))
}
