//! Import: what is written renders to the definition it was written from, byte for byte in normal form.

#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::panic, reason = "helpers of tests may fail loudly")]
#![allow(clippy::print_stderr, reason = "what is skipped is said by name")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use assembly::import::{ImportError, ImportOptions, ImportedAssembly, import};
use assembly::{Catalog, Values, plan};
use task_definition::source::Source;
use task_definition::{TaskDefinition, normalise, read};

mod support;

/// The components of this project.
fn shipped() -> Catalog {
    let folders = ["sidecars", "apps", "assemblies/components"];
    let folders = folders.map(|folder| support::here("../..").join(folder));
    let folders = folders.iter().flat_map(|folder| support::entries(folder));
    let files = folders.map(|folder| folder.join("component.yaml"));
    let files = files.filter(|file| file.is_file());
    let sources: Vec<Source> = files
        .map(|file| support::source(&file, &file.to_string_lossy()))
        .collect();
    Catalog::read(&sources)
}

fn options(file: &Path) -> ImportOptions {
    ImportOptions {
        file: support::name(file),
        ..ImportOptions::default()
    }
}

/// What the written files render to, with nothing but the written files and the components of this project.
fn rendered(imported: &ImportedAssembly) -> TaskDefinition {
    let written = imported.components.iter();
    let catalog = written.fold(shipped(), |catalog, (name, text)| {
        catalog.with(&Source::new(format!("{name}/component.yaml"), text.clone()))
    });
    let values = Values::read(&Source::new("values.yaml", imported.values.clone()));
    let manifest = Source::new("imported.yaml", imported.manifest.clone());
    match plan(&manifest, &catalog, &values.expect("values")) {
        Ok(plan) => plan.definition().clone(),
        Err(findings) => panic!("{}\n{}", imported.manifest, support::told(&findings)),
    }
}

fn text(imported: &ImportedAssembly) -> String {
    let mut text = format!("{}--- values\n{}", imported.manifest, imported.values);
    for (name, component) in &imported.components {
        let _ = write!(text, "--- {name}\n{component}");
    }
    text
}

/// The rules only: what they say is for their own tests.
fn told(imported: &ImportedAssembly) -> String {
    let findings = imported.findings.iter();
    let told =
        findings.map(|one| format!("{} {}\n", one.rule, one.pointer.as_deref().unwrap_or("")));
    format!("--- findings\n{}", told.collect::<String>())
}

#[test]
fn own_definitions_come_back_as_they_were_and_read_well() {
    for file in support::entries(&support::here("tests/imports")) {
        if file.extension().is_some_and(|end| end == "txt") {
            continue;
        }

        let source = support::source(&file, &support::name(&file));
        let definition = read(&source).expect("a definition").definition;
        let found = match import(&definition, &shipped(), &options(&file)) {
            Ok(imported) => {
                let (once, again) = (normalise(&definition), normalise(&rendered(&imported)));
                assert_eq!(once.to_json(), again.to_json(), "{}", source.name);
                text(&imported) + &told(&imported)
            }
            Err(refused) => format!("{refused:#?}\n"),
        };

        let expected = file.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected, &found).expect("a file");
        }

        let expected = fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(found, expected, "{}", source.name);
    }
}

/// Every published definition for Fargate comes back; of the others the reason is told.
#[test]
fn every_published_definition_for_fargate_comes_back_as_it_was() {
    let folder = support::here("../../../shared/data/task-definitions");
    if !folder.is_dir() {
        eprintln!(
            "skipped: every_published_definition_for_fargate_comes_back_as_it_was needs ../shared/data"
        );
        return;
    }

    let mut counts = BTreeMap::new();
    let mut wrong = Vec::new();
    for file in support::entries(&folder) {
        let source = support::source(&file, &support::name(&file));
        let outcome = match read(&source) {
            Err(_) if source.text.contains("AWSTemplateFormatVersion") => "a template",
            Err(_) => {
                // What cannot be read is nothing that Fargate would have taken.
                if source.text.contains("\"FARGATE\"") {
                    wrong.push(format!("{}: cannot be read", source.name));
                }
                "unreadable"
            }
            Ok(located) => match import(&located.definition, &shipped(), &options(&file)) {
                Err(ImportError::NotFargate(reasons)) => {
                    let flagged = located.definition.is_fargate();
                    if flagged || reasons.is_empty() {
                        wrong.push(format!("{}: {reasons:?}", source.name));
                    }
                    "not for Fargate"
                }
                Err(other) => {
                    wrong.push(format!("{}: {other:?}", source.name));
                    "wrong"
                }
                Ok(imported) => {
                    let again = normalise(&rendered(&imported)).to_json();
                    if normalise(&located.definition).to_json() != again {
                        wrong.push(source.name.clone());
                    }
                    "comes back"
                }
            },
        };
        *counts.entry(outcome).or_insert(0) += 1;
    }

    eprintln!("{counts:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(counts["comes back"] >= 20, "{counts:?}");
}
