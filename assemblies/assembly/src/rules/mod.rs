//! What can be wrong with a manifest, one file a rule: its words, a case that passes, one that fails.
//!
//! A rule is looked for by the stage that can see it; the file of a rule holds what is said about it.

use task_definition::Severity;

pub mod example;

pub(crate) mod m01;
pub(crate) mod m02;
pub(crate) mod m03;
pub(crate) mod m04;
pub(crate) mod m05;
pub(crate) mod m06;
pub(crate) mod m07;
pub(crate) mod m08;
pub(crate) mod m09;
pub(crate) mod m10;
pub(crate) mod m11;
pub(crate) mod m12;
pub(crate) mod m13;
pub(crate) mod m14;
pub(crate) mod m15;
pub(crate) mod m16;
pub(crate) mod m17;
pub(crate) mod m18;
pub(crate) mod m19;
pub(crate) mod m20;
pub(crate) mod m21;
pub(crate) mod m22;
pub(crate) mod m23;
pub(crate) mod m24;
pub(crate) mod m25;
pub(crate) mod m26;
pub(crate) mod m27;
pub(crate) mod m28;
pub(crate) mod m30;
pub(crate) mod m31;
pub(crate) mod m32;
pub(crate) mod m33;
pub(crate) mod m34;
pub(crate) mod m35;
pub(crate) mod m36;
pub(crate) mod m37;
pub(crate) mod m38;
pub(crate) mod m39;
pub(crate) mod m40;
pub(crate) mod m41;
pub(crate) mod m42;
pub(crate) mod m43;
pub(crate) mod m44;
pub(crate) mod m50;
pub(crate) mod m51;
pub(crate) mod m52;

pub use m14::missing as missing_values;
pub use m32::unused as unused_value;

/// A rule about manifests, or about components.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The id. It never changes its meaning.
    pub id: &'static str,
    /// The rule in one line.
    pub title: &'static str,
    /// Why it is so and what happens otherwise.
    pub explanation: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// What to do, in general.
    pub hint: &'static str,
    /// A file that keeps the rule.
    pub passing: &'static str,
    /// A file that breaks this rule and no other.
    pub failing: &'static str,
}

/// Every rule.
pub fn rules() -> &'static [Rule] {
    RULES
}

/// The rule of that id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    rules().iter().find(|rule| rule.id == id)
}

/// How bad a breach of a rule about manifests is.
pub fn severity(id: &str) -> Severity {
    if WARNINGS.contains(&id) {
        Severity::Warning
    } else {
        Severity::Error
    }
}

/// Whether something can be made in spite of what a rule finds. Most of ECS's own rules judge a definition
/// that is there; of the rules about manifests only a few do.
pub fn may_be_silenced(id: &str) -> bool {
    match rule(id) {
        Some(_) => JUDGES.contains(&id) || severity(id) == Severity::Warning,
        None => !UNREADABLE.contains(&id),
    }
}

/// Whether a rule keeps strangers out of the task: that it is silenced is told every time.
pub fn guards(id: &str) -> bool {
    GUARDS.contains(&id)
}

/// Rules that find what is accepted and will hurt.
const WARNINGS: &[&str] = &["M25", "M31", "M32", "M34", "M35", "M39", "M41"];

/// Rules whose errors can be passed over.
const JUDGES: &[&str] = &["M17", "M22", "M23", "M40", "M50", "M51"];

/// ECS's rules that leave nothing to judge: no text, no value of the right type.
const UNREADABLE: &[&str] = &["Y01", "Y02", "C06", "D05"];

/// Rules about who may come in.
const GUARDS: &[&str] = &["M22", "M23"];

static RULES: &[Rule] = &[
    m01::RULE,
    m02::RULE,
    m03::RULE,
    m04::RULE,
    m05::RULE,
    m06::RULE,
    m07::RULE,
    m08::RULE,
    m09::RULE,
    m10::RULE,
    m11::RULE,
    m12::RULE,
    m13::RULE,
    m14::RULE,
    m15::RULE,
    m16::RULE,
    m17::RULE,
    m18::RULE,
    m19::RULE,
    m20::RULE,
    m21::RULE,
    m22::RULE,
    m23::RULE,
    m24::RULE,
    m25::RULE,
    m26::RULE,
    m27::RULE,
    m28::RULE,
    m30::RULE,
    m31::RULE,
    m32::RULE,
    m33::RULE,
    m34::RULE,
    m35::RULE,
    m36::RULE,
    m37::RULE,
    m38::RULE,
    m39::RULE,
    m40::RULE,
    m41::RULE,
    m42::RULE,
    m43::RULE,
    m44::RULE,
    m50::RULE,
    m51::RULE,
    m52::RULE,
];
