//! Golden cases: a folder each, with the manifest and what must come of it.
//!
//! `BLESS=1 cargo test -p assembly --test cases` writes what comes now; read it before you keep it.

#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;

use assembly::{plan, render};

mod support;

#[test]
fn every_case_comes_out_as_expected() {
    let mut wrong = Vec::new();
    for case in support::entries(&support::here("tests/cases")) {
        let found = outcome(&case);
        let folder = case.join("expect");
        if env::var_os("BLESS").is_some() {
            bless(&folder, &found);
        }

        let expected = files(&folder, &folder);
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

/// The documents of a manifest that can be planned, the findings of one that cannot.
fn outcome(case: &Path) -> BTreeMap<String, String> {
    let manifest = support::source(&case.join("assembly.yaml"), "assembly.yaml");
    let catalog = support::catalog_and_shipped("tests/catalog");
    match plan(&manifest, &catalog, &support::values()) {
        Ok(plan) => {
            let mut documents: BTreeMap<String, String> = render(&plan)
                .into_iter()
                // Long, and judged elsewhere: `tests/cloudformation.rs`, and what is committed in `rendered/`.
                .filter(|document| document.path != "cloudformation.yaml")
                .map(|document| (document.path, document.text))
                .collect();

            documents.insert("findings.txt".to_owned(), support::told(plan.warnings()));
            documents
        }
        Err(findings) => [("findings.txt".to_owned(), support::told(&findings))].into(),
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
    let _ = fs::remove_dir_all(folder);
    for (name, text) in found {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
}
