//! `rules:` in a manifest, and the file of rules of a project: who is silenced, and why.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use task_definition::source::{self, Node, Source};
use task_definition::{Authority, Finding, Place, Ruling, Verdict, nearest};

use crate::decode;
use crate::manifest::Manifest;
use crate::rules::{self, rules};

/// What a manifest says about one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSetting {
    /// How bad a finding of this rule is here.
    pub severity: RuleSeverity,
    /// Why: a sentence for whoever reads this next.
    pub reason: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuleSeverity {
    /// It is counted, not told.
    Off,
    /// It is told, and fails nothing.
    Warning,
    /// It fails.
    Error,
}

/// The file of rules of a project (`assemblies/rules.yaml`) or of a folder (`.assemble-rules.yaml`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Rules")]
pub struct RulesFile {
    /// By the id of a rule, what is said about it.
    #[serde(default)]
    pub rules: BTreeMap<String, FileRuleSetting>,
}

/// What a file of rules says about one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileRuleSetting {
    /// How bad a finding of this rule is.
    pub severity: RuleSeverity,
    /// Why: a sentence for whoever reads this next.
    pub reason: String,
    /// The files it is about: paths from the folder of `assemblies/` (or of this file), with `*`, `**`
    /// and `?`; all files when left out.
    #[serde(default)]
    pub files: Vec<String>,
}

impl From<RuleSeverity> for Verdict {
    fn from(severity: RuleSeverity) -> Self {
        match severity {
            RuleSeverity::Off => Self::Off,
            RuleSeverity::Warning => Self::Warning,
            RuleSeverity::Error => Self::Error,
        }
    }
}

/// Reads a file of rules; what is wrong with it is a finding, and left out.
pub fn read(source: &Source) -> (Vec<Ruling>, Vec<Finding>) {
    let node = match source::parse(source) {
        Ok(node) => node,
        Err(findings) => return (Vec::new(), findings),
    };

    // A file that holds nothing but comments says nothing.
    if node.value == source::NodeValue::Null {
        return (Vec::new(), Vec::new());
    }

    let (file, mut findings) = decode::read::<RulesFile>(source, &node);
    let words = file.unwrap_or_default().rules;
    let rulings = words.into_iter().map(|(rule, words)| Ruling {
        place: key_place(source, &node, &rule),
        verdict: words.severity.into(),
        reason: words.reason,
        authority: Authority::File,
        files: words.files,
        rule,
    });

    let rulings = validate(rulings.collect(), &mut findings);
    (rulings, findings)
}

/// What a manifest says about rules; what makes no sense is a finding, and left out.
pub(crate) fn from_manifest(manifest: &Manifest) -> (Vec<Ruling>, Vec<Finding>) {
    let words = manifest.file().rules.iter();
    let rulings = words.map(|(rule, words)| Ruling {
        rule: rule.clone(),
        verdict: words.severity.into(),
        reason: words.reason.clone(),
        authority: Authority::Manifest,
        place: manifest.key_place("/rules", rule),
        files: Vec::new(),
    });

    let mut findings = Vec::new();
    let rulings = validate(rulings.collect(), &mut findings);
    (rulings, findings)
}

/// The rulings of a manifest that silence nothing. Only what went through every stage can say so.
pub(crate) fn unused_suppressions<'r>(
    rulings: impl IntoIterator<Item = &'r Ruling>,
    seen: impl Fn(&str) -> bool,
) -> Vec<Finding> {
    let rulings = rulings.into_iter();
    let stale = rulings.filter(|one| one.silences() && !seen(&one.rule) && one.rule != "M25");
    stale
        .map(|ruling| {
            rules::m25_unused_suppression::unused_suppression(ruling.place.clone(), &ruling.rule)
        })
        .collect()
}

/// What is said about a ruling that silences nothing where it could.
pub fn unused_suppression(ruling: &Ruling) -> Finding {
    rules::m25_unused_suppression::unused_suppression(ruling.place.clone(), &ruling.rule)
}

/// What is said about a ruling that would silence an error without which nothing can be made.
pub fn unsuppressible_rule(ruling: &Ruling) -> Finding {
    rules::m26_unsuppressible_rule::unsuppressible(ruling.place.clone(), &ruling.rule)
}

/// The id of a rule that was probably meant, when there is no such rule.
pub fn check_rule_id(id: &str) -> Result<(), Option<&'static str>> {
    if ids().any(|known| known == id) {
        return Ok(());
    }
    Err(nearest(id, ids()))
}

/// The ids of all rules, those about manifests first.
pub fn ids() -> impl Iterator<Item = &'static str> + Clone {
    let own = rules().iter().map(|rule| rule.id);
    own.chain(task_definition::rules().iter().map(|rule| rule.id))
}

fn validate(rulings: Vec<Ruling>, findings: &mut Vec<Finding>) -> Vec<Ruling> {
    let mut good = Vec::new();
    for ruling in rulings {
        let place = ruling.place.clone();
        if let Err(meant) = check_rule_id(&ruling.rule) {
            findings.push(rules::m24_unknown_rule::unknown_rule(
                place,
                &ruling.rule,
                meant,
            ));
        } else if ruling.reason.trim().is_empty() {
            findings.push(rules::m27_missing_reason::missing_reason(
                place,
                &ruling.rule,
            ));
        } else if ruling.silences() && !rules::is_suppressible(&ruling.rule) {
            findings.push(rules::m26_unsuppressible_rule::unsuppressible(
                place,
                &ruling.rule,
            ));
        } else {
            good.push(ruling);
        }
    }

    good
}

fn key_place(source: &Source, node: &Node, rule: &str) -> Place {
    let entries = node.get("rules").map(Node::entries).unwrap_or_default();
    let key = entries.iter().find(|(key, _)| key.name == rule);
    Place::in_text(source, key.map_or(node.span, |(key, _)| key.span))
}
