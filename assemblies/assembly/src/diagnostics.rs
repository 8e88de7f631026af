//! Findings on their way through the stages: judged as they come, kept until the end.

use task_definition::{Finding, Judged, Judgement, Ruling};

use crate::rules;
use crate::text::in_order;

/// What the stages have found so far, and by what it is judged.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    judgement: Judgement,
    judged: Judged,
}

impl Diagnostics {
    /// Nothing has been found yet.
    pub fn new(judgement: &Judgement) -> Self {
        Self {
            judgement: judgement.clone(),
            judged: Judged::default(),
        }
    }

    /// Hears the manifest itself on how bad a finding is.
    pub fn add_overrides(&mut self, rulings: Vec<Ruling>) {
        self.judgement = std::mem::take(&mut self.judgement).with(rulings);
    }

    /// Takes what a stage has found though it could make what it is there to make. Answers whether the
    /// next stage may begin.
    pub fn report(&mut self, findings: Vec<Finding>) -> bool {
        self.judge(findings, |finding| rules::is_suppressible(finding.rule));
        !self.judged.has_errors()
    }

    /// Takes what kept a stage from making anything, which no word can silence.
    pub fn report_fatal(&mut self, findings: Vec<Finding>) {
        self.judge(findings, |_| false);
    }

    /// What is said about rules.
    pub(crate) fn overrides(&self) -> &[Ruling] {
        self.judgement.rulings()
    }

    /// Whether a rule has found something.
    pub(crate) fn has_triggered(&self, rule: &str) -> bool {
        self.judged.seen.contains(rule)
    }

    /// Everything that was found, in the order of its lines.
    pub fn finish(mut self) -> Judged {
        for ruling in std::mem::take(&mut self.judged.in_vain) {
            let finding =
                rules::m26_unsuppressible_rule::unsuppressible(ruling.place.clone(), &ruling.rule);
            self.judged.findings.push(finding);
            self.judged.in_vain.push(ruling);
        }
        self.judged.findings = in_order(self.judged.findings);
        self.judged
    }

    fn judge(&mut self, findings: Vec<Finding>, may_pass: impl Fn(&Finding) -> bool) {
        let judged = self.judgement.judge(findings, may_pass);
        let Judged {
            findings,
            silenced,
            seen,
            in_vain,
        } = judged;

        // Two stages may meet the same thing when the first one's finding let the second begin.
        for finding in findings {
            if !self.judged.findings.contains(&finding) {
                self.judged.findings.push(finding);
            }
        }

        for one in silenced {
            if !self.judged.silenced.contains(&one) {
                self.judged.silenced.push(one);
            }
        }

        for ruling in in_vain {
            if !self.judged.in_vain.contains(&ruling) {
                self.judged.in_vain.push(ruling);
            }
        }

        self.judged.seen.extend(seen);
    }
}
