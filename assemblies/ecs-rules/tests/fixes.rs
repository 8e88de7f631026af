//! The fix of a rule resolves its finding.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use diagnostics::Severity;
use diagnostics::source::Source;
use ecs_rules::{check, rules};
use task_definition::{apply_fixes, read};

#[test]
fn every_fix_resolves_its_finding_without_new_errors() {
    let mut fixed = Vec::new();
    for rule in rules() {
        let source = Source::new(rule.id, rule.failing_document());
        let findings = |source: &Source| {
            read(source).map_or_else(|findings| findings, |located| check(&located))
        };

        for fix in findings(&source)
            .into_iter()
            .filter_map(|finding| finding.fix)
        {
            let first = fix.title.chars().next();
            assert!(first.is_some_and(char::is_lowercase), "{}", fix.title);
            let text = apply_fixes(&source, &[fix]).unwrap();
            let remaining: Vec<_> = findings(&Source::new(rule.id, text.as_str()))
                .into_iter()
                .filter(|finding| finding.rule == rule.id || finding.severity == Severity::Error)
                .map(|finding| finding.message)
                .collect();

            assert_eq!(remaining, [""; 0], "{}: {text}", rule.id);
            fixed.push(rule.id);
        }
    }

    // The list is explicit, so a rule cannot lose its fix unnoticed.
    assert_eq!(fixed, RULES_WITH_FIX);
}

/// The rules with a fix for their failing case.
const RULES_WITH_FIX: [&str; 38] = [
    "T03", "T04", "T07", "T08", "T09", "T10", "T12", "T19", "C05", "C06", "C12", "C13", "P02",
    "P04", "P08", "P09", "D01", "D04", "D05", "D06", "D07", "D08", "F03", "F06", "F09", "H01",
    "H02", "H05", "L03", "L04", "V02", "V03", "V06", "X01", "X02", "X04", "X05", "X07",
];
