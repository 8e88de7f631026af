//! Every rule has a passing and a failing case, and the failing case violates no other rule.

use diagnostics::source::Source;
use diagnostics::{Color, Finding, Severity};
use task_definition::read;

use crate::images::{ImageFact, ImageFacts, Inspection};
use crate::inputs::{check_input, check_input_with, read_input};

use super::{Failing, Rule, check_with, rules};

fn findings(name: &str, text: &str) -> Vec<Finding> {
    check_input(&Source::new(name, text))
}

fn example(rule: &Rule, text: &str) -> Vec<Finding> {
    let input = read_input(&Source::new(rule.id, text));
    check_input_with(&input, &[], &rule.example_images())
}

fn render(rule: &Rule, text: &str) -> String {
    example(rule, text)
        .iter()
        .map(|finding| finding.render(Color::No))
        .collect()
}

#[test]
fn every_passing_case_passes_every_rule() {
    for rule in rules() {
        assert_eq!(render(rule, rule.passing), "", "{}", rule.id);
    }
}

#[test]
fn every_failing_case_violates_only_its_rule_and_once() {
    for rule in rules() {
        let found: Vec<_> = example(rule, &rule.failing_document())
            .into_iter()
            .map(|finding| (finding.rule, finding.severity))
            .collect();
        let rendered = render(rule, &rule.failing_document());
        assert_eq!(found, [(rule.id, rule.severity)], "{}: {rendered}", rule.id);
    }
}

#[test]
fn every_finding_of_a_failing_case_has_a_location_a_pointer_and_a_hint() {
    for rule in rules() {
        for finding in example(rule, &rule.failing_document()) {
            let text = finding.render(Color::No);
            assert!(text.contains(&format!("--> {}:", rule.id)), "{text}");
            assert!(text.contains('^'), "{text}");

            // A syntax error has no value to point to.
            assert!(
                finding.pointer.is_some() || rule.id.starts_with('Y'),
                "{text}"
            );
            assert!(text.contains("= source: "), "{text}");

            let first = finding.hint.chars().next();
            assert!(
                first.is_some_and(char::is_lowercase),
                "hint: {}",
                finding.hint
            );
        }
    }
}

#[test]
fn the_images_of_examples_are_read() {
    for rule in rules().iter().filter(|rule| !rule.images.is_empty()) {
        let known: Result<std::collections::BTreeMap<String, Inspection>, _> =
            serde_json::from_str(rule.images);
        assert!(known.is_ok_and(|images| !images.is_empty()), "{}", rule.id);
    }
}

#[test]
fn a_change_of_the_passing_case_replaces_one_text() {
    for rule in rules() {
        if let Failing::Change(old, new) = rule.failing {
            assert_eq!(rule.passing.matches(old).count(), 1, "{}", rule.id);
            assert_ne!(old, new, "{}", rule.id);
        }
    }
}

#[test]
fn ids_are_unique_and_texts_are_not_empty() {
    let mut ids: Vec<_> = rules().iter().map(|rule| rule.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), rules().len());
    for rule in rules() {
        let texts = [rule.title, rule.explanation, rule.source, rule.hint];
        assert!(texts.iter().all(|text| !text.is_empty()), "{}", rule.id);
    }
}

#[test]
fn errors_of_unreadable_documents_cannot_be_suppressed() {
    let fixed: Vec<_> = rules()
        .iter()
        .filter(|rule| !rule.suppressible)
        .map(|rule| rule.id)
        .collect();
    assert_eq!(fixed, ["C06", "D05", "Y01", "Y02"]);
}

#[test]
fn uses_the_facts_of_the_caller_about_images() {
    let text = r#"{ "family": "web", "containerDefinitions": [
      { "name": "app", "image": "app:1", "memory": 8 },
      { "name": "it", "image": "example.com/collector:1", "memory": 8 }] }"#;
    let located = read(&Source::new("case", text)).unwrap();
    let mut images = ImageFacts::new();
    assert!(check_with(&located, &images).is_empty());

    images.insert("collector", [ImageFact::TelemetryAgent]);
    let found = check_with(&located, &images);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].rule, "D09");
}

