//! No damaged text makes reading, checking or drawing panic.

use task_definition::source::Source;
use task_definition::{Color, check, normalise, read, rules};

fn survive(text: &str) -> usize {
    let source = Source::new("damaged", text);
    let findings = match read(&source) {
        Ok(located) => {
            normalise(&located.definition);
            check(&located)
        }
        Err(findings) => findings,
    };
    findings
        .iter()
        .map(|finding| finding.render(Color::Yes).len())
        .sum()
}

#[test]
fn survives_cuts_and_lost_characters() {
    let mut drawn = 0;
    for text in rules()
        .iter()
        .map(|rule| rule.failing)
        .filter(|text| text.len() < 600)
    {
        for (at, lost) in text.char_indices().step_by(3) {
            drawn += survive(&text[..at]);
            drawn += survive(&format!("{}{}", &text[..at], &text[at + lost.len_utf8()..]));
        }
    }
    assert!(drawn > 300_000, "hardly anything was refused: {drawn}");
}

#[test]
fn survives_every_value_replaced_by_another_kind() {
    for text in rules()
        .iter()
        .map(|rule| rule.failing)
        .filter(|text| text.len() < 600)
    {
        for (at, _) in text.char_indices().filter(|(_, one)| *one == ':') {
            for value in [
                "null",
                "true",
                "-1",
                "99999999999999999999",
                "1e999",
                "\"é\\u0000\"",
                "[]",
                "{}",
            ] {
                let rest = &text[at..];
                let end = rest.find([',', '}', ']']).unwrap_or(rest.len());
                survive(&format!("{}: {value}{}", &text[..at], &rest[end..]));
            }
        }
    }
}

#[test]
fn survives_sums_that_no_number_holds() {
    let one = |name: &str, after: &str| {
        format!(
            r#"{{ "name": "{name}", "image": "app:1", "cpu": 4294967295, "memory": 4294967295,
            "stopTimeout": 4294967295, "startTimeout": 4294967295, "dependsOn": [{after}],
            "healthCheck": {{ "command": ["CMD", "/a"], "interval": 4294967295, "retries": 4294967295,
            "startPeriod": 4294967295 }} }}"#
        )
    };
    let after = r#"{ "containerName": "a", "condition": "HEALTHY" }"#;
    for size in ["", r#""cpu": "4294967295", "memory": "4294967295","#] {
        let text = format!(
            r#"{{ "family": "web", "requiresCompatibilities": ["FARGATE"], {size}
            "containerDefinitions": [{}, {}] }}"#,
            one("a", ""),
            one("b", after)
        );
        assert!(survive(&text) > 1000);
    }
}
