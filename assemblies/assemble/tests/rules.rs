//! `rules`, `explain`, completions and manual pages.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

mod support;

use support::Project;

fn run(arguments: &[&str]) -> support::CommandOutput {
    Project::empty().assemble(arguments)
}

#[test]
fn rules_are_filtered_by_severity_letter_and_word() {
    let all = run(&["rules"]).out;
    let warnings = run(&["rules", "--severity", "warning"]).out;
    let errors = run(&["rules", "--severity", "error"]).out;
    assert_eq!(
        all.lines().count(),
        warnings.lines().count() + errors.lines().count()
    );
    assert!(warnings.lines().all(|line| line.contains(" warning ")));

    let ports = run(&["rules", "--about", "p"]).out;
    assert!(ports.lines().count() > 3 && ports.lines().all(|line| line.starts_with('P')));
    let about = run(&["rules", "--about", "secret"]).out;
    assert!(
        about.contains("S01") && about.contains("M13") && !about.contains("T06"),
        "{about}"
    );
    let none = run(&["rules", "--about", "zeppelin"]);
    assert!(none.out.is_empty() && none.err.contains("no rule matches"));
}

#[test]
fn rules_as_json_have_all_fields() {
    let rules = run(&["rules", "--format", "json"]).json();
    let rules = rules.as_array().expect("a list");
    assert_eq!(rules.len(), run(&["rules"]).out.lines().count());

    for rule in rules {
        for field in [
            "id",
            "severity",
            "title",
            "explanation",
            "source",
            "hint",
            "passing",
            "failing",
        ] {
            assert!(
                rule[field].as_str().is_some_and(|text| !text.is_empty()),
                "{rule}"
            );
        }
    }
}

#[test]
fn explain_shows_the_findings_of_the_failing_example() {
    for (id, finding) in [
        ("t06", "error[T06]: "),
        ("M05", "error[M05]: "),
        ("C04", "warning[C04]: "),
    ] {
        let output = run(&["explain", id]);
        assert_eq!(output.code, Some(0), "{}", output.err);
        assert!(
            output.out.contains("`assemble check` reports:"),
            "{}",
            output.out
        );
        assert!(output.out.contains(finding), "{}", output.out);
        for part in ["fails:", "passes:", "hint:", "source:"] {
            assert!(output.out.contains(part), "{part}: {}", output.out);
        }
    }

    let all = run(&["explain", "--all"]).out;
    let rules = run(&["rules"]).out;
    assert_eq!(all.matches("\npasses:\n").count(), rules.lines().count());
}

#[test]
fn an_unknown_rule_is_answered_with_a_suggestion() {
    let output = run(&["explain", "T066"]);
    assert_eq!(output.code, Some(2));
    assert!(
        output
            .err
            .contains("unknown rule `T066`; did you mean `T06`?"),
        "{}",
        output.err
    );
}

/// The directory with the committed pages.
fn committed_pages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules")
}

/// Returns the name and text of every page in a directory, sorted.
fn pages(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.expect("an entry");
        let name = entry.file_name().to_string_lossy().into_owned();
        (name, fs::read_to_string(entry.path()).expect("a page"))
    };
    entries.map(read).collect()
}

#[test]
fn the_committed_pages_are_up_to_date() {
    let project = Project::empty();
    let output = project.assemble(&["rules", "--format", "markdown", "--output", "pages"]);
    assert_eq!(output.code, Some(0), "{}", output.err);

    if std::env::var_os("BLESS").is_some() {
        let folder = committed_pages();
        let folder = folder.to_string_lossy();
        run(&["rules", "--format", "markdown", "--output", &folder]);
    }
    assert!(
        pages(&committed_pages()) == pages(&project.root().join("pages")),
        "run `assemble rules --format markdown --output docs/rules`"
    );
}