fn ids(text: &str) -> Vec<&'static str> {
    findings("case", text)
        .iter()
        .map(|finding| finding.rule)
        .collect()
}

#[test]
fn an_unknown_dependency_of_two_containers_is_not_a_cycle() {
    let text = r#"{ "family": "web", "containerDefinitions": [
      { "name": "a", "image": "a:1", "memory": 8, "dependsOn": [
        { "containerName": "missing", "condition": "START" }, { "containerName": "b", "condition": "START" }] },
      { "name": "b", "image": "b:1", "memory": 8, "dependsOn": [
        { "containerName": "missing", "condition": "START" }] }] }"#;
    assert_eq!(ids(text), ["D01", "D01"]);
}

#[test]
fn a_cycle_is_reported_once_at_its_first_container() {
    // `outside` depends on the cycle but is not part of it.
    let edge =
        |to: &str| format!(r#""dependsOn": [{{ "containerName": "{to}", "condition": "START" }}]"#);
    let text = format!(
        r#"{{ "family": "web", "containerDefinitions": [
          {{ "name": "outside", "image": "a:1", "memory": 8, {} }},
          {{ "name": "one", "image": "a:1", "memory": 8, {} }},
          {{ "name": "two", "image": "a:1", "memory": 8, {} }},
          {{ "name": "self", "image": "a:1", "memory": 8, {} }}] }}"#,
        edge("one"),
        edge("two"),
        edge("one"),
        edge("self"),
    );

    let found = findings("case", &text);
    let messages: Vec<_> = found
        .iter()
        .map(|finding| (finding.pointer.as_deref(), finding.message.as_str()))
        .collect();

    assert_eq!(
        messages,
        [
            (
                Some("/containerDefinitions/1/dependsOn"),
                "containers wait for each other: one -> two -> one"
            ),
            (
                Some("/containerDefinitions/3/dependsOn"),
                "containers wait for each other: self -> self"
            ),
        ]
    );
}

