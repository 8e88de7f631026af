//! Reading texts: nodes, definitions, and all findings together with their locations.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use diagnostics::source::{NodeValue, Source, parse};
use diagnostics::{Color, Finding, Location, Severity};
use ecs_rules::check;
use task_definition::read;

fn read_errors(text: &str) -> Vec<Finding> {
    read(&Source::new("task.json", text)).unwrap_err()
}

fn ids(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.rule).collect()
}

#[test]
fn reports_all_wrong_types_and_unknown_names_together() {
    let findings = read_errors(
        r#"{
  "family": "web",
  "cpu": 256,
  "memry": "512",
  "containerDefinitions": [
    {
      "name": "app", "image": "app:1",
      "cpu": "64",
      "essential": "true",
      "command": "serve",
      "environment": { "PORT": "8080" },
      "dependsOn": [{ "containerName": "app", "condition": "HEALTY" }],
      "secrets": [{ "name": "KEY" }],
      "stopTimeout": -1,
      "logConfiguration": null
    }
  ]
}"#,
    );

    let messages: Vec<_> = findings
        .iter()
        .map(|finding| {
            let Location::Text { line, column, .. } = &finding.location else {
                panic!("{finding:?}")
            };
            format!(
                "{} {line}:{column} {} ({})",
                finding.rule, finding.message, finding.hint
            )
        })
        .collect();

    assert_eq!(
        messages,
        [
            "C06 3:10 `cpu` must be a string, not a number (write \"256\", with quotes)",
            "C05 4:3 the task definition has no field `memry` (did you mean `memory`?)",
            "C06 8:14 `cpu` must be a non-negative integer, not a string (write 64, without quotes)",
            "C06 9:20 `essential` must be true or false, not a string (write true, without quotes)",
            "C06 10:18 `command` must be a list, not a string (write [\"serve\"])",
            "C06 11:22 `environment` must be a list, not a map (put the map into a list: [{…}])",
            "D05 12:60 `HEALTY` is not a condition; ECS accepts START, COMPLETE, SUCCESS, HEALTHY (write `HEALTHY`)",
            "C06 13:19 `secrets` needs `valueFrom` (add \"valueFrom\": \"…\")",
            "C06 14:22 `stopTimeout` must be a non-negative integer, not -1 (write a non-negative integer)",
            "C06 15:27 `logConfiguration` must be a map, not null (leave the field out; ECS does not accept null)",
        ]
    );
}

#[test]
fn reads_yaml_and_json_alike() {
    // `no` and `22:22` are strings in the YAML 1.2 core schema; YAML 1.1 reads a boolean and a number.
    let yaml = "family: web\ncontainerDefinitions:\n  - name: app\n    image: app:1\n    memory: 128\n    \
                environment:\n      - { name: COUNTRY, value: no }\n      - { name: TIME, value: 22:22 }\n";
    let json = r#"{"family":"web","containerDefinitions":[{"name":"app","image":"app:1","memory":128,
        "environment":[{"name":"COUNTRY","value":"no"},{"name":"TIME","value":"22:22"}]}]}"#;
    let from_yaml = read(&Source::new("a.yaml", yaml)).unwrap();
    let from_json = read(&Source::new("a.json", json)).unwrap();
    assert_eq!(from_yaml.definition, from_json.definition);
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
fn drops_response_only_fields() {
    let text = r#"{ "taskDefinition": {
        "taskDefinitionArn": "arn:aws:ecs:eu-central-1:111122223333:task-definition/web:3", "revision": 3,
        "status": "ACTIVE", "compatibilities": ["EC2"], "requiresAttributes": [{ "name": "x" }],
        "registeredAt": 1700000000.5, "registeredBy": "me",
        "family": "web", "containerDefinitions": [] }, "tags": [{ "key": "team", "value": "payments" }] }"#;
    let definition = read(&Source::new("answer.json", text)).unwrap().definition;
    let expected =
        serde_json::json!({ "family": "web", "tags": [{ "key": "team", "value": "payments" }] });
    assert_eq!(serde_json::to_value(definition).unwrap(), expected);
}

#[test]
fn reports_duplicate_keys() {
    let findings = read_errors("{\n  \"family\": \"a\",\n  \"family\": \"b\"\n}");
    assert_eq!(ids(&findings), ["Y02"]);
    assert_eq!(
        findings[0].message,
        "duplicate key `family`; the first is on line 2"
    );
}

#[test]
fn points_to_a_syntax_error() {
    let findings = read_errors("{\n  \"family\": \"web\"\n  \"cpu\": \"256\"\n}");
    assert_eq!(ids(&findings), ["Y01"]);
    assert!(
        matches!(findings[0].location, Location::Text { line: 2..=3, .. }),
        "{:?}",
        findings[0]
    );
}

#[test]
fn rejects_a_second_document_and_exponential_aliases() {
    assert_eq!(ids(&read_errors("family: a\n---\nfamily: b\n")), ["Y01"]);
    // Ten levels of ten aliases are ten billion values.
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let inner = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb = format!("{bomb}a{level}: &a{level} [{inner}]\n");
    }
    assert_eq!(ids(&read_errors(&bomb)), ["Y01"]);
}

#[test]
fn rejects_an_empty_text_and_a_list() {
    assert_eq!(ids(&read_errors("")), ["C06"]);
    assert_eq!(ids(&read_errors("[]")), ["C06"]);
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
fn renders_a_caret_under_the_value() {
    // Tabs are expanded to four spaces, so the caret stays under its value.
    let text = "{\n\t\"family\": \"web\", \"requiresCompatibilities\": [\"FARGATE\"], \"networkMode\": \"awsvpc\",\n\
                \t\"cpu\": \"512\",\n\t\"memory\": \"1500\",\n\
                \t\"containerDefinitions\": [{ \"name\": \"app\", \"image\": \"app:1\" }]\n}";
    let located = read(&Source::new("task.json", text)).unwrap();
    let findings = check(&located);

    assert_eq!(
        findings
            .iter()
            .map(|finding| finding.render(Color::No))
            .collect::<String>(),
        "error[T06]: 512 CPU units with 1500 MiB is not a Fargate size
 --> task.json:4:12
  |
4 |     \"memory\": \"1500\",
  |               ^^^^^^
  = value: /memory
  = hint: choose 512 / 2048 or 512 / 1024
  = source: ECS developer guide, task CPU and memory; cfn-lint E3047
"
    );

    assert!(
        findings[0]
            .render(Color::Yes)
            .contains("\u{1b}[1;31merror[T06]\u{1b}[0m")
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
fn recognizes_a_cloudformation_template() {
    let findings = read_errors("Resources:\n  Task:\n    Type: AWS::ECS::TaskDefinition\n");
    assert_eq!(ids(&findings), ["C05"]);
    assert!(
        findings[0].message.contains("CloudFormation template"),
        "{:?}",
        findings[0]
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
    let findings = read_errors(
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
