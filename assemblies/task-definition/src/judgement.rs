//! What somebody says about how bad a rule's findings are: silenced, lowered or raised, with a reason.
//!
//! A [`Judgement`] is asked once for the findings of a text and answers with what is left of them and
//! with what was silenced, so that nothing disappears unseen.

use std::collections::BTreeSet;

use crate::finding::{Finding, Severity};
use crate::place::Place;

mod pattern;

/// How bad the findings of a rule are said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They are not told.
    Off,
    /// They hurt no more than a warning.
    Warning,
    /// They are errors.
    Error,
}

/// Who says it; who stands first here wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Authority {
    /// A flag of the command.
    CommandLine,
    /// The manifest that is judged.
    Manifest,
    /// The file of rules of a project or a folder.
    File,
}

/// What somebody says about one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// The rule's id.
    pub rule: String,
    /// How bad its findings are.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// Who says it.
    pub authority: Authority,
    /// Where it is said.
    pub place: Place,
    /// The files it is about, as paths or patterns with `*`, `**` and `?`; all of them when empty.
    pub files: Vec<String>,
}

/// All that is said about rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judgement(Vec<Ruling>);

/// A finding that is not told, and who says so.
#[derive(Debug, Clone, PartialEq)]
pub struct Silenced {
    /// The finding, as bad as its rule says.
    pub finding: Finding,
    /// Who silenced it, and why.
    pub ruling: Ruling,
}

/// What is left of findings.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Judged {
    /// The findings that are told.
    pub findings: Vec<Finding>,
    /// Those that are not.
    pub silenced: Vec<Silenced>,
    /// The rules that found something, told or not.
    pub seen: BTreeSet<&'static str>,
    /// What was said in vain, since nothing can be made in spite of such an error.
    pub in_vain: Vec<Ruling>,
}

impl Ruling {
    /// Whether it is about this file.
    pub fn is_about(&self, file: &str) -> bool {
        self.files.is_empty() || self.files.iter().any(|one| pattern::matches(one, file))
    }

    /// Whether it makes less of its rule, so that it is stale when the rule finds nothing.
    pub fn silences(&self) -> bool {
        self.verdict != Verdict::Error
    }

    /// Who says it, and the more it says which files it means.
    fn rank(&self) -> (Authority, bool) {
        (self.authority, self.files.is_empty())
    }
}

impl Judgement {
    /// All these rulings; of several about one rule the one with the highest authority wins, then the
    /// one that names its files, then the first.
    pub fn new(rulings: impl IntoIterator<Item = Ruling>) -> Self {
        Self::default().with(rulings)
    }

    /// These rulings and more.
    pub fn with(mut self, rulings: impl IntoIterator<Item = Ruling>) -> Self {
        self.0.extend(rulings);
        self.0.sort_by_key(Ruling::rank);
        self
    }

    /// What of it is about a file.
    pub fn about(&self, file: &str) -> Self {
        let about = self.0.iter().filter(|ruling| ruling.is_about(file));
        Self(about.cloned().collect())
    }

    /// All rulings, the strongest first.
    pub fn rulings(&self) -> &[Ruling] {
        &self.0
    }

    /// Judges findings. An error in spite of which nothing can be made is told whatever is said:
    /// `may_pass` knows which ones can be passed over.
    pub fn judge(&self, findings: Vec<Finding>, may_pass: impl Fn(&Finding) -> bool) -> Judged {
        let mut judged = Judged::default();
        for finding in findings {
            judged.seen.insert(finding.rule);
            let ruling = self.0.iter().find(|ruling| ruling.rule == finding.rule);
            match ruling {
                Some(ruling) => judged.rule(finding, ruling, &may_pass),
                None => judged.findings.push(finding),
            }
        }

        judged
    }
}