#[test]
fn limits_are_inclusive() {
    // Each limit with the last valid and the first invalid value.
    let container = |fields: &str| {
        format!(
            r#"{{ "family": "web", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc",
              "cpu": "256", "memory": "512",
              "containerDefinitions": [{{ "name": "app", "image": "app:1", {fields} }}] }}"#
        )
    };

    for (fields, expected) in [
        (r#""stopTimeout": 2"#, None),
        (r#""stopTimeout": 1"#, Some("H05")),
        (r#""stopTimeout": 120"#, None),
        (r#""stopTimeout": 121"#, Some("H05")),
        (r#""portMappings": [{ "containerPort": 65535 }]"#, None),
        (r#""portMappings": [{ "containerPort": 0 }]"#, Some("P01")),
        (
            r#""portMappings": [{ "containerPort": 65536 }]"#,
            Some("P01"),
        ),
        (
            r#""portMappings": [{ "containerPort": 53 }, { "containerPort": 53, "protocol": "udp" }]"#,
            None,
        ),
        (
            r#""portMappings": [{ "containerPort": 53 }, { "containerPortRange": "50-60" }]"#,
            Some("P03"),
        ),
        (
            r#""healthCheck": { "command": ["CMD", "/a"], "timeout": 60, "interval": 61 }"#,
            None,
        ),
        (
            r#""healthCheck": { "command": ["CMD", "/a"], "timeout": 61, "interval": 62 }"#,
            Some("H02"),
        ),
        (
            r#""healthCheck": { "command": ["CMD", "/a"], "interval": 300, "startPeriod": 300 }"#,
            None,
        ),
        (
            r#""healthCheck": { "command": ["CMD", "/a"], "interval": 301 }"#,
            Some("H02"),
        ),
        (
            r#""healthCheck": { "command": ["CMD", "/a"], "startPeriod": 301 }"#,
            Some("H02"),
        ),
        (
            r#""restartPolicy": { "enabled": true, "restartAttemptPeriod": 1800 }"#,
            None,
        ),
        (
            r#""restartPolicy": { "enabled": true, "restartAttemptPeriod": 1801 }"#,
            Some("C12"),
        ),
        (r#""memory": 512, "cpu": 256"#, None),
        (r#""memory": 513"#, Some("R03")),
        (r#""cpu": 257"#, Some("R01")),
        (r#""user": "0:0""#, None),
        (r#""user": "-1""#, Some("C11")),
        (r#""user": "a:b:c""#, Some("C11")),
    ] {
        assert_eq!(
            ids(&container(fields)),
            expected.into_iter().collect::<Vec<_>>(),
            "{fields}"
        );
    }
}

#[test]
fn start_timeout_is_limited_on_fargate() {
    let task = |seconds: u32| {
        format!(
            r#"{{ "family": "web", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc",
              "cpu": "256", "memory": "512", "containerDefinitions": [
              {{ "name": "app", "image": "app:1",
                 "dependsOn": [{{ "containerName": "init", "condition": "SUCCESS" }}] }},
              {{ "name": "init", "image": "init:1", "essential": false, "startTimeout": {seconds} }}] }}"#
        )
    };

    assert_eq!(ids(&task(120)), [""; 0]);
    assert_eq!(ids(&task(121)), ["H05"]);
}

#[test]
fn health_intervals_of_a_chain_add_up() {
    let container = |name: &str, interval: u32, rest: &str| {
        format!(
            r#"{{ "name": "{name}", "image": "app:1", "memory": 8, "startTimeout": 120, {rest}
              "healthCheck": {{ "command": ["CMD", "/a"], "interval": {interval}, "timeout": 2 }} }}"#
        )
    };

    let after = |name: &str, condition: &str| {
        format!(r#""dependsOn": [{{ "containerName": "{name}", "condition": "{condition}" }}],"#)
    };
    let task = |condition: &str| {
        format!(
            r#"{{ "family": "web", "containerDefinitions": [{}, {},
              {{ "name": "app", "image": "app:1", "memory": 8, {} "cpu": 1 }}] }}"#,
            container("a", 15, ""),
            container("b", 15, &after("a", "HEALTHY")),
            after("b", condition)
        )
    };

    let found = findings("case", &task("HEALTHY"));
    let messages: Vec<_> = found
        .iter()
        .map(|finding| (finding.rule, &*finding.message))
        .collect();
    assert_eq!(
        messages,
        [(
            "F02",
            "every start waits at least 30 s for HEALTHY: `a` 15 s + `b` 15 s"
        )]
    );
    // Without a HEALTHY edge to `b`, its startTimeout has no effect.
    assert_eq!(ids(&task("START")), ["F07"]);
}

#[test]
fn a_reversed_proxy_dependency_has_no_fix() {
    let task = |proxy: &str, app: &str| {
        format!(
            r#"{{ "family": "web", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc",
              "cpu": "256", "memory": "512", "containerDefinitions": [
              {{ "name": "proxy", "image": "proxy:1", "dependsOn": [{proxy}],
                 "environment": [{{ "name": "API_UPSTREAM", "value": "localhost:8080" }}] }},
              {{ "name": "app", "image": "app:1", "dependsOn": [{app}],
                 "environment": [{{ "name": "PORT", "value": "8080" }}] }}] }}"#
        )
    };

    let on = |name: &str| format!(r#"{{ "containerName": "{name}", "condition": "START" }}"#);
    assert_eq!(ids(&task(&on("app"), "")), [""; 0]);
    let wrong = findings("case", &task("", &on("proxy")));
    assert_eq!(wrong[0].rule, "D08");
    assert_eq!(wrong[0].fix, None, "another edge would create a cycle");
    assert!(wrong[0].hint.starts_with("reverse the dependency"));
    assert!(findings("case", &task("", ""))[0].fix.is_some());
}

#[test]
fn placeholders_cause_no_other_findings() {
    let text = r#"{
      "family": "web-{{stage}}",
      "taskRoleArn": "<role_arn>",
      "executionRoleArn": "arn:aws:iam::ACCOUNT:role/x",
      "networkMode": "{{mode}}",
      "requiresCompatibilities": ["{{launchtype}}"],
      "cpu": "${cpu}",
      "memory": "[memory]",
      "pidMode": "{{pid}}",
      "enableFaultInjection": true,
      "runtimePlatform": { "cpuArchitecture": "<ARCHITECTURE>", "operatingSystemFamily": "YOUR_OS" },
      "volumes": [{ "name": "{{volume}}", "efsVolumeConfiguration": {
        "fileSystemId": "fs-XXXXXXXX", "transitEncryption": "${encryption}",
        "authorizationConfig": { "iam": "ENABLED" } } }],
      "containerDefinitions": [
        { "name": "<app>", "image": "YOUR_APP_IMAGE", "user": "<user>",
          "versionConsistency": "<consistency>",
          "portMappings": [{ "containerPort": 80, "name": "<port>", "protocol": "<protocol>" }],
          "dependsOn": [{ "containerName": "helper", "condition": "START" }],
          "mountPoints": [{ "sourceVolume": "data", "containerPath": "<path>" }],
          "volumesFrom": [{ "sourceContainer": "helper" }],
          "repositoryCredentials": { "credentialsParameter": "<secret>" },
          "environmentFiles": [{ "value": "<file>", "type": "s3" }],
          "secrets": [{ "name": "KEY", "valueFrom": "{{key}}" }],
          "ulimits": [{ "name": "<limit>", "softLimit": 1, "hardLimit": 1 }],
          "linuxParameters": { "capabilities": { "add": ["<capability>"] },
            "tmpfs": [{ "containerPath": "<path>", "size": 1, "mountOptions": ["<option>"] }] },
          "logConfiguration": { "logDriver": "<driver>" } },
        { "name": "<helper>", "image": "111122223333.dkr.ecr.region.amazonaws.com/helper:1",
          "logConfiguration": { "logDriver": "awslogs", "options": {
            "awslogs-group": "/ecs/<group>", "awslogs-region": "${region}", "mode": "<mode>" } } }] }"#;

    let found = findings("case", text);
    let others: Vec<_> = found
        .iter()
        .filter(|finding| finding.rule != "Y03")
        .collect();
    assert!(others.is_empty(), "{others:?}");
    assert_eq!(found.len(), 32);
}

#[test]
fn a_placeholder_for_a_number_or_condition_is_not_a_wrong_type() {
    let text = r#"{ "family": "web", "containerDefinitions": [
      { "name": "app", "image": "app:1", "memory": "<memory>",
        "dependsOn": [{ "containerName": "a", "condition": "{{condition}}" }] }] }"#;
    let found = findings("case", text);
    let messages: Vec<_> = found
        .iter()
        .map(|finding| (finding.rule, &*finding.message))
        .collect();

    assert_eq!(
        messages,
        [
            ("Y03", "`<memory>` is a placeholder: fill it in"),
            // The placeholder beside it does not hide that the container is missing.
            ("D01", "`app` depends on `a`, which does not exist"),
            ("Y03", "`{{condition}}` is a placeholder: fill it in"),
        ]
    );
    assert!(
        found
            .iter()
            .all(|finding| finding.rule == "D01" || finding.severity == Severity::Warning)
    );
}

#[test]
fn free_text_is_not_a_placeholder() {
    // Commands, variables and labels use the same characters for other purposes.
    let text = r#"{ "family": "web", "containerDefinitions": [
      { "name": "app", "image": "app:1", "memory": 8, "command": ["echo", "${HOME} <b>{{x}}</b>"],
        "environment": [{ "name": "MY_ACCOUNT_ID", "value": "${HOME}/[a-z]" }],
        "dockerLabels": { "rule": "Host(`<x>`)" } }] }"#;
    assert_eq!(ids(text), [""; 0]);
}

