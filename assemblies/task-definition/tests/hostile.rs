//! Texts that were written to hurt, or by nobody: refused with the limit named, and never a panic.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::panic, reason = "a test that cannot go on fails")]

use proptest::prelude::*;
use task_definition::source::{Source, limits, parse};
use task_definition::{Color, Finding, Place, check, read};

fn findings(text: &str) -> Vec<Finding> {
    match read(&Source::new("hostile.yaml", text)) {
        Ok(located) => check(&located),
        Err(findings) => findings,
    }
}

/// What is said of a text that passes one limit and does nothing else wrong.
fn refusal(text: &str) -> String {
    let findings = parse(&Source::new("hostile.yaml", text)).unwrap_err();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].rule, "Y01");
    findings[0].message.clone()
}

#[test]
fn a_long_text_is_refused_with_its_length() {
    let text = "#".repeat(limits::BYTES as usize + 1);
    assert_eq!(
        refusal(&text),
        "the file has 1,048,577 bytes; the limit is 1,048,576"
    );
}

#[test]
fn deep_nesting_is_refused_in_every_style() {
    let deep = limits::DEPTH * 100;
    for text in [
        "[".repeat(deep),
        "{a: ".repeat(deep),
        "- ".repeat(deep),
        "[{a: ".repeat(deep),
    ] {
        assert!(refusal(&text).contains("the limit is 64"), "{}", &text[..8]);
    }

    let lines: Vec<String> = (0..900).map(|one| " ".repeat(one) + "a:\n").collect();
    let block = lines.concat();
    assert!(refusal(&block).contains("the limit is 64"));
}

#[test]
fn what_is_just_deep_enough_is_read() {
    let text = format!("{}{}", "[".repeat(limits::DEPTH), "]".repeat(limits::DEPTH));
    assert!(parse(&Source::new("deep.yaml", text)).is_ok());
}

#[test]
fn aliases_that_grow_without_end_are_refused() {
    let level = |one: usize| format!("a{one}: &a{one} [*a{0}, *a{0}]\n", one - 1);
    let levels: Vec<String> = (1..40).map(level).collect();
    let bomb = format!("a0: &a0 [x, x]\n{}", levels.concat());
    assert!(
        refusal(&bomb).contains("the limit of 100,000"),
        "{}",
        refusal(&bomb)
    );
}

#[test]
fn an_alias_of_a_long_text_is_refused_before_it_fills_the_memory() {
    let bomb = format!(
        "a: &a {}\nb: [{}]\n",
        "x".repeat(400_000),
        "*a, ".repeat(50_000)
    );
    assert!(
        refusal(&bomb).contains("4,194,304 bytes"),
        "{}",
        refusal(&bomb)
    );
}

#[test]
fn an_alias_inside_of_its_own_anchor_is_refused() {
    assert!(refusal("a: &a [*a]\n").contains("inside of what it stands for"));
}

#[test]
fn more_values_than_the_limit_are_refused() {
    let text = format!("[{}]", "1,".repeat(limits::VALUES + 1));
    assert!(refusal(&text).contains("the limit of 100,000"));
}

#[test]
fn a_long_key_is_refused() {
    let text = format!("? {}\n: 1\n", "k".repeat(limits::KEY + 1));
    assert_eq!(refusal(&text), "a key has 1,025 bytes; the limit is 1,024");
}

#[test]
fn a_minified_text_is_not_kept_once_for_every_finding() {
    let container = r#"{"nam":"x","image":1},"#;
    let text = format!(
        r#"{{"family":"a","containerDefinitions":[{}]}}"#,
        container.repeat(5_000).trim_end_matches(',')
    );
    let findings = findings(&text);

    assert!(findings.len() >= 10_000);
    let kept: usize = findings.iter().map(|one| one.render(Color::No).len()).sum();
    assert!(kept < 700 * findings.len(), "{kept}");
    let Place::Text {
        column,
        excerpt_column,
        excerpt_line,
        ..
    } = &findings[9_000].place
    else {
        panic!("no place");
    };

    let at = column - excerpt_column;
    assert!(excerpt_line.chars().count() > at, "the value is not shown");
}

/// Every finding of any text points into the text.
fn holds_its_places(text: &str) -> Result<(), TestCaseError> {
    for finding in findings(text) {
        let _ = finding.render(Color::Yes);
        if let Place::Text {
            line,
            column,
            end_column,
            ..
        } = finding.place
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
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        holds_its_places(&String::from_utf8_lossy(&bytes))?;
    }

    #[test]
    fn anything_like_yaml_is_survived(words in proptest::collection::vec(word(), 0..60)) {
        holds_its_places(&words.concat())?;
    }

    #[test]
    fn a_definition_with_a_part_cut_out_or_put_elsewhere_is_survived(
        from in 0..VALID.len(), length in 0_usize..80, to in 0..VALID.len(), what in word(),
    ) {
        let boundary = |at: usize| (0..=at).rev().find(|at| VALID.is_char_boundary(*at)).unwrap_or(0);
        let (from, to) = (boundary(from), boundary(to));
        let end = boundary((from + length).min(VALID.len())).max(from);
        let without = format!("{}{what}{}", &VALID[..from], &VALID[end..]);
        holds_its_places(&without)?;
        holds_its_places(&format!("{}{}{}", &VALID[..to], &VALID[from..end], &VALID[to..]))?;
    }
}

/// What YAML is made of, and the words of a task definition.
fn word() -> impl Strategy<Value = String> {
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
