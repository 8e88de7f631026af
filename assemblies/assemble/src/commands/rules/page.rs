//! The page with all rules, `docs/rules.md`.

use std::fmt::Write as _;

use task_definition::Color;

use super::Row;

/// A table of all, then a section each, in groups by the letter.
pub(super) fn write(rules: &[Row]) -> String {
    let mut page = HEAD.to_owned();
    let mut letters: Vec<char> = rules.iter().filter_map(letter).collect();
    letters.dedup();

    for letter in &letters {
        let _ = writeln!(
            page,
            "- [{letter}: {}](#{})",
            group(*letter),
            anchor(*letter)
        );
    }

    for letter in letters {
        let _ = write!(page, "\n## {letter}: {}\n\n", group(letter));
        page += "| rule | severity | says |\n|---|---|---|\n";
        let of_letter = || rules.iter().filter(|rule| rule.id.starts_with(letter));
        for rule in of_letter() {
            let (id, severity) = (rule.id, rule.severity.word());
            let _ = writeln!(
                page,
                "| [{id}](#{}) | {severity} | {} |",
                id.to_lowercase(),
                rule.title
            );
        }

        for rule in of_letter() {
            page += &section(rule);
        }
    }

    page
}

fn section(rule: &Row) -> String {
    let (id, severity, title) = (rule.id, rule.severity.word(), rule.title);
    let found = rule.found();
    let mended = Row::mended(&found);
    let found: Vec<String> = found.iter().map(|one| one.render(Color::No)).collect();
    let says = rule.markdown(&found.join("\n"));
    let mended = mended.map(|title| format!("\n`check --fix` mends it: {title}.\n"));
    let mended = mended.unwrap_or_default();
    format!("\n### {id}\n\n**{title}** ({severity})\n\n{says}{mended}")
}

fn letter(rule: &Row) -> Option<char> {
    rule.id.chars().next()
}

/// GitHub makes an anchor of a heading: small letters, no colon, `-` for a space.
fn anchor(letter: char) -> String {
    let heading = format!("{letter}: {}", group(letter)).to_lowercase();
    heading.replace([':', ','], "").replace(' ', "-")
}

/// What a letter stands for.
fn group(letter: char) -> &'static str {
    match letter {
        'C' => "containers",
        'D' => "dependencies",
        'F' => "starting and stopping",
        'H' => "health checks and time limits",
        'L' => "logs",
        'M' => "manifests and components",
        'P' => "ports",
        'Q' => "services and requests to run a task",
        'R' => "cpu and memory of containers",
        'S' => "secrets",
        'T' => "the task",
        'V' => "volumes",
        'X' => "Linux and the network",
        'Y' => "the text",
        _ => "more rules",
    }
}

const HEAD: &str = "\
# Rules

Made by `assemble rules --format markdown` from the rules themselves; never edited by hand. Each example of a refused
file breaks its rule and no other, each accepted one breaks none, which tests hold them to.

`assemble explain T06` prints one of these. How to silence, lower or raise one, with a reason, stands in
[the command's README](../assemblies/assemble/README.md).

";
