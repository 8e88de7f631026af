//! No damaged text makes reading, checking or drawing panic.

use serde_json::Value;
use task_definition::forms::judge;
use task_definition::source::{Source, parse};
use task_definition::{Color, Edit, Fix, check, mend, normalise, read, rules};

fn survive(text: &str) -> usize {
    let source = Source::new("damaged", text);
    let findings = match read(&source) {
        Ok(located) => {
            normalise(&located.definition);
            check(&located)
        }
        Err(findings) => findings,
    };

    let fixes: Vec<_> = findings.iter().filter_map(|one| one.fix.clone()).collect();
    if !fixes.is_empty() {
        // Nothing panics, and only an alias can be in the way.
        let mended = mend(&source, &fixes).is_ok();
        assert!(mended || text.contains('*'), "{text}");
    }

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

#[test]
fn survives_every_value_taken_away_or_replaced_wherever_it_is_written() {
    let texts = [
        "a: &x { b: [1, 2] }\nc: *x\nd:\n  - *x\n  - &y\n    e: é\n  - f: *y\n",
        "- - a\n  - b\n- {c: d, e: }\n-\n  g: |\n    text\n\n    more\n-\n",
        "? a\n: b\n\"c d\" :   e # end",
        "{a: [b, ], \"c\": {}, }",
        "\u{feff}a:\r\n- b\r\n- c: >-\r\n    d\r\n",
        "--- # start\na: b\n...\n",
    ];

    let mut mended = 0;
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
                mended += usize::from(mend(&source, &[Fix { title, edits }]).is_ok());
            }
        }
    }

    assert!(mended > 50, "only {mended} could be mended");
}

fn walk(value: &Value, at: &str, all: &mut Vec<String>) {
    let each: Vec<(String, &Value)> = match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, one)| (index.to_string(), one))
            .collect(),
        Value::Object(members) => members
            .iter()
            .map(|(key, one)| (key.clone(), one))
            .collect(),
        _ => Vec::new(),
    };

    for (step, one) in each {
        all.push(format!("{at}/{step}"));
        walk(one, &format!("{at}/{step}"), all);
    }
}

/// A template with a function of every kind.
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
fn survives_damaged_templates() {
    let mut found = 0;
    for (at, lost) in TEMPLATE.char_indices().step_by(3) {
        let cut = &TEMPLATE[..at];
        let without = format!("{cut}{}", &TEMPLATE[at + lost.len_utf8()..]);
        let turned = format!("{cut}[{}", &TEMPLATE[at + lost.len_utf8()..]);
        for text in [cut, &without, &turned] {
            found += judge(&Source::new("damaged", text)).len();
        }
    }
    assert!(found > 300, "hardly anything was refused: {found}");
}
