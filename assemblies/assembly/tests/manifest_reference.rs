//! `assemblies/README.md` explains every word of a manifest, and its examples are tried.

#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;

use assembly::{Catalog, Values, plan, render, rule_config, schema};
use serde_json::Value;
use task_definition::source::{self, Source};

mod support;

fn readme() -> String {
    support::source(&support::here("../README.md"), "README.md").text
}

/// The YAML blocks of the page, each with the line it begins at.
fn blocks(page: &str) -> Vec<Source> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in page.lines().enumerate() {
        match &mut open {
            None if line == "```yaml" => open = Some((number + 2, String::new())),
            None => {}
            Some((begin, text)) if line == "```" => {
                let name = format!("README.md, line {begin}");
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

/// The shipped components, and an init of the tests, since none ships.
fn catalog() -> Catalog {
    let root = support::here("../..");
    let folders = ["sidecars", "apps", "assemblies/components"];
    let folders = folders.map(|folder| root.join(folder));
    let folders = folders.iter().filter(|folder| folder.is_dir());
    let files = folders.flat_map(|folder| support::entries(folder));
    let files = files.map(|folder| folder.join("component.yaml"));
    let mut sources: Vec<Source> = files
        .filter(|file| file.is_file())
        .map(|file| support::source(&file, &file.to_string_lossy()))
        .collect();

    let init = support::here("tests/catalog/warm-up.yaml");
    sources.push(support::source(&init, "warm-up.yaml"));
    Catalog::read(&sources)
}

#[test]
fn every_manifest_of_the_page_is_planned_without_a_finding() {
    let values = support::here("../values/example.yaml");
    let values = Values::read(&support::source(&values, "example.yaml")).expect("values");
    let catalog = catalog();
    let mut planned = 0;

    for block in blocks(&readme()) {
        let node = source::parse(&block).expect("YAML");
        if node.get("app").is_none() {
            // Another kind of file; those of rules are ours.
            if node.get("rules").is_some() {
                let (_, findings) = rule_config::read(&block);
                assert!(findings.is_empty(), "{}", support::told(&findings));
            }
            continue;
        }

        let plan = plan(&block, &catalog, &values);
        let plan = plan.unwrap_or_else(|findings| panic!("{}", support::told(&findings)));
        assert!(
            plan.warnings().is_empty(),
            "{}",
            support::told(plan.warnings())
        );
        assert!(!render(&plan).is_empty());
        planned += 1;
    }

    assert!(planned >= 8, "only {planned} manifests were found");
}

#[test]
fn every_word_of_a_manifest_stands_in_the_page_and_in_an_example() {
    let schema: Value = serde_json::from_str(&schema::assembly()).expect("a schema");
    let page = readme();
    let examples: String = blocks(&page).into_iter().map(|block| block.text).collect();
    let told: Vec<String> = words(&schema)
        .into_iter()
        .filter(|word| !page.contains(&format!("`{word}`")))
        .collect();

    assert!(
        told.is_empty(),
        "explain these words in assemblies/README.md: {told:?}"
    );

    let shown: Vec<String> = words(&schema)
        .into_iter()
        .filter(|word| !shows(&examples, word))
        .collect();

    assert!(
        shown.is_empty(),
        "show these words in an example of assemblies/README.md: {shown:?}"
    );
}

/// Whether a key of that name stands in a text.
fn shows(text: &str, word: &str) -> bool {
    let key = format!("{word}:");
    let starts = text.match_indices(&key).map(|(at, _)| at);
    starts
        .filter_map(|at| text[..at].chars().next_back())
        .any(|before| matches!(before, ' ' | '\n' | '{'))
        || text.starts_with(&key)
}

/// The fields of the manifest and of everything in it.
fn words(schema: &Value) -> BTreeSet<String> {
    let definitions = schema["$defs"].as_object().into_iter().flatten();
    let records = definitions.map(|(_, record)| record).chain([schema]);
    records
        .filter_map(|record| record["properties"].as_object())
        .flat_map(|fields| fields.keys().cloned())
        .collect()
}
