//! Reading definitions: the types, and all findings together with their locations.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]
#![allow(clippy::panic, reason = "a panic fails the test")]

use diagnostics::source::Source;
use diagnostics::{Edit, Finding, Fix, Location, LocationMap};
use serde_json::json;
use task_definition::{apply_fixes, read, read_value};

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
fn rejects_an_empty_text_and_a_list() {
    assert_eq!(ids(&read_errors("")), ["C06"]);
    assert_eq!(ids(&read_errors("[]")), ["C06"]);
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
fn fixes_the_definition_inside_a_describe_response() {
    let text = r#"{ "taskDefinition": { "family": "web", "cpu": "1" }, "tags": [] }"#;
    let fix = Fix {
        title: "change it".to_owned(),
        edits: vec![Edit::Set("/cpu".to_owned(), json!("256"))],
    };
    let done = apply_fixes(&Source::new("case", text), &[fix]).unwrap();
    assert_eq!(done, text.replace("\"1\"", "\"256\""));
}

#[test]
fn interpolated_text_gets_the_type_of_its_field() {
    let value = json!({
        "family": "web",
        "cpu": "256",
        "containerDefinitions": [{
            "name": "app", "image": "app:1",
            "stopTimeout": "45", "readonlyRootFilesystem": "true", "command": "serve", "user": "1000",
            "dockerLabels": { "tier": "1" }
        }]
    });
    let mut locations = LocationMap::new();
    for field in [
        "stopTimeout",
        "readonlyRootFilesystem",
        "command",
        "user",
        "dockerLabels/tier",
    ] {
        locations.mark_interpolated(format!("/containerDefinitions/0/{field}"));
    }

    let definition = read_value(value, &locations).unwrap().record;
    let container = &definition.container_definitions[0];
    assert_eq!(container.stop_timeout, Some(45));
    assert_eq!(container.readonly_root_filesystem, Some(true));
    assert_eq!(container.command, ["serve"]);
    assert_eq!(container.user.as_deref(), Some("1000"));
    assert_eq!(container.docker_labels["tier"], "1");
}

#[test]
fn text_that_is_not_interpolated_or_does_not_fit_is_a_wrong_type() {
    let value = json!({
        "family": "web",
        "containerDefinitions": [{
            "name": "app", "image": "app:1",
            "stopTimeout": "45", "startTimeout": "soon",
            "dependsOn": [{ "containerName": "db", "condition": "HEALTY" }]
        }]
    });
    let mut locations = LocationMap::new();
    // A misspelt condition is reported, not replaced by the nearest one.
    for field in ["startTimeout", "dependsOn/0/condition"] {
        locations.mark_interpolated(format!("/containerDefinitions/0/{field}"));
    }

    let findings = read_value(value, &locations).unwrap().findings;
    assert_eq!(ids(&findings), ["C06", "C06", "D05"]);
}

#[test]
fn a_command_as_a_string_becomes_one_item_per_word() {
    let fix = |command: &str| {
        let text = format!(
            r#"{{ "family": "d", "containerDefinitions": [{{ "name": "w", "image": "x:1", "command": "{command}" }}] }}"#
        );
        let findings = read_errors(&text);
        let fix = findings[0].fix.clone();
        (findings[0].hint.clone(), fix.map(|fix| fix.title))
    };

    let (hint, title) = fix("npm run start");
    assert_eq!(hint, r#"write ["npm","run","start"]"#);
    assert_eq!(title.as_deref(), Some(r#"write ["npm","run","start"]"#));

    // Only a shell can run this line, and the image may have none.
    let (hint, title) = fix("migrate && serve");
    assert!(hint.contains("\"-c\""), "{hint}");
    assert_eq!(title, None);
}
