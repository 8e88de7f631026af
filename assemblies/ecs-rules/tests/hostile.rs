//! Hostile and random texts are rejected with the exceeded limit, without a panic.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]
#![allow(clippy::panic, reason = "a panic fails the test")]

use diagnostics::source::{Source, limits, parse};
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

/// Returns the message for a text that exceeds one limit and has no other fault.
fn rejection(text: &str) -> String {
    let findings = parse(&Source::new("hostile.yaml", text)).unwrap_err();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].rule, "Y01");
    findings[0].message.clone()
}

#[test]
fn rejects_a_long_text_with_its_length() {
    let text = "#".repeat(limits::BYTES as usize + 1);
    assert_eq!(
        rejection(&text),
        "the file has 1,048,577 bytes; the limit is 1,048,576"
    );
}

#[test]
fn rejects_deep_nesting_in_every_style() {
    let deep = limits::DEPTH * 100;
    for text in [
        "[".repeat(deep),
        "{a: ".repeat(deep),
        "- ".repeat(deep),
        "[{a: ".repeat(deep),
    ] {
        assert!(
            rejection(&text).contains("the limit is 64"),
            "{}",
            &text[..8]
        );
    }

    // Block style nests by indentation, which the parser limits separately.
    let lines: Vec<String> = (0..900).map(|depth| " ".repeat(depth) + "a:\n").collect();
    let block = lines.concat();
    assert!(rejection(&block).contains("the limit is 64"));
}

#[test]
fn reads_nesting_up_to_the_limit() {
    let text = format!("{}{}", "[".repeat(limits::DEPTH), "]".repeat(limits::DEPTH));
    assert!(parse(&Source::new("deep.yaml", text)).is_ok());
}

#[test]
fn rejects_exponential_aliases() {
    // The "billion laughs" pattern: each level repeats the previous one twice.
    let level = |index: usize| format!("a{index}: &a{index} [*a{0}, *a{0}]\n", index - 1);
    let levels: Vec<String> = (1..40).map(level).collect();
    let bomb = format!("a0: &a0 [x, x]\n{}", levels.concat());
    assert!(
        rejection(&bomb).contains("the limit of 100,000"),
        "{}",
        rejection(&bomb)
    );
}

#[test]
fn rejects_many_aliases_of_a_long_text() {
    // Few values, but 20 GB of text if every alias were expanded.
    let bomb = format!(
        "a: &a {}\nb: [{}]\n",
        "x".repeat(400_000),
        "*a, ".repeat(50_000)
    );
    assert!(
        rejection(&bomb).contains("4,194,304 bytes"),
        "{}",
        rejection(&bomb)
    );
}

#[test]
fn rejects_an_alias_inside_its_own_anchor() {
    assert!(rejection("a: &a [*a]\n").contains("inside its own anchor"));
}

#[test]
fn rejects_more_values_than_the_limit() {
    let text = format!("[{}]", "1,".repeat(limits::VALUES + 1));
    assert!(rejection(&text).contains("the limit of 100,000"));
}

#[test]
fn rejects_a_long_key() {
    let text = format!("? {}\n: 1\n", "k".repeat(limits::KEY + 1));
    assert_eq!(
        rejection(&text),
        "a key has 1,025 bytes; the limit is 1,024"
    );
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
