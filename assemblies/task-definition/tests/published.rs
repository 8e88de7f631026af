//! Definitions that AWS and others have published, in `../shared/data`: what the rules say about them is
//! kept in `published.txt`, read by a person. A rule that cries wolf shows there first.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may fail loudly and talk"
)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use task_definition::source::Source;
use task_definition::{Color, Finding, Place, check, difference, mend, normalise, read};

fn folder() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = root.join("../shared/data/task-definitions");
    if !folder.is_dir() {
        // Not eprintln: what libtest captures of a passing test is never seen.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: published task definitions needs ../shared/data"
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
fn says_about_published_definitions_what_was_reviewed() {
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
        "differs from tests/published.txt; see the difference with BLESS=1"
    );
}

#[test]
fn every_finding_points_at_a_line_of_its_file() {
    let Some(folder) = folder() else { return };
    for source in sources(&folder) {
        for finding in findings(&source) {
            let Place::Text {
                line,
                column,
                end_column,
                excerpt_line,
                ..
            } = &finding.place
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
fn all_fixes_of_a_definition_go_in_together_and_break_nothing() {
    let Some(folder) = folder() else { return };
    let mut mended = 0;
    for source in sources(&folder) {
        let found = findings(&source);
        let fixes: Vec<_> = found.iter().filter_map(|one| one.fix.clone()).collect();
        if fixes.is_empty() {
            continue;
        }

        mended += fixes.len();
        let text = mend(&source, &fixes).unwrap();
        let left = findings(&Source::new(source.name.as_str(), text.as_str()));
        for one in &found {
            let same = |left: &Finding| left.rule == one.rule && left.message == one.message;
            assert!(
                one.fix.is_none() || !left.iter().any(same),
                "{}: {text}",
                one.message
            );
        }
    }

    assert!(mended > 10, "only {mended} fixes");
}

#[test]
fn reads_back_what_it_writes_and_normalises_once_and_for_all() {
    let Some(folder) = folder() else { return };
    let mut read_well = 0;
    for source in sources(&folder) {
        let Ok(located) = read(&source) else { continue };
        read_well += 1;
        let definition = located.definition;
        let again = read(&Source::new("again", definition.to_json()))
            .unwrap()
            .definition;

        assert_eq!(definition, again, "{}", source.name);
        let normal = normalise(&definition);
        assert_eq!(normal, normalise(&normal), "{}", source.name);
        assert_eq!(
            difference(&normal, &normalise(&again)),
            [],
            "{}",
            source.name
        );
    }

    assert!(read_well > 40, "only {read_well} could be read");
}
