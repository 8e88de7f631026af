//! The failing example of a rule has a finding of that rule only; the passing one has none.

#![allow(clippy::expect_used, reason = "a panic fails the test")]

use assembly::component::Component;
use assembly::{Lock, LockMode, Rule, plan, rules, rules::example};
use diagnostics::Finding;
use diagnostics::source::Source;

mod support;

fn findings(text: &str) -> Vec<Finding> {
    let source = Source::new("case.yaml", text);
    // The first key identifies the kind of file, as in `rules::example`.
    if text.starts_with("schema:") {
        return Component::read(&source).err().unwrap_or_default();
    }

    if text.starts_with("lock:") {
        return lock_findings(&source);
    }

    if text.contains("\nenvironments:\n  staging:") {
        // This catalog is the one of `rules::example`, which knows the values of both environments.
        return example::findings(text);
    }
    let catalog = support::catalog("tests/rule-catalog");
    match plan(&source, &catalog, &support::values()) {
        Ok(plan) => plan.warnings().to_vec(),
        Err(findings) => findings,
    }
}

/// Checks a lock file with an assembly of one image.
fn lock_findings(source: &Source) -> Vec<Finding> {
    let manifest = Source::new("shop.yaml", "name: shop\napp: web\nservice: {}\n");
    let catalog = support::catalog("tests/rule-catalog");
    let planned = Lock::read(source).and_then(|lock| {
        let lock = lock.with_mode(LockMode::Required);
        plan(&manifest, &catalog, &support::values().with_lock(lock))
    });
    planned.map_or_else(|findings| findings, |plan| plan.warnings().to_vec())
}

#[test]
fn every_failing_example_breaks_only_its_rule() {
    for rule @ Rule { id, severity, .. } in rules() {
        let findings = findings(&rule.failing_document());
        let ids: Vec<&str> = findings.iter().map(|finding| finding.rule).collect();
        assert_eq!(ids, [*id], "{}", support::format_findings(&findings));
        assert_eq!(findings[0].severity, *severity, "{id}");
    }
}

#[test]
fn every_passing_example_breaks_no_rule() {
    for Rule { id, passing, .. } in rules() {
        let findings = findings(passing);
        assert!(
            findings.is_empty(),
            "{id}: {}",
            support::format_findings(&findings)
        );
    }
}

#[test]
fn rules_are_sorted_and_have_texts_and_names() {
    let ids: Vec<&str> = rules().iter().map(|rule| rule.id).collect();
    assert!(ids.is_sorted_by(|id, next| id < next), "{ids:?}");
    for rule in rules() {
        // A name is the slug of the rule's file in kebab case.
        let is_kebab = |c: char| c.is_ascii_lowercase() || c == '-';
        assert!(rule.name.chars().all(is_kebab), "{}", rule.id);
        for text in [rule.title, rule.explanation, rule.hint, rule.source] {
            assert!(!text.is_empty(), "{}", rule.id);
        }
    }
}

#[test]
fn the_readme_lists_every_rule() {
    let readme = support::source(&support::here("README.md"), "README.md").text;
    let rows = rules().iter().map(
        |Rule {
             id, name, title, ..
         }| format!("| {id} | {name} | {title} |\n"),
    );
    let table = format!(
        "| id | name | fault |\n|---|---|---|\n{}",
        rows.collect::<String>()
    );

    assert!(
        readme.contains(&table),
        "write this into README.md:\n{table}"
    );
}

#[test]
fn explain_shows_the_findings_of_the_examples() {
    for failing in rules().iter().map(Rule::failing_document) {
        // `explain` uses a catalog that is compiled in; this test reads it from the folder.
        let messages = |findings: &[Finding]| {
            let messages = findings
                .iter()
                .map(|found| (found.rule, found.message.clone()));
            messages.collect::<Vec<_>>()
        };
        assert_eq!(
            messages(&example::findings(&failing)),
            messages(&findings(&failing))
        );
    }
}
