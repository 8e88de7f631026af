//! Parsing texts: nodes with spans, and findings with their locations.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use diagnostics::source::{NodeValue, Source, parse};
use diagnostics::{Color, Finding, Location, Severity};

fn parse_errors(text: &str) -> Vec<Finding> {
    parse(&Source::new("task.json", text)).unwrap_err()
}

fn ids(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.rule).collect()
}

#[test]
fn reads_json_with_a_bom_crlf_tabs_and_escapes() {
    // The YAML parser must accept JSON's escapes, surrogate pairs included.
    let text = "\u{feff}{\r\n\t\"family\": \"a\\/b \\u00e9 \\ud83d\\ude00\",\r\n\t\"containerDefinitions\":[]\r\n}";
    let node = parse(&Source::new("task.json", text)).unwrap();
    assert_eq!(
        node.get("family").and_then(|node| node.text()),
        Some("a/b é 😀")
    );
}

#[test]
fn reports_duplicate_keys() {
    let findings = parse_errors("{\n  \"family\": \"a\",\n  \"family\": \"b\"\n}");
    assert_eq!(ids(&findings), ["Y02"]);
    assert_eq!(
        findings[0].message,
        "duplicate key `family`; the first is on line 2"
    );
}

#[test]
fn points_to_a_syntax_error() {
    let findings = parse_errors("{\n  \"family\": \"web\"\n  \"cpu\": \"256\"\n}");
    assert_eq!(ids(&findings), ["Y01"]);
    assert!(
        matches!(findings[0].location, Location::Text { line: 2..=3, .. }),
        "{:?}",
        findings[0]
    );
}

#[test]
fn rejects_a_second_document_and_exponential_aliases() {
    assert_eq!(ids(&parse_errors("family: a\n---\nfamily: b\n")), ["Y01"]);
    // Ten levels of ten aliases are ten billion values.
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let inner = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb = format!("{bomb}a{level}: &a{level} [{inner}]\n");
    }
    assert_eq!(ids(&parse_errors(&bomb)), ["Y01"]);
}

#[test]
fn keeps_the_span_of_every_value() {
    let source = Source::new("a.yaml", "list:\n  - one\n  - key: 'two'\n");
    let node = parse(&source).unwrap();
    let two = node.at("/list/1/key").unwrap();
    assert_eq!(two.value, NodeValue::Text("two".to_owned()));
    assert_eq!(source.excerpt(two.span), "'two'");
    assert_eq!(source.excerpt(node.at("/list/0").unwrap().span), "one");
    assert!(node.at("/list/2").is_none());

    assert_eq!(
        node.to_json(),
        serde_json::json!({ "list": ["one", { "key": "two" }] })
    );
}

#[test]
fn renders_the_derivation_of_a_value() {
    let source = Source::new("web.yaml", "app: web\n");
    let node = parse(&source).unwrap();
    let manifest = Location::from_span(&source, node.get("app").unwrap().span);
    let finding = Finding {
        rule: "P03",
        severity: Severity::Error,
        location: Location::from_derivation(
            "port 8080, given to web because it is the app",
            Some(manifest),
        ),
        pointer: None,
        message: "8080/tcp is taken".to_owned(),
        hint: "give it another port".to_owned(),
        source: None,
        fix: None,
    };

    let text = finding.render(Color::No);
    assert!(
        text.contains(" --> derived: port 8080, given to web because it is the app\n"),
        "{text}"
    );

    assert!(
        text.contains(" --> web.yaml:1:6\n  |\n1 | app: web\n  |      ^^^\n"),
        "{text}"
    );
}

#[test]
fn expands_the_short_tags_of_cloudformation() {
    // `!other` is not a function of CloudFormation, so its value is read without the tag.
    let text = "a: !Ref Name\nb: !GetAtt Role.Arn\nc: !Join\n  - ''\n  - [x, !Ref Name]\nd: !Sub '${Name}'\ne: !If [On, 1, 2]\nf: !Sub 12\ng: !other 12\n";
    let node = parse(&Source::new("template.yaml", text)).unwrap();
    assert_eq!(
        node.to_json(),
        serde_json::json!({
            "a": { "Ref": "Name" },
            "b": { "Fn::GetAtt": "Role.Arn" },
            "c": { "Fn::Join": ["", ["x", { "Ref": "Name" }]] },
            "d": { "Fn::Sub": "${Name}" },
            "e": { "Fn::If": ["On", 1, 2] },
            "f": { "Fn::Sub": "12" },
            "g": 12,
        })
    );
}

#[test]
fn reports_an_unquoted_placeholder() {
    // `{{cpu}}` parses as a map with a map as its key.
    let findings = parse_errors(
        r#"{ "family": "web", "cpu": {{cpu}}, "containerDefinitions": [{ "memory": {{ memory }} }] }"#,
    );
    let messages: Vec<_> = findings
        .iter()
        .map(|finding| finding.message.as_str())
        .collect();

    assert_eq!(
        messages,
        [
            "`{{cpu}}` is a placeholder: fill it in",
            "`{{ memory }}` is a placeholder: fill it in"
        ]
    );
}
