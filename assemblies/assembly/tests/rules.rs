//! Every rule's failing case breaks that rule and no other; its passing case breaks none.

#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]

use assembly::component::Component;
use assembly::rules::severity;
use assembly::{Lock, LockMode, Rule, plan, rules, rules::example};
use task_definition::Finding;
use task_definition::source::Source;

mod support;

fn findings(text: &str) -> Vec<Finding> {
    let source = Source::new("case.yaml", text);
    if text.starts_with("schema:") {
        return Component::read(&source).err().unwrap_or_default();
    }

    if text.starts_with("lock:") {
        return findings_of_lock(&source);
    }

    let catalog = support::catalog("tests/rule-catalog");
    match plan(&source, &catalog, &support::values()) {
        Ok(plan) => plan.warnings().to_vec(),
        Err(findings) => findings,
    }
}

/// A lock file is held against an assembly of one image.
fn findings_of_lock(source: &Source) -> Vec<Finding> {
    let manifest = Source::new("shop.yaml", "name: shop\napp: web\nservice: {}\n");
    let catalog = support::catalog("tests/rule-catalog");
    let planned = Lock::read(source).and_then(|lock| {
        let lock = lock.with_mode(LockMode::Required);
        plan(&manifest, &catalog, &support::values().with_lock(lock))
    });
    planned.map_or_else(|findings| findings, |plan| plan.warnings().to_vec())
}

#[test]
fn every_failing_case_breaks_its_rule_and_no_other() {
    for Rule { id, failing, .. } in rules() {
        let findings = findings(failing);
        let ids: Vec<&str> = findings.iter().map(|finding| finding.rule).collect();
        assert_eq!(ids, [*id], "{}", support::told(&findings));
        assert_eq!(findings[0].severity, severity(id), "{id}");
    }
}

#[test]
fn every_passing_case_breaks_no_rule() {
    for Rule { id, passing, .. } in rules() {
        let findings = findings(passing);
        assert!(findings.is_empty(), "{id}: {}", support::told(&findings));
    }
}

#[test]
fn ids_are_in_order_and_words_are_there() {
    let ids: Vec<&str> = rules().iter().map(|rule| rule.id).collect();
    assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
    for rule in rules() {
        for words in [rule.title, rule.explanation, rule.hint, rule.source] {
            assert!(!words.is_empty(), "{}", rule.id);
        }
    }
}

#[test]
fn the_readme_lists_every_rule() {
    let readme = support::source(&support::here("README.md"), "README.md").text;
    let rows = rules()
        .iter()
        .map(|Rule { id, title, .. }| format!("| {id} | {title} |\n"));
    let table = format!(
        "| id | what it says |\n|---|---|\n{}",
        rows.collect::<String>()
    );

    assert!(
        readme.contains(&table),
        "write this into README.md:\n{table}"
    );
}

#[test]
fn what_explain_shows_of_an_example_is_what_is_found_in_it() {
    for Rule { failing, .. } in rules() {
        let shown: Vec<_> = example::findings(failing);
        let found = findings(failing);
        let words = |all: &[Finding]| {
            let words = all.iter().map(|one| (one.rule, one.message.clone()));
            words.collect::<Vec<_>>()
        };
        assert_eq!(words(&shown), words(&found));
    }
}
