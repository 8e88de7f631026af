//! The table of rules in the README is made from the rules; BLESS=1 writes it.

#![allow(clippy::unwrap_used, reason = "tests may fail loudly")]

use std::fmt::Write as _;
use std::path::Path;

use task_definition::rules;

#[test]
fn the_readme_lists_every_rule() {
    let mut table = "| id | severity | rule |\n|---|---|---|\n".to_owned();
    for rule in rules() {
        let _ = writeln!(
            table,
            "| {} | {} | {} |",
            rule.id,
            rule.severity.word(),
            rule.title
        );
    }

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (start, end) = (
        "<!-- rules: made by tests/readme.rs -->\n",
        "<!-- end of rules -->",
    );
    let (head, rest) = text.split_once(start).unwrap();
    let (old, tail) = rest.split_once(end).unwrap();

    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, format!("{head}{start}{table}{end}{tail}")).unwrap();
        return;
    }

    assert!(
        old == table,
        "README.md lists other rules; BLESS=1 writes the table"
    );
}
