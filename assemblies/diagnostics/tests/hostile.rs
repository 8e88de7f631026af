//! Hostile texts are rejected with the exceeded limit, without a panic.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use diagnostics::source::{Source, limits, parse};

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