#[test]
fn telemetry_agents_are_recognized_by_image() {
    // A log router is L09's, and a restart policy keeps the task running.
    let beside = |essential: &str, image: &str, fields: &str| {
        format!(
            r#"{{ "family": "web", "containerDefinitions": [
              {{ "name": "app", "image": "app:1", "memory": 8, "essential": {essential} }},
              {{ "name": "it", "image": "{image}", "memory": 8 {fields} }}] }}"#
        )
    };

    for (image, fields, expected) in [
        ("public.ecr.aws/datadog/agent:7", "", vec!["D09"]),
        ("example.com/my/agent:7", "", vec![]),
        ("localhost:5000/aws-xray-daemon:3", "", vec!["D09"]),
        ("fluent-bit:3", "", vec!["D09"]),
        (
            "fluent-bit:3",
            r#", "firelensConfiguration": { "type": "fluentbit" }"#,
            vec![],
        ),
        (
            "fluent-bit:3",
            r#", "restartPolicy": { "enabled": true }"#,
            vec![],
        ),
    ] {
        assert_eq!(
            ids(&beside("true", image, fields)),
            expected,
            "{image}{fields}"
        );
    }

    // A task of telemetry agents only exists for them.
    assert_eq!(ids(&beside("false", "fluent-bit:3", "")), [""; 0]);
}