impl Judged {
    /// Whether something is an error.
    pub fn has_errors(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Error)
    }

    fn rule(
        &mut self,
        mut finding: Finding,
        ruling: &Ruling,
        may_pass: &impl Fn(&Finding) -> bool,
    ) {
        let binding = finding.severity == Severity::Error && !may_pass(&finding);
        match ruling.verdict {
            Verdict::Error => finding.severity = Severity::Error,
            Verdict::Off | Verdict::Warning if binding => {
                if !self.in_vain.contains(ruling) {
                    self.in_vain.push(ruling.clone());
                }
            }
            Verdict::Warning => finding.severity = Severity::Warning,
            Verdict::Off => {
                self.silenced.push(Silenced {
                    finding,
                    ruling: ruling.clone(),
                });
                return;
            }
        }

        self.findings.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::{Authority, Judgement, Ruling, Verdict};
    use crate::finding::{Finding, Severity};
    use crate::place::Place;

    fn ruling(rule: &str, verdict: Verdict, authority: Authority, files: &[&str]) -> Ruling {
        Ruling {
            rule: rule.to_owned(),
            verdict,
            reason: format!("{authority:?}"),
            authority,
            place: Place::Pointer(String::new()),
            files: files.iter().map(|file| (*file).to_owned()).collect(),
        }
    }

    fn finding(rule: &'static str) -> Finding {
        Finding::error(
            rule,
            Place::Pointer("/x".to_owned()),
            "it is wrong",
            "mend it",
        )
    }

    #[test]
    fn silences_lowers_and_raises_and_forgets_nothing() {
        let judgement = Judgement::new([
            ruling("S01", Verdict::Off, Authority::File, &[]),
            ruling("T01", Verdict::Warning, Authority::File, &[]),
            ruling("C04", Verdict::Error, Authority::File, &[]),
        ]);
        let warning = Finding {
            severity: Severity::Warning,
            ..finding("C04")
        };
        let findings = vec![finding("S01"), finding("T01"), warning, finding("T02")];
        let judged = judgement.judge(findings, |_| true);
        let left: Vec<_> = judged
            .findings
            .iter()
            .map(|f| (f.rule, f.severity))
            .collect();

        assert_eq!(
            left,
            [
                ("T01", Severity::Warning),
                ("C04", Severity::Error),
                ("T02", Severity::Error)
            ]
        );

        assert_eq!(judged.silenced.len(), 1);
        assert_eq!(judged.silenced[0].ruling.reason, "File");
        assert_eq!(judged.silenced[0].finding.severity, Severity::Error);
        assert!(judged.seen.contains("S01") && judged.in_vain.is_empty());
    }

    #[test]
    fn the_command_line_wins_over_the_manifest_and_that_over_the_file() {
        let file = ruling("S01", Verdict::Error, Authority::File, &[]);
        let some = ruling("S01", Verdict::Off, Authority::File, &["a/*.json"]);
        let manifest = ruling("S01", Verdict::Off, Authority::Manifest, &[]);
        let flag = ruling("S01", Verdict::Warning, Authority::CommandLine, &[]);
        let judged = |rulings: &[Ruling]| {
            let judgement = Judgement::new(rulings.to_vec()).about("a/b.json");
            let judged = judgement.judge(vec![finding("S01")], |_| true);
            judged.findings.first().map(|finding| finding.severity)
        };

        let all = [file.clone(), some.clone(), manifest.clone(), flag];
        assert_eq!(judged(&all), Some(Severity::Warning));
        assert_eq!(judged(&[file.clone(), manifest]), None);
        assert_eq!(judged(&[file.clone(), some]), None);
        assert_eq!(judged(&[file]), Some(Severity::Error));
    }

    #[test]
    fn an_error_that_leaves_nothing_to_judge_is_told_whatever_is_said() {
        let judgement = Judgement::new([ruling("Y01", Verdict::Off, Authority::File, &[])]);
        let judged = judgement.judge(vec![finding("Y01")], |_| false);
        assert_eq!(judged.findings, [finding("Y01")]);
        assert_eq!(judged.in_vain.len(), 1);
    }
}
