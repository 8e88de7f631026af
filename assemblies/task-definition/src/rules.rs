//! The rules: one file each, with its explanation, its source, a case that passes and one that fails.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::finding::{Edit, Finding, Fix, Severity};
use crate::place::{Places, escape};
use crate::read::Located;
use crate::request::Situation;
use crate::spelling::nearest;

mod images;
mod network;
mod shared;
#[cfg(test)]
mod tests;

mod c01;
mod c02;
mod c03;
mod c04;
mod c05;
mod c06;
mod c07;
mod c08;
mod c09;
mod c10;
mod c11;
mod c12;
mod c13;
mod c14;
mod c15;
mod d01;
mod d02;
mod d03;
mod d04;
mod d05;
mod d06;
mod d07;
mod d08;
mod d09;
mod f01;
mod f02;
mod f03;
mod f04;
mod f05;
mod f06;
mod f07;
mod f08;
mod f09;
mod f10;
mod h01;
mod h02;
mod h03;
mod h04;
mod h05;
mod h06;
mod l01;
mod l02;
mod l03;
mod l04;
mod l05;
mod l06;
mod l07;
mod l08;
mod l09;
mod p01;
mod p02;
mod p03;
mod p04;
mod p05;
mod p06;
mod p07;
mod p08;
mod p09;
mod p10;
mod p11;
mod q01;
mod q02;
mod q03;
mod q04;
mod q05;
mod q06;
mod q07;
mod q08;
mod q09;
mod q10;
mod r01;
mod r02;
mod r03;
mod r04;
mod r05;
mod r06;
mod r07;
mod s01;
mod s02;
mod t01;
mod t02;
mod t03;
mod t04;
mod t05;
mod t06;
mod t07;
mod t08;
mod t09;
mod t10;
mod t11;
mod t12;
mod t13;
mod t14;
mod t15;
mod t16;
mod t17;
mod t18;
mod t19;
mod v01;
mod v02;
mod v03;
mod v04;
mod v05;
mod v06;
mod v07;
mod v08;
mod v09;
mod x01;
mod x02;
mod x04;
mod x05;
mod x06;
mod x07;
mod y01;
mod y02;
pub(crate) mod y03;

use shared::{
    as_name, container, container_meant, containers, edges, ends, has_open_names, is_name, is_part,
    is_port_name, knows_platform, larger, logs, ports, range, shares_network, written_out,
};

/// A rule of ECS.
pub struct Rule {
    /// The id: a letter for what it is about and a number. It never changes its meaning.
    pub id: &'static str,
    /// How bad a breach is.
    pub severity: Severity,
    /// The rule in one line.
    pub title: &'static str,
    /// Why it is so and what happens otherwise.
    pub explanation: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// What to do, in general.
    pub hint: &'static str,
    /// A task definition that keeps the rule.
    pub passing: &'static str,
    /// A task definition that breaks this rule and no other.
    pub failing: &'static str,
    /// Looks for breaches.
    pub check: fn(&Located, &mut Report),
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// What a rule has found.
#[derive(Debug)]
pub struct Report<'l> {
    rule: &'static Rule,
    places: &'l Places,
    findings: Vec<Finding>,
}

