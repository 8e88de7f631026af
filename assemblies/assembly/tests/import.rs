//! An imported assembly renders to the original definition, byte for byte in normal form.

#![allow(clippy::expect_used, reason = "a panic fails the test")]
#![allow(clippy::panic, reason = "a panic fails the test")]
#![allow(clippy::print_stderr, reason = "skipped tests are reported by name")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use assembly::import::{ImportError, ImportOptions, ImportedAssembly, import};
use assembly::{Catalog, Values, plan};
use diagnostics::source::Source;
use task_definition::{TaskDefinition, normalise, read};

mod support;

/// Returns the components of this project.
fn project_catalog() -> Catalog {
    Catalog::read(&support::project_sources())
}

fn options_for(file: &Path) -> ImportOptions {
    ImportOptions {
        file: support::name(file),
        ..ImportOptions::default()
    }
}

/// Renders the imported files, with only these files and the components of this project.
fn render(imported: &ImportedAssembly) -> TaskDefinition {
    let new = imported.components.iter();
    let catalog = new.fold(project_catalog(), |catalog, (name, text)| {
        catalog.with(&Source::new(format!("{name}/component.yaml"), text.clone()))
    });
    let values = Values::read(&Source::new("values.yaml", imported.values.clone()));
    let manifest = Source::new("imported.yaml", imported.manifest.clone());
    match plan(&manifest, &catalog, &values.expect("values")) {
        Ok(plan) => plan.definition().clone(),
        Err(findings) => panic!(
            "{}\n{}",
            imported.manifest,
            support::format_findings(&findings)
        ),
    }
}

fn text(imported: &ImportedAssembly) -> String {
    let mut text = format!("{}--- values\n{}", imported.manifest, imported.values);
    for (name, component) in &imported.components {
        let _ = write!(text, "--- {name}\n{component}");
    }
    text
}

/// Formats the rules and pointers of the findings; the messages are tested elsewhere.
fn format_rules(imported: &ImportedAssembly) -> String {
    let findings = imported.findings.iter();
    let lines = findings.map(|finding| {
        let pointer = finding.pointer.as_deref().unwrap_or("");
        format!("{} {pointer}\n", finding.rule)
    });
    format!("--- findings\n{}", lines.collect::<String>())
}

#[test]
fn test_definitions_round_trip_and_match_the_golden_files() {
    for file in support::entries(&support::here("tests/imports")) {
        // The golden files are in the same folder.
        if file.extension().is_some_and(|end| end == "txt") {
            continue;
        }

        let source = support::source(&file, &support::name(&file));
        let definition = read(&source).expect("a definition").definition;
        let found = match import(&definition, &project_catalog(), &options_for(&file)) {
            Ok(imported) => {
                // The normal form removes differences without effect, such as defaults and key order.
                let (original, rendered) = (normalise(&definition), normalise(&render(&imported)));
                assert_eq!(original.to_json(), rendered.to_json(), "{}", source.name);
                text(&imported) + &format_rules(&imported)
            }
            Err(error) => format!("{error:#?}\n"),
        };

        let expected = file.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected, &found).expect("a file");
        }

        let expected = fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(found, expected, "{}", source.name);
    }
}

/// Published definitions for Fargate round-trip; the others are rejected with a reason.
#[test]
fn published_fargate_definitions_round_trip() {
    let folder = support::here("../../../shared/data/task-definitions");
    if !folder.is_dir() {
        eprintln!("skipped: published_fargate_definitions_round_trip needs ../shared/data");
        return;
    }

    let mut counts = BTreeMap::new();
    let mut wrong = Vec::new();
    for file in support::entries(&folder) {
        let source = support::source(&file, &support::name(&file));
        let outcome = match read(&source) {
            Err(_) if source.text.contains("AWSTemplateFormatVersion") => "a template",
            Err(_) => {
                // A file for Fargate that cannot be read would be a defect of the parser.
                if source.text.contains("\"FARGATE\"") {
                    wrong.push(format!("{}: cannot be read", source.name));
                }
                "unreadable"
            }
            Ok(located) => {
                match import(&located.definition, &project_catalog(), &options_for(&file)) {
                    Err(ImportError::NotFargate(reasons)) => {
                        let declares_fargate = located.definition.is_fargate();
                        if declares_fargate || reasons.is_empty() {
                            wrong.push(format!("{}: {reasons:?}", source.name));
                        }
                        "not for Fargate"
                    }
                    Err(other) => {
                        wrong.push(format!("{}: {other:?}", source.name));
                        "wrong"
                    }
                    Ok(imported) => {
                        let rendered = normalise(&render(&imported)).to_json();
                        if normalise(&located.definition).to_json() != rendered {
                            wrong.push(source.name.clone());
                        }
                        "round trip"
                    }
                }
            }
        };
        *counts.entry(outcome).or_insert(0) += 1;
    }

    eprintln!("{counts:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The corpus must not shrink unnoticed.
    assert!(counts["round trip"] >= 20, "{counts:?}");
}