#[test]
fn every_rule_has_one_section_and_every_page_is_small_enough() {
    let pages = pages(&committed_pages());
    for (name, text) in &pages {
        // The limits of READMEs and pages in this repository.
        let limit = if name == "README.md" { 8192 } else { 30_000 };
        assert!(text.len() <= limit, "{name}: {} bytes", text.len());
    }

    let rules = run(&["rules", "--format", "json"]).json();
    for rule in rules.as_array().expect("a list") {
        let heading = format!("\n## {}\n", rule["id"].as_str().expect("an id"));
        let sections: usize = pages
            .values()
            .map(|text| text.matches(&heading).count())
            .sum();
        assert_eq!(sections, 1, "{heading}");
    }
}

#[test]
fn every_link_between_the_pages_has_its_heading() {
    let pages = pages(&committed_pages());
    for (name, text) in &pages {
        let links = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for link in links {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { name } else { file };
            // Links out of the directory belong to the documents they point to.
            let Some(target) = pages.get(file) else {
                assert!(
                    file.starts_with("../") || file.starts_with("https://"),
                    "{name}: {link}"
                );
                continue;
            };
            let heading = format!("\n## {}\n", anchor.to_uppercase());
            assert!(
                anchor.is_empty() || target.contains(&heading),
                "{name}: {link}"
            );
        }
    }
}

#[test]
fn writing_the_pages_removes_only_old_generated_ones() {
    let project = Project::empty();
    let write = ["rules", "--format", "markdown", "--output", "pages"];
    assert_eq!(project.assemble(&write).code, Some(0));

    // A page of a group that no longer exists, and a file of the user.
    let page = project.read("pages/task.md");
    project.write("pages/old-group.md", page);
    project.write("pages/notes.md", "# Notes\n");

    let output = project.assemble(&write);
    assert!(output.err.contains("1 file changed"), "{}", output.err);
    assert!(!project.root().join("pages/old-group.md").exists());
    assert_eq!(project.read("pages/notes.md"), "# Notes\n");
}

#[test]
fn markdown_needs_a_directory_and_takes_no_filter() {
    for arguments in [
        &["rules", "--format", "markdown"][..],
        &["rules", "--output", "pages"],
        &[
            "rules", "--format", "markdown", "--output", "pages", "--about", "T",
        ],
    ] {
        assert_eq!(run(arguments).code, Some(2), "{arguments:?}");
    }
}

#[test]
fn there_is_a_manual_page_for_every_verb() {
    let folder = Project::empty();
    let output = folder.assemble(&["man", "--output", "pages"]);
    assert_eq!(output.code, Some(0), "{}", output.err);

    for page in ["assemble.1", "assemble-check.1", "assemble-render.1"] {
        let text = folder.read(&format!("pages/{page}"));
        assert!(
            text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"),
            "{text}"
        );
    }

    // One page on stdout is the same as the file.
    let check = folder.assemble(&["man", "check"]).out;
    assert_eq!(check, folder.read("pages/assemble-check.1"));
    assert!(
        check.contains("allow") && check.contains("strict"),
        "{check}"
    );
    let misspelt = folder.assemble(&["man", "chekc"]);
    assert!(
        misspelt.err.contains("did you mean `check`?"),
        "{}",
        misspelt.err
    );
}

#[test]
fn completions_contain_verbs_and_flags() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]).out;
        for word in ["render", "explain", "show-suppressed", "sarif"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn bash_completes_a_verb() {
    let script = run(&["completions", "bash"]).out;
    // What bash itself sets before it calls the function of a completion.
    let query = "COMP_WORDS=(assemble exp); COMP_CWORD=1; _assemble assemble exp assemble; echo \"${COMPREPLY[@]}\"\n";
    // Not every system has bash.
    let Ok(mut bash) = Command::new("bash")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
    else {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: bash_completes_a_verb needs bash"
        );
        return;
    };

    let mut input = bash.stdin.take().expect("a pipe");
    input
        .write_all(format!("{script}\n{query}").as_bytes())
        .expect("bash reads");
    drop(input);
    let output = bash.wait_with_output().expect("bash ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "explain");
}
