//! `rules`, `explain`, completions and the manual: what the command says about itself.

#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

mod support;

use support::Project;

fn says(arguments: &[&str]) -> support::Said {
    Project::empty().assemble(arguments)
}

#[test]
fn rules_can_be_asked_for_by_severity_letter_and_word() {
    let all = says(&["rules"]).out;
    let warnings = says(&["rules", "--severity", "warning"]).out;
    let errors = says(&["rules", "--severity", "error"]).out;
    assert_eq!(
        all.lines().count(),
        warnings.lines().count() + errors.lines().count()
    );
    assert!(warnings.lines().all(|line| line.contains(" warning ")));

    let of_ports = says(&["rules", "--about", "p"]).out;
    assert!(of_ports.lines().count() > 3 && of_ports.lines().all(|line| line.starts_with('P')));
    let about = says(&["rules", "--about", "secret"]).out;
    assert!(
        about.contains("S01") && about.contains("M13") && !about.contains("T06"),
        "{about}"
    );
    let none = says(&["rules", "--about", "zeppelin"]);
    assert!(none.out.is_empty() && none.err.contains("no rule is like that"));
}

#[test]
fn rules_come_as_json_with_everything_about_each() {
    let rules = says(&["rules", "--format", "json"]).json();
    let rules = rules.as_array().expect("a list");
    assert_eq!(rules.len(), says(&["rules"]).out.lines().count());

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
fn explain_shows_what_check_says_about_the_example() {
    for (id, words) in [
        ("t06", "error[T06]: "),
        ("M05", "error[M05]: "),
        ("C04", "warning[C04]: "),
    ] {
        let said = says(&["explain", id]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(said.out.contains("`assemble check` says:"), "{}", said.out);
        assert!(said.out.contains(words), "{}", said.out);
        for part in ["refused:", "accepted:", "hint:", "source:"] {
            assert!(said.out.contains(part), "{part}: {}", said.out);
        }
    }

    let all = says(&["explain", "--all"]).out;
    let rules = says(&["rules"]).out;
    assert_eq!(all.matches("\naccepted:\n").count(), rules.lines().count());
}

#[test]
fn an_unknown_rule_is_met_with_the_nearest_one() {
    let said = says(&["explain", "T066"]);
    assert_eq!(said.code, Some(2));
    assert!(
        said.err
            .contains("there is no rule `T066`; did you mean `T06`?"),
        "{}",
        said.err
    );
}

#[test]
fn the_committed_page_is_the_one_the_rules_make() {
    let page = says(&["rules", "--format", "markdown"]).out;
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules.md");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&committed, &page).expect("the page can be written");
    }
    let committed = fs::read_to_string(committed).expect("docs/rules.md");
    assert!(
        committed == page,
        "run `assemble rules --format markdown > docs/rules.md`"
    );
}

#[test]
fn every_link_of_the_page_has_its_heading() {
    let page = says(&["rules", "--format", "markdown"]).out;
    let headings = page
        .lines()
        .filter_map(|line| line.strip_prefix("## ").or(line.strip_prefix("### ")));
    let headings: BTreeSet<String> = headings
        .map(|heading| {
            heading
                .to_lowercase()
                .replace([':', ','], "")
                .replace(' ', "-")
        })
        .collect();

    let links = page
        .split("](#")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let links: BTreeSet<String> = links.map(str::to_owned).collect();
    let missing: Vec<_> = links.difference(&headings).collect();

    assert!(missing.is_empty(), "{missing:?}");
    assert!(links.contains("t06") && links.contains("m22"));
}

#[test]
fn the_manual_has_a_page_for_every_verb() {
    let folder = Project::empty();
    let said = folder.assemble(&["man", "--into", "pages"]);
    assert_eq!(said.code, Some(0), "{}", said.err);

    for page in ["assemble.1", "assemble-check.1", "assemble-render.1"] {
        let text = folder.read(&format!("pages/{page}"));
        assert!(
            text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"),
            "{text}"
        );
    }

    let check = folder.assemble(&["man", "check"]).out;
    assert_eq!(check, folder.read("pages/assemble-check.1"));
    assert!(
        check.contains("silence") && check.contains("strict"),
        "{check}"
    );
    let typo = folder.assemble(&["man", "chekc"]);
    assert!(typo.err.contains("did you mean `check`?"), "{}", typo.err);
}

#[test]
fn completions_know_verbs_and_flags() {
    for shell in ["bash", "zsh", "fish"] {
        let script = says(&["completions", shell]).out;
        for word in ["render", "explain", "show-silenced", "sarif"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn bash_takes_the_completions_and_completes_a_verb() {
    let script = says(&["completions", "bash"]).out;
    let ask = "COMP_WORDS=(assemble exp); COMP_CWORD=1; _assemble assemble exp assemble; echo \"${COMPREPLY[@]}\"\n";
    let Ok(mut bash) = Command::new("bash")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
    else {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: bash_takes_the_completions_and_completes_a_verb needs bash"
        );
        return;
    };

    let mut input = bash.stdin.take().expect("a pipe");
    input
        .write_all(format!("{script}\n{ask}").as_bytes())
        .expect("bash reads");
    drop(input);
    let output = bash.wait_with_output().expect("bash ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "explain");
}
