//! Random texts cause findings that point into the text, and no panic.

#![allow(clippy::panic, reason = "a panic fails the test")]

use diagnostics::source::Source;
use diagnostics::{Color, Finding, Location};
use ecs_rules::check;
use proptest::prelude::*;
use task_definition::read;

fn findings(text: &str) -> Vec<Finding> {
    match read(&Source::new("hostile.yaml", text)) {
        Ok(located) => check(&located),
        Err(findings) => findings,
    }
}

#[test]
fn findings_in_a_minified_text_hold_excerpts() {
    let container = r#"{"nam":"x","image":1},"#;
    let text = format!(
        r#"{{"family":"a","containerDefinitions":[{}]}}"#,
        container.repeat(5_000).trim_end_matches(',')
    );
    let findings = findings(&text);

    assert!(findings.len() >= 10_000);
    // Each finding would otherwise hold a copy of the only line, 110 KB.
    let rendered: usize = findings
        .iter()
        .map(|finding| finding.render(Color::No).len())
        .sum();
    assert!(rendered < 700 * findings.len(), "{rendered}");
    let Location::Text {
        column,
        excerpt_column,
        excerpt_line,
        ..
    } = &findings[9_000].location
    else {
        panic!("no location");
    };

    let offset = column - excerpt_column;
    assert!(
        excerpt_line.chars().count() > offset,
        "the excerpt does not contain the value"
    );
}

/// Asserts that every finding points into the text.
fn assert_locations_in_text(text: &str) -> Result<(), TestCaseError> {
    for finding in findings(text) {
        let _ = finding.render(Color::Yes);
        if let Location::Text {
            line,
            column,
            end_column,
            ..
        } = finding.location
        {
            let lines: Vec<&str> = text.split('\n').collect();
            prop_assert!(
                (1..=lines.len()).contains(&line),
                "line {line} of {}",
                lines.len()
            );
            let width = lines[line - 1].chars().count();

            prop_assert!(column <= width + 1, "column {column} of {width}");
            prop_assert!(column < end_column);
        }
    }

    Ok(())
}

const VALID: &str = include_str!("hostile/valid.yaml");

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn accepts_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        assert_locations_in_text(&String::from_utf8_lossy(&bytes))?;
    }

    #[test]
    fn accepts_random_yaml_tokens(words in proptest::collection::vec(token(), 0..60)) {
        assert_locations_in_text(&words.concat())?;
    }

    #[test]
    fn accepts_a_definition_with_a_part_cut_out_or_moved(
        from in 0..VALID.len(), length in 0_usize..80, to in 0..VALID.len(), what in token(),
    ) {
        // Offsets are random bytes; slices must be at character boundaries.
        let boundary = |at: usize| (0..=at).rev().find(|at| VALID.is_char_boundary(*at)).unwrap_or(0);
        let (from, to) = (boundary(from), boundary(to));
        let end = boundary((from + length).min(VALID.len())).max(from);
        let without = format!("{}{what}{}", &VALID[..from], &VALID[end..]);
        assert_locations_in_text(&without)?;
        assert_locations_in_text(&format!("{}{}{}", &VALID[..to], &VALID[from..end], &VALID[to..]))?;
    }
}

/// Generates tokens of YAML and words of task definitions.
fn token() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "\n",
        "\n  ",
        "\n    ",
        " ",
        "- ",
        ": ",
        "? ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "&a ",
        "*a",
        "!!str ",
        "!x ",
        "| ",
        "> ",
        "'",
        "\"",
        "\\",
        "#",
        "%YAML 1.2\n",
        "---\n",
        "...\n",
        "<<: ",
        "\t",
        "\r",
        "\r\n",
        "\u{feff}",
        "é",
        "\u{0}",
        "family",
        "containerDefinitions",
        "name",
        "image",
        "cpu",
        "memory",
        "portMappings",
        "containerPort",
        "healthCheck",
        "command",
        "environment",
        "dependsOn",
        "volumes",
        "1",
        "-1",
        "1e999",
        "0x",
        "null",
        "true",
        "~",
        "99999999999999999999",
        "app:latest",
        "${x}",
        "<role>",
        "arn:aws:iam::1:role/x",
    ])
    .prop_map(str::to_owned)
}
