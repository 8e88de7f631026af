//! Checks definitions that AWS and others have published, in `../shared/data`. Their findings are recorded in
//! `published.txt` and reviewed by hand, which reveals false positives.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use diagnostics::source::Source;
use diagnostics::{Color, Finding, Location};
use ecs_rules::check;
use task_definition::{apply_fixes, diff, normalise, read};

fn folder() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = root.join("../shared/data/task-definitions");
    if !folder.is_dir() {
        // libtest captures eprintln! and drops it when the test passes.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: published task definitions need ../shared/data"
        );
        return None;
    }
    Some(folder)
}

fn sources(folder: &Path) -> Vec<Source> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    let json = names
        .iter()
        .filter_map(|name| name.to_str())
        .filter(|name| name.rsplit('.').next() == Some("json"));
    json.map(|name| Source::new(name, std::fs::read_to_string(folder.join(name)).unwrap()))
        .collect()
}

fn findings(source: &Source) -> Vec<Finding> {
    read(source).map_or_else(|findings| findings, |located| check(&located))
}

#[test]
fn findings_match_the_reviewed_file() {
    let Some(folder) = folder() else { return };
    let mut text = String::new();
    for source in sources(&folder) {
        let _ = writeln!(text, "{}", source.name);
        for finding in findings(&source) {
            let pointer = finding.pointer.as_deref().unwrap_or_default();
            let _ = writeln!(text, "  {} {pointer}: {}", finding.rule, finding.message);
        }
    }

    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/published.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&golden, &text).unwrap();
    }

    let reviewed = std::fs::read_to_string(&golden).unwrap();
    assert!(
        text == reviewed,
        "differs from tests/published.txt; run with BLESS=1 and review the diff"
    );
}

#[test]
fn every_finding_points_to_a_line_of_its_file() {
    let Some(folder) = folder() else { return };
    for source in sources(&folder) {
        for finding in findings(&source) {
            let Location::Text {
                line,
                column,
                end_column,
                excerpt_line,
                ..
            } = &finding.location
            else {
                panic!("{}: {finding:?}", source.name);
            };

            assert_eq!(
                source.text.lines().nth(line - 1).map(str::trim_end),
                Some(&**excerpt_line)
            );
            assert!(
                column < end_column,
                "{}: {}",
                source.name,
                finding.render(Color::No)
            );
        }
    }
}

#[test]
fn all_fixes_of_a_definition_apply_together() {
    let Some(folder) = folder() else { return };
    let mut fixed = 0;
    for source in sources(&folder) {
        let found = findings(&source);
        let fixes: Vec<_> = found
            .iter()
            .filter_map(|finding| finding.fix.clone())
            .collect();
        if fixes.is_empty() {
            continue;
        }

        fixed += fixes.len();
        let text = apply_fixes(&source, &fixes).unwrap();
        let remaining = findings(&Source::new(source.name.as_str(), text.as_str()));
        for finding in &found {
            let is_same =
                |other: &Finding| other.rule == finding.rule && other.message == finding.message;
            assert!(
                finding.fix.is_none() || !remaining.iter().any(is_same),
                "{}: {text}",
                finding.message
            );
        }
    }

    // Without fixes the loop above would prove nothing.
    assert!(fixed > 10, "only {fixed} fixes");
}

#[test]
fn serialization_round_trips_and_normalisation_is_idempotent() {
    let Some(folder) = folder() else { return };
    let mut readable = 0;
    for source in sources(&folder) {
        let Ok(located) = read(&source) else { continue };
        readable += 1;
        let definition = located.definition;
        let again = read(&Source::new("again", definition.to_json()))
            .unwrap()
            .definition;

        assert_eq!(definition, again, "{}", source.name);
        let normal = normalise(&definition);
        assert_eq!(normal, normalise(&normal), "{}", source.name);
        assert_eq!(diff(&normal, &normalise(&again)), [], "{}", source.name);
    }

    assert!(readable > 40, "only {readable} could be read");
}
