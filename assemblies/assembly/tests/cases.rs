//! Golden cases: one folder each, with a manifest and the expected output.
//!
//! `BLESS=1 cargo test -p assembly --test cases` writes the current output; review it before you commit it.

#![allow(clippy::expect_used, reason = "a panic fails the test")]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;

use assembly::{plan, render};

mod support;

#[test]
fn every_case_gives_the_expected_files() {
    let mut wrong = Vec::new();
    for case in support::entries(&support::here("tests/cases")) {
        let found = outcome(&case);
        let folder = case.join("expect");
        // Blessing first, so that the comparison below then passes.
        if env::var_os("BLESS").is_some() {
            bless(&folder, &found);
        }

        let expected = files(&folder, &folder);
        // Files that are missing and files that are new are both differences.
        for name in found
            .keys()
            .chain(expected.keys().filter(|name| !found.contains_key(*name)))
        {
            if found.get(name) != expected.get(name) {
                wrong.push(format!(
                    "{}/{name}\n--- expected\n{}\n--- found\n{}",
                    support::name(&case),
                    expected.get(name).map_or("nothing", String::as_str),
                    found.get(name).map_or("nothing", String::as_str),
                ));
            }
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Returns the documents of a manifest that can be planned, or else its findings.
fn outcome(case: &Path) -> BTreeMap<String, String> {
    let manifest = support::source(&case.join("assembly.yaml"), "assembly.yaml");
    let catalog = support::catalog_and_shipped("tests/catalog");
    match plan(&manifest, &catalog, &support::values()) {
        Ok(plan) => {
            let mut documents: BTreeMap<String, String> = render(&plan)
                .into_iter()
                // Long, and checked elsewhere: in `tests/cloudformation.rs` and in `rendered/`.
                .filter(|document| document.path != "cloudformation.yaml")
                .map(|document| (document.path, document.text))
                .collect();

            documents.insert(
                "findings.txt".to_owned(),
                support::format_findings(plan.warnings()),
            );
            documents
        }
        Err(findings) => [(
            "findings.txt".to_owned(),
            support::format_findings(&findings),
        )]
        .into(),
    }
}

fn files(root: &Path, folder: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    if !folder.is_dir() {
        return all;
    }

    for path in support::entries(folder) {
        if path.is_dir() {
            all.extend(files(root, &path));
        } else {
            let name = path
                .strip_prefix(root)
                .expect("a path below")
                .display()
                .to_string();
            all.insert(name, fs::read_to_string(&path).expect("text"));
        }
    }

    all
}

fn bless(folder: &Path, found: &BTreeMap<String, String>) {
    // Remove files that no longer exist; the folder may not exist yet.
    let _ = fs::remove_dir_all(folder);
    for (name, text) in found {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
}
