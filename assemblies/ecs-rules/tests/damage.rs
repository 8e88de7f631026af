//! Damaged texts never make reading, checking or rendering panic.

use diagnostics::source::{Source, parse};
use diagnostics::{Color, Edit, Fix};
use ecs_rules::inputs::check_input;
use ecs_rules::{Rule, check, rules};
use serde_json::Value;
use task_definition::{apply_fixes, normalise, read};

/// Reads, checks, fixes and renders a text, and returns the length of the rendered findings.
fn process(text: &str) -> usize {
    let source = Source::new("damaged", text);
    let findings = match read(&source) {
        Ok(located) => {
            normalise(&located.definition);
            check(&located)
        }
        Err(findings) => findings,
    };

    let fixes: Vec<_> = findings
        .iter()
        .filter_map(|finding| finding.fix.clone())
        .collect();
    if !fixes.is_empty() {
        // Only an alias, written with `*`, may prevent a fix.
        let is_fixed = apply_fixes(&source, &fixes).is_ok();
        assert!(is_fixed || text.contains('*'), "{text}");
    }

    findings
        .iter()
        .map(|finding| finding.render(Color::Yes).len())
        .sum()
}

#[test]
fn handles_truncated_texts_and_missing_characters() {
    let mut rendered = 0;
    // Larger cases add time, not kinds of damage.
    for text in rules()
        .iter()
        .map(Rule::failing_document)
        .filter(|text| text.len() < 600)
    {
        for (at, removed) in text.char_indices().step_by(3) {
            rendered += process(&text[..at]);
            rendered += process(&format!(
                "{}{}",
                &text[..at],
                &text[at + removed.len_utf8()..]
            ));
        }
    }

    // A guard against damage that is never noticed.
    assert!(rendered > 300_000, "few findings: {rendered} bytes");
}

#[test]
fn handles_every_value_replaced_by_another_type() {
    for text in rules()
        .iter()
        .map(Rule::failing_document)
        .filter(|text| text.len() < 600)
    {
        for (at, _) in text.char_indices().filter(|(_, c)| *c == ':') {
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
                process(&format!("{}: {value}{}", &text[..at], &rest[end..]));
            }
        }
    }
}

#[test]
fn handles_sums_that_overflow() {
    // Every number is u32::MAX, so any unchecked addition or multiplication panics in a debug build.
    let container = |name: &str, after: &str| {
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
            container("a", ""),
            container("b", after)
        );
        assert!(process(&text) > 1000);
    }
}

#[test]
fn handles_edits_of_every_value_in_unusual_layouts() {
    // Anchors, nested lists on one line, complex keys, omitted values, a BOM with CRLF, document markers.
    let texts = [
        "a: &x { b: [1, 2] }\nc: *x\nd:\n  - *x\n  - &y\n    e: é\n  - f: *y\n",
        "- - a\n  - b\n- {c: d, e: }\n-\n  g: |\n    text\n\n    more\n-\n",
        "? a\n: b\n\"c d\" :   e # end",
        "{a: [b, ], \"c\": {}, }",
        "\u{feff}a:\r\n- b\r\n- c: >-\r\n    d\r\n",
        "--- # start\na: b\n...\n",
    ];

    let mut fixed = 0;
    for text in texts {
        let source = Source::new("odd", text);
        let node = parse(&source).unwrap_or_else(|_| panic!("{text}"));
        let mut pointers = vec![String::new()];
        walk(&node.to_json(), "", &mut pointers);

        for pointer in pointers {
            let value = serde_json::json!({ "new": ["x: y", 1] });
            for edit in [
                Edit::Remove(pointer.clone()),
                Edit::Set(pointer.clone(), value.clone()),
                Edit::Set(format!("{pointer}/9"), value.clone()),
            ] {
                let title = "change it".to_owned();
                let edits = vec![edit];
                fixed += usize::from(apply_fixes(&source, &[Fix { title, edits }]).is_ok());
            }
        }
    }

    assert!(fixed > 50, "only {fixed} edits were applied");
}

fn walk(value: &Value, at: &str, all: &mut Vec<String>) {
    let each: Vec<(String, &Value)> = match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| (index.to_string(), item))
            .collect(),
        Value::Object(members) => members
            .iter()
            .map(|(key, member)| (key.clone(), member))
            .collect(),
        _ => Vec::new(),
    };

    for (step, child) in each {
        all.push(format!("{at}/{step}"));
        walk(child, &format!("{at}/{step}"), all);
    }
}

/// A template with every supported function.
const TEMPLATE: &str = "Parameters: { Env: { Type: String, Default: dev } }
Mappings: { M: { dev: { Cpu: 256 } } }
Conditions: { A: !Or [!Equals [!Ref Env, dev], !Not [Condition: B]], B: !And [!Condition A, !Condition B] }
Resources:
  T:
    Type: AWS::ECS::TaskDefinition
    Condition: A
    Properties:
      Cpu: !FindInMap [M, !Ref Env, Cpu]
      Memory: !Select [1, !Split [',', '1,512']]
      ContainerDefinitions:
        - { Name: !Join ['-', [a, !Ref Env]], Image: !Sub ['${X}:${!Y}', { X: !Ref Z }] }
        - !If [B, { Name: b, Image: b, Memory: !GetAtt Q.R }, !Ref AWS::NoValue]
  S: { Type: AWS::ECS::Service, Properties: { TaskDefinition: !Ref T, LaunchType: FARGATE } }
";

#[test]
fn handles_damaged_templates() {
    let mut found = 0;
    for (at, removed) in TEMPLATE.char_indices().step_by(3) {
        let cut = &TEMPLATE[..at];
        let without = format!("{cut}{}", &TEMPLATE[at + removed.len_utf8()..]);
        // An unclosed bracket turns the rest of the text into a flow list.
        let unclosed = format!("{cut}[{}", &TEMPLATE[at + removed.len_utf8()..]);
        for text in [cut, &without, &unclosed] {
            found += check_input(&Source::new("damaged", text)).len();
        }
    }
    assert!(found > 300, "few findings: {found}");
}
