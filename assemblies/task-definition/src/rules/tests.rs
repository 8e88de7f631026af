//! Every rule has a case that passes and one that fails, and the failing one breaks no other rule.

use super::{Rule, rules};
use crate::finding::{Color, Finding, Severity};
use crate::forms::judge;
use crate::source::Source;

fn findings(name: &str, text: &str) -> Vec<Finding> {
    judge(&Source::new(name, text))
}

fn rendered(rule: &Rule, text: &str) -> String {
    findings(rule.id, text)
        .iter()
        .map(|finding| finding.render(Color::No))
        .collect()
}

#[test]
fn every_passing_case_passes_all_rules() {
    for rule in rules() {
        assert_eq!(rendered(rule, rule.passing), "", "{}", rule.id);
    }
}

#[test]
fn every_failing_case_breaks_its_rule_once_and_no_other() {
    for rule in rules() {
        let found: Vec<_> = findings(rule.id, rule.failing)
            .into_iter()
            .map(|finding| (finding.rule, finding.severity))
            .collect();
        let shown = rendered(rule, rule.failing);
        assert_eq!(found, [(rule.id, rule.severity)], "{}: {shown}", rule.id);
    }
}

#[test]
fn every_finding_of_a_failing_case_has_a_place_a_pointer_and_a_hint() {
    for rule in rules() {
        for finding in findings(rule.id, rule.failing) {
            let text = finding.render(Color::No);
            assert!(text.contains(&format!("--> {}:", rule.id)), "{text}");
            assert!(text.contains('^'), "{text}");

            // What the parser refuses has no value yet.
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
fn ids_are_unique_and_every_word_of_explanation_is_there() {
    let mut ids: Vec<_> = rules().iter().map(|rule| rule.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), rules().len());
    for rule in rules() {
        let texts = [rule.title, rule.explanation, rule.source, rule.hint];
        assert!(texts.iter().all(|text| !text.is_empty()), "{}", rule.id);
    }
}

fn ids(text: &str) -> Vec<&'static str> {
    findings("case", text)
        .iter()
        .map(|finding| finding.rule)
        .collect()
}

#[test]
fn what_two_containers_wait_for_in_vain_is_no_circle() {
    let text = r#"{ "family": "web", "containerDefinitions": [
      { "name": "a", "image": "a:1", "memory": 8, "dependsOn": [
        { "containerName": "nobody", "condition": "START" }, { "containerName": "b", "condition": "START" }] },
      { "name": "b", "image": "b:1", "memory": 8, "dependsOn": [
        { "containerName": "nobody", "condition": "START" }] }] }"#;
    assert_eq!(ids(text), ["D01", "D01"]);
}

#[test]
fn a_circle_is_told_once_and_where_it_is() {
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
    let told: Vec<_> = found
        .iter()
        .map(|one| (one.pointer.as_deref(), one.message.as_str()))
        .collect();

    assert_eq!(
        told,
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
fn each_limit_is_where_the_sources_say() {
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
fn a_wait_is_as_long_as_fargate_allows() {
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
fn the_waits_of_a_chain_add_up() {
    let one = |name: &str, interval: u32, rest: &str| {
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
            one("a", 15, ""),
            one("b", 15, &after("a", "HEALTHY")),
            after("b", condition)
        )
    };

    let found = findings("case", &task("HEALTHY"));
    let told: Vec<_> = found.iter().map(|one| (one.rule, &*one.message)).collect();
    assert_eq!(
        told,
        [(
            "F02",
            "every start waits at least 30 s for HEALTHY: `a` 15 s + `b` 15 s"
        )]
    );
    assert_eq!(ids(&task("START")), ["F07"]);
}

#[test]
fn a_circle_of_fronts_is_told_the_right_way_round() {
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
    assert_eq!(wrong[0].fix, None, "an edge more would make a circle");
    assert!(wrong[0].hint.starts_with("turn the dependency round"));
    assert!(findings("case", &task("", ""))[0].fix.is_some());
}

#[test]
fn a_definition_with_only_placeholders_open_has_no_false_errors() {
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
    let others: Vec<_> = found.iter().filter(|one| one.rule != "Y03").collect();
    assert!(others.is_empty(), "{others:?}");
    assert_eq!(found.len(), 32);
}

#[test]
fn a_placeholder_in_place_of_a_number_or_a_condition_is_no_wrong_type() {
    let text = r#"{ "family": "web", "containerDefinitions": [
      { "name": "app", "image": "app:1", "memory": "<memory>",
        "dependsOn": [{ "containerName": "a", "condition": "{{condition}}" }] }] }"#;
    let found = findings("case", text);
    let told: Vec<_> = found.iter().map(|one| (one.rule, &*one.message)).collect();

    assert_eq!(
        told,
        [
            ("Y03", "`<memory>` is a placeholder: fill it in"),
            ("Y03", "`{{condition}}` is a placeholder: fill it in"),
        ]
    );
    assert!(found.iter().all(|one| one.severity == Severity::Warning));
}

#[test]
fn free_text_is_no_placeholder() {
    let text = r#"{ "family": "web", "containerDefinitions": [
      { "name": "app", "image": "app:1", "memory": 8, "command": ["echo", "${HOME} <b>{{x}}</b>"],
        "environment": [{ "name": "MY_ACCOUNT_ID", "value": "${HOME}/[a-z]" }],
        "dockerLabels": { "rule": "Host(`<x>`)" } }] }"#;
    assert_eq!(ids(text), [""; 0]);
}

#[test]
fn a_watcher_is_known_by_its_image_and_a_router_or_a_restarted_one_is_let_be() {
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

    assert_eq!(ids(&beside("false", "fluent-bit:3", "")), [""; 0]);
}

#[test]
fn a_helper_without_a_limit_is_let_be_where_it_ends_first_or_the_app_has_none_either() {
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
fn each_form_of_a_secret_is_known() {
    let secret = |value: &str| {
        format!(
            r#"{{ "family": "web", "executionRoleArn": "arn:aws:iam::111122223333:role/x", "containerDefinitions": [
              {{ "name": "app", "image": "app:1", "memory": 8,
                 "secrets": [{{ "name": "KEY", "valueFrom": "{value}" }}] }}] }}"#
        )
    };

    let manager = "arn:aws:secretsmanager:eu-central-1:111122223333:secret";
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

    for wrong in [
        "",
        "has space",
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