impl Report<'_> {
    /// Records a breach at a value, as bad as the rule says.
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

    /// Records something that hurts but is not refused.
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

    /// Records that a value is missing, with the place of a value beside it.
    pub fn add_absent(
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
            finding.place = self.places.of(beside);
        }
    }

    /// Says how the finding that was recorded last is mended without a choice to be made.
    pub fn fix(&mut self, title: impl Into<String>, edits: Vec<Edit>) {
        if let Some(finding) = self.findings.last_mut() {
            let title = title.into();
            finding.fix = Some(Fix { title, edits });
        }
    }

    /// Says that the finding that was recorded last is mended by this text at a pointer, if there is one.
    pub(crate) fn say(&mut self, pointer: impl Into<String>, meant: Option<&str>) {
        if let Some(meant) = meant {
            let edits = vec![Edit::Set(pointer.into(), meant.into())];
            self.fix(format!("write `{meant}`"), edits);
        }
    }

    /// Says that the finding that was recorded last is mended by another key for a value of a map; one
    /// that is there already with the same value stays alone.
    pub(crate) fn rename(
        &mut self,
        around: &str,
        values: &BTreeMap<String, String>,
        key: &str,
        meant: Option<&str>,
    ) {
        let (Some(meant), Some(value)) = (meant, values.get(key)) else {
            return;
        };
        if values.get(meant).is_none_or(|other| other == value) {
            let edits = renaming(around, key, meant, value.as_str().into());
            self.fix(format!("rename it to `{meant}`"), edits);
        }
    }

    /// Records a value that is none of the words that are known there.
    pub fn word(&mut self, pointer: &str, value: Option<&str>, known: &[&str]) {
        let Some(value) = value.filter(|value| !known.contains(value)) else {
            return;
        };
        let field = pointer
            .rsplit('/')
            .find(|step| step.parse::<usize>().is_err());
        let message = format!("{} cannot be `{value}`", field.unwrap_or_default());
        let meant = nearest(value, known.iter().copied());
        let hint = match meant {
            Some(meant) => format!("write `{meant}`"),
            None => format!("choose one of {}", known.join(", ")),
        };

        self.add(pointer, message, hint);
        self.say(pointer, meant);
    }

    fn push(&mut self, severity: Severity, pointer: String, message: String, hint: String) {
        let place = self.places.of(&pointer);
        let pointer = Some(pointer);

        // A container without a name (C01) still has to be spoken of.
        let message = message.replace("``", "the container");
        self.findings.push(Finding {
            rule: self.rule.id,
            severity,
            place,
            pointer,
            message,
            hint,
            fix: None,
        });
    }
}

/// The edits that give a member of a map another key.
pub(crate) fn renaming(around: &str, key: &str, meant: &str, value: Value) -> Vec<Edit> {
    vec![
        Edit::Remove(format!("{around}/{}", escape(key))),
        Edit::Set(format!("{around}/{}", escape(meant)), value),
    ]
}

/// Checks a definition against every rule; all findings, in the order of the text.
pub fn check(located: &Located) -> Vec<Finding> {
    check_by(located, |_| true)
}

/// Checks a definition against some of the rules.
pub(crate) fn check_by(located: &Located, wanted: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = gathered(&located.places, wanted, |rule, report| {
        (rule.check)(located, report);
    });
    if findings.iter().any(|finding| finding.rule != y03::RULE.id) {
        let open = y03::open(located);
        findings.retain(|finding| finding.rule == y03::RULE.id || !speaks_of(finding, &open));
    }

    if is_part(located) {
        findings.retain(|finding| !OF_THE_WHOLE.contains(&finding.rule));
    }
    findings
}

/// Checks a service or a request to run tasks against some of the rules.
pub(crate) fn check_use_by(
    situation: &Situation<'_>,
    places: &Places,
    wanted: impl Fn(&str) -> bool,
) -> Vec<Finding> {
    gathered(places, wanted, |rule, report| {
        let own = OF_USES.iter().find(|(id, _)| *id == rule.id);
        if let Some((_, check)) = own {
            check(situation, report);
        }
    })
}

fn gathered(
    places: &Places,
    wanted: impl Fn(&str) -> bool,
    run: impl Fn(&'static Rule, &mut Report<'_>),
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in rules().iter().filter(|rule| wanted(rule.id)) {
        let mut report = Report {
            rule,
            places,
            findings: Vec::new(),
        };

        run(rule, &mut report);
        findings.append(&mut report.findings);
    }

    findings.sort_by_key(|finding| finding.place.order());
    findings
}

/// What the rest of a definition would bring, of which a part needs no reminder: T01 says what it is.
const OF_THE_WHOLE: [&str; 5] = ["C01", "C03", "L07", "R07", "T14"];