#[test]
fn an_unlimited_sidecar_is_accepted_if_it_ends_first_or_the_app_is_unlimited() {
    let task = |limit: &str, waits: &str| {
        format!(
            r#"{{ "family": "web", "memory": "512", "containerDefinitions": [
              {{ "name": "app", "image": "app:1" {limit} {waits} }},
              {{ "name": "it", "image": "it:1", "essential": false }}] }}"#
        )
    };

    let after = r#", "dependsOn": [{ "containerName": "it", "condition": "SUCCESS" }]"#;
    let limit = r#", "memory": 128"#;
    assert_eq!(ids(&task(limit, "")), ["R06"]);
    assert_eq!(ids(&task(limit, after)), [""; 0]);
    assert_eq!(ids(&task("", "")), [""; 0]);
}

#[test]
fn accepts_every_form_of_a_secret_reference() {
    let secret = |value: &str| {
        format!(
            r#"{{ "family": "web", "executionRoleArn": "arn:aws:iam::111122223333:role/x", "containerDefinitions": [
              {{ "name": "app", "image": "app:1", "memory": 8,
                 "secrets": [{{ "name": "KEY", "valueFrom": "{value}" }}] }}] }}"#
        )
    };

    let manager = "arn:aws:secretsmanager:eu-central-1:111122223333:secret";
    // A JSON key, version stage and version id may follow the name.
    for right in [
        "plain-name",
        "/path/to/name",
        "arn:aws:ssm:eu-central-1:111122223333:parameter/path/name",
        "arn:aws-us-gov:ssm:us-gov-west-1:111122223333:parameter/name",
        &format!("{manager}:web/key-a1B2c3"),
        &format!("{manager}:web-a1B2c3:key::"),
        &format!("{manager}:web-a1B2c3::AWSPREVIOUS:"),
    ] {
        assert_eq!(ids(&secret(right)), [""; 0], "{right}");
    }

    // Empty, malformed, of another service, without a region or account, or with missing colons.
    for wrong in [
        "",
        "has space",
        "prod/db",
        "arn:aws:ssm:eu-central-1:111122223333:parameter//name",
        "arn:aws:ssm:eu-central-1:111122223333:parameter/",
        "arn:aws:s3:::bucket/key",
        "arn:aws:ssm:nowhere:111122223333:parameter/name",
        "arn:aws:ssm:eu-central-1:1111:parameter/name",
        &format!("{manager}:web"),
        &format!("{manager}:web-a1B2c3:key"),
        &format!("{manager}:web-a1B2c3:key:"),
    ] {
        assert_eq!(ids(&secret(wrong)), ["S01"], "{wrong}");
    }
}
