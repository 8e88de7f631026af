//! `docs/manifest.md` documents every field of a manifest, and its examples are valid.

#![allow(clippy::expect_used, reason = "a panic fails the test")]

use std::collections::BTreeSet;

use assembly::{Catalog, Values, plan, render, rule_config, schema};
use diagnostics::source::{self, Source};
use serde_json::Value;

mod support;

fn readme() -> String {
    support::source(&support::here("../../docs/manifest.md"), "manifest.md").text
}

/// Returns the YAML blocks of the page, named after their first line.
fn blocks(page: &str) -> Vec<Source> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in page.lines().enumerate() {
        match &mut open {
            None if line == "```yaml" => open = Some((number + 2, String::new())),
            None => {}
            Some((begin, text)) if line == "```" => {
                let name = format!("manifest.md, line {begin}");
                blocks.push(Source::new(name, std::mem::take(text)));
                open = None;
            }
            Some((_, text)) => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }

    blocks
}

/// Returns the shipped components, and an init component of the tests, since none is shipped.
fn catalog() -> Catalog {
    let mut sources = support::project_sources();
    let init = support::here("tests/catalog/warm-up.yaml");
    sources.push(support::source(&init, "warm-up.yaml"));
    Catalog::read(&sources)
}

#[test]
fn every_manifest_of_the_page_has_no_findings() {
    let values = support::here("../values/example.yaml");
    let values = Values::read(&support::source(&values, "example.yaml")).expect("values");
    let catalog = catalog();
    let mut planned = 0;

    for block in blocks(&readme()) {
        let node = source::parse(&block).expect("YAML");
        if node.get("app").is_none() {
            // Not a manifest; rules files are checked here as well.
            if node.get("rules").is_some() {
                let (_, findings) = rule_config::read(&block);
                assert!(
                    findings.is_empty(),
                    "{}",
                    support::format_findings(&findings)
                );
            }
            continue;
        }

        let plan = plan(&block, &catalog, &values);
        let plan =
            plan.unwrap_or_else(|findings| panic!("{}", support::format_findings(&findings)));
        assert!(
            plan.warnings().is_empty(),
            "{}",
            support::format_findings(plan.warnings())
        );
        assert!(!render(&plan).is_empty());
        planned += 1;
    }

    // The examples must not disappear from the page unnoticed.
    assert!(planned >= 8, "only {planned} manifests were found");
}

#[test]
fn every_field_of_a_manifest_is_documented_and_used_in_an_example() {
    let schema: Value = serde_json::from_str(&schema::assembly()).expect("a schema");
    let page = readme();
    let examples: String = blocks(&page).into_iter().map(|block| block.text).collect();
    let undocumented: Vec<String> = fields(&schema)
        .into_iter()
        .filter(|field| !page.contains(&format!("`{field}`")))
        .collect();

    assert!(
        undocumented.is_empty(),
        "document these fields in docs/manifest.md: {undocumented:?}"
    );

    let unused: Vec<String> = fields(&schema)
        .into_iter()
        .filter(|field| !has_key(&examples, field))
        .collect();

    assert!(
        unused.is_empty(),
        "use these fields in an example of docs/manifest.md: {unused:?}"
    );
}

/// Returns whether a text has a key of this name.
fn has_key(text: &str, name: &str) -> bool {
    let key = format!("{name}:");
    let starts = text.match_indices(&key).map(|(at, _)| at);
    starts
        .filter_map(|at| text[..at].chars().next_back())
        // A key is at the start of a line, after a space or after a brace.
        .any(|before| matches!(before, ' ' | '\n' | '{'))
        || text.starts_with(&key)
}

/// Returns the names of all fields of the manifest, at every level.
fn fields(schema: &Value) -> BTreeSet<String> {
    let definitions = schema["$defs"].as_object().into_iter().flatten();
    let records = definitions.map(|(_, record)| record).chain([schema]);
    records
        .filter_map(|record| record["properties"].as_object())
        .flat_map(|fields| fields.keys().cloned())
        .collect()
}