/// Whether a finding is about a value that is still to be filled in, of which Y03 has spoken.
fn speaks_of(finding: &Finding, open: &[(String, String)]) -> bool {
    let pointer = finding.pointer.as_deref();
    // Of an image whose registry is open, the tag is still what it is.
    finding.rule != c04::RULE.id && open.iter().any(|(one, _)| pointer == Some(one))
}

/// What a rule about services and requests says of a definition by itself: nothing. `OF_USES` has what
/// it says of them.
fn of_uses(_: &Located, _: &mut Report) {}

/// Every rule.
pub fn rules() -> &'static [Rule] {
    RULES
}

/// The rule of that id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    rules().iter().find(|rule| rule.id == id)
}

/// In the order in which the README lists them.
static RULES: &[Rule] = &[
    t01::RULE,
    t02::RULE,
    t03::RULE,
    t04::RULE,
    t05::RULE,
    t06::RULE,
    t07::RULE,
    t08::RULE,
    t09::RULE,
    t10::RULE,
    t11::RULE,
    t12::RULE,
    t13::RULE,
    t14::RULE,
    t15::RULE,
    t16::RULE,
    t17::RULE,
    t18::RULE,
    t19::RULE,
    c01::RULE,
    c02::RULE,
    c03::RULE,
    c04::RULE,
    c05::RULE,
    c06::RULE,
    c07::RULE,
    c08::RULE,
    c09::RULE,
    c10::RULE,
    c11::RULE,
    c12::RULE,
    c13::RULE,
    c14::RULE,
    c15::RULE,
    r01::RULE,
    r02::RULE,
    r03::RULE,
    r04::RULE,
    r05::RULE,
    r06::RULE,
    r07::RULE,
    p01::RULE,
    p02::RULE,
    p03::RULE,
    p04::RULE,
    p05::RULE,
    p06::RULE,
    p07::RULE,
    p08::RULE,
    p09::RULE,
    p10::RULE,
    p11::RULE,
    d01::RULE,
    d02::RULE,
    d03::RULE,
    d04::RULE,
    d05::RULE,
    d06::RULE,
    d07::RULE,
    d08::RULE,
    d09::RULE,
    f01::RULE,
    f02::RULE,
    f03::RULE,
    f04::RULE,
    f05::RULE,
    f06::RULE,
    f07::RULE,
    f08::RULE,
    f09::RULE,
    f10::RULE,
    h01::RULE,
    h02::RULE,
    h03::RULE,
    h04::RULE,
    h05::RULE,
    h06::RULE,
    l01::RULE,
    l02::RULE,
    l03::RULE,
    l04::RULE,
    l05::RULE,
    l06::RULE,
    l07::RULE,
    l08::RULE,
    l09::RULE,
    s01::RULE,
    s02::RULE,
    v01::RULE,
    v02::RULE,
    v03::RULE,
    v04::RULE,
    v05::RULE,
    v06::RULE,
    v07::RULE,
    v08::RULE,
    v09::RULE,
    x01::RULE,
    x02::RULE,
    x04::RULE,
    x05::RULE,
    x06::RULE,
    x07::RULE,
    q01::RULE,
    q02::RULE,
    q03::RULE,
    q04::RULE,
    q05::RULE,
    q06::RULE,
    q07::RULE,
    q08::RULE,
    q09::RULE,
    q10::RULE,
    y01::RULE,
    y02::RULE,
    y03::RULE,
];

/// The rules about services and requests, by id, and how each looks at them.
type OfUses = (&'static str, fn(&Situation<'_>, &mut Report<'_>));
static OF_USES: &[OfUses] = &[
    ("P07", p07::check_use),
    ("Q01", q01::check_use),
    ("Q02", q02::check_use),
    ("Q03", q03::check_use),
    ("Q04", q04::check_use),
    ("Q05", q05::check_use),
    ("Q06", q06::check_use),
    ("Q07", q07::check_use),
    ("Q08", q08::check_use),
    ("Q09", q09::check_use),
    ("Q10", q10::check_use),
];
