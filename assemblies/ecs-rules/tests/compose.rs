//! Compose files are read as one Fargate task, and findings point to the lines of the file.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic fails the test")]

use diagnostics::source::Source;
use diagnostics::{Finding, Location};
use ecs_rules::inputs::{DocumentKind, NotEvaluated, ParsedInput, check_input, read_input};
use serde_json::{Value, json};

fn read(text: &str) -> ParsedInput {
    read_input(&Source::new("compose.yaml", text))
}

/// Returns the task definition of a Compose file as JSON.
fn definition(text: &str) -> Value {
    let input = read(text);
    assert_eq!(input.findings, []);
    let DocumentKind::Definition(located) = &input.documents()[0].kind else {
        panic!("no definition");
    };
    serde_json::to_value(&located.definition).unwrap()
}

/// Returns the only container of a Compose file with these fields of a service.
fn container(fields: &str) -> Value {
    let text = format!("services:\n  web:\n    image: web:1\n{fields}");
    definition(&text)["containerDefinitions"][0].clone()
}

fn line(location: &Location) -> usize {
    location.sort_key().0
}

fn findings(text: &str) -> Vec<String> {
    let all = check_input(&Source::new("compose.yaml", text));
    let format = |finding: &Finding| {
        let pointer = finding.pointer.as_deref().unwrap_or_default();
        format!("{} {} {pointer}", finding.rule, line(&finding.location))
    };
    all.iter().map(format).collect()
}

fn notes(text: &str) -> Vec<String> {
    let format = |part: &NotEvaluated| format!("{}: {}", line(&part.location), part.message);
    read(text).not_evaluated.iter().map(format).collect()
}

#[test]
fn a_small_file_has_no_findings() {
    let text = "services:\n  web:\n    image: nginx:1.29\n    ports: [\"80:80\"]\n";
    assert_eq!(findings(text), [""; 0]);
    assert_eq!(notes(text), [""; 0]);
    let definition = definition(text);
    assert_eq!(definition["requiresCompatibilities"], json!(["FARGATE"]));
    assert_eq!(
        (&definition["cpu"], &definition["memory"]),
        (&json!("256"), &json!("512"))
    );
}

#[test]
fn ports_have_short_and_long_forms() {
    let mapped = container(
        "    ports:\n      - 80\n      - \"127.0.0.1:81:81/udp\"\n      - \"3000-3002:3000-3002\"\n      \
         - \"[::1]:82:82\"\n      - { target: 83, published: \"83\", protocol: tcp, name: x, app_protocol: http }\n      \
         - \"${PORT:-84}:${PORT:-84}\"\n    expose: [\"80\", 85]\n",
    );
    let expected = json!([
        { "containerPort": 80 },
        { "containerPort": 81, "protocol": "udp" },
        { "containerPortRange": "3000-3002" },
        { "containerPort": 82 },
        { "containerPort": 83, "protocol": "tcp", "name": "x", "appProtocol": "http" },
        { "containerPort": 84 },
        { "containerPort": 85 },
    ]);
    assert_eq!(mapped["portMappings"], expected);
}

#[test]
fn a_published_port_that_differs_is_named_and_a_wrong_one_is_an_error() {
    let text = "services:\n  web:\n    image: web:1\n    ports: [\"8080:80\"]\n";
    assert_eq!(notes(text).len(), 1);
    assert!(
        notes(text)[0].starts_with("4: the published port 8080"),
        "{:?}",
        notes(text)
    );
    assert_eq!(
        findings("services:\n  web:\n    image: web:1\n    ports:\n      - 80:http\n"),
        ["C06 5 "]
    );
}

#[test]
fn health_checks_have_all_forms() {
    let check =
        |test: &str| container(&format!("    healthcheck: {{ {test} }}\n"))["healthCheck"].clone();
    let expected = json!({ "command": ["CMD-SHELL", "curl -f x"], "interval": 90, "retries": 3 });
    assert_eq!(
        check("test: curl -f x, interval: 1m30s, retries: 3"),
        expected
    );
    let words = json!({ "command": ["CMD", "a", "b"], "timeout": 2, "startPeriod": 10 });
    assert_eq!(
        check("test: [CMD, a, b], timeout: 1500ms, start_period: 10s"),
        words
    );
    assert_eq!(check("test: [NONE]"), Value::Null);
    assert_eq!(check("disable: true"), Value::Null);
    let wrong =
        "services:\n  web:\n    image: web:1\n    healthcheck: { test: a, interval: soon }\n";
    assert_eq!(findings(wrong)[0], "C06 4 ");
}

#[test]
fn dependencies_become_conditions_and_a_service_that_ends_is_not_essential() {
    let text = "services:
  web:
    image: web:1
    depends_on:
      db: { condition: service_healthy }
      job: { condition: service_completed_successfully }
      log: { condition: service_started }
  db: { image: 'db:1', depends_on: [log] }
  job: { image: 'job:1' }
  log: { image: 'log:1' }
";
    let definition = definition(text);
    let edges = &definition["containerDefinitions"][0]["dependsOn"];
    let words: Vec<_> = edges
        .as_array()
        .unwrap()
        .iter()
        .map(|edge| &edge["condition"])
        .collect();
    assert_eq!(words, ["HEALTHY", "SUCCESS", "START"]);
    assert_eq!(definition["containerDefinitions"][2]["essential"], false);
    // `db` has no health check; the finding is at the edge.
    let found = findings(text);
    assert!(
        found.iter().any(|finding| finding.starts_with("D03 5 ")),
        "{found:?}"
    );
}

#[test]
fn an_unknown_condition_and_an_unknown_service_are_reported_at_their_lines() {
    let text = "services:
  web:
    image: web:1
    depends_on:
      db: { condition: healthy }
      cache: { condition: service_started }
  db: { image: 'db:1' }
";
    let found = findings(text);
    assert!(
        found.iter().any(|finding| finding.starts_with("D05 5 ")),
        "{found:?}"
    );
    assert!(
        found.iter().any(|finding| finding.starts_with("D01 6 ")),
        "{found:?}"
    );
}

#[test]
fn volumes_are_named_bound_or_in_memory() {
    let text = "services:
  web:
    image: web:1
    volumes: [\"data:/data:ro\", \"./src:/src\", \"/anon\", { type: tmpfs, target: /t, tmpfs: { size: 64m } },
      { type: bind, source: ./src, target: /other, read_only: true }]
    tmpfs: \"/run:size=32m\"
volumes: { data: }
";
    let definition = definition(text);
    let container = &definition["containerDefinitions"][0];
    assert_eq!(
        container["mountPoints"],
        json!([
            { "sourceVolume": "data", "containerPath": "/data", "readOnly": true },
            { "sourceVolume": "bind-src", "containerPath": "/src" },
            { "sourceVolume": "volume", "containerPath": "/anon" },
            { "sourceVolume": "bind-src", "containerPath": "/other", "readOnly": true },
        ])
    );

    // Both forms of tmpfs, in MiB.
    let sizes: Vec<_> = container["linuxParameters"]["tmpfs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tmpfs| &tmpfs["size"])
        .collect();
    assert_eq!(sizes, [64, 32]);
    assert!(
        findings(text)
            .iter()
            .any(|finding| finding.starts_with("V04 4 /services/web/volumes/1"))
    );
    assert!(
        notes(text)
            .iter()
            .any(|note| note.starts_with("7: the volume `data`")),
        "{:?}",
        notes(text)
    );
}

#[test]
fn a_volume_that_the_file_does_not_define_is_reported() {
    let found = findings("services:\n  web:\n    image: web:1\n    volumes:\n      - data:/data\n");
    assert!(
        found.iter().any(|finding| finding.starts_with("V02 5 ")),
        "{found:?}"
    );
}

#[test]
fn variables_have_defaults_or_are_unknown() {
    let text = "services:
  web:
    image: ${IMAGE}
    environment: [\"A=${A:-x}\", \"B=$B\", C, \"D=$$HOME\"]
    mem_limit: ${MEM:-512m}
";
    let definition = definition(text);
    let container = &definition["containerDefinitions"][0];
    assert_eq!(container["environment"][0]["value"], "x");
    assert_eq!(container["environment"][3]["value"], "$HOME");
    assert_eq!(container["memory"], 512);
    let input = read(text);

    // Two of them have no default.
    let unknown: Vec<_> = input.documents()[0].unknown_values().collect();
    for pointer in [
        "/containerDefinitions/0/image",
        "/containerDefinitions/0/environment/1/value",
    ] {
        assert!(unknown.contains(&pointer), "{unknown:?}");
    }
    // An unknown image, and unknown roles, cause no findings.
    assert_eq!(findings(text), [""; 0]);
}

#[test]
fn limits_choose_the_smallest_size_that_fits() {
    let size = |limits: &str| {
        let text = format!(
            "services:\n  a: {{ image: 'a:1', deploy: {{ resources: {{ limits: {limits} }} }} }}\n  b: {{ image: 'b:1', cpus: 0.5, mem_limit: 1g }}\n"
        );
        let definition = definition(&text);
        (definition["cpu"].clone(), definition["memory"].clone())
    };
    assert_eq!(
        size("{ cpus: '0.25', memory: 512M }"),
        (json!("1024"), json!("2048"))
    );
    assert_eq!(
        size("{ cpus: 2, memory: 7g }"),
        (json!("4096"), json!("8192"))
    );
    // Without a value the size is unknown, and no rule about sizes applies.
    let text = "services: { a: { image: 'a:1', cpus: \"${CPUS}\" } }\n";
    assert_eq!(findings(text), [""; 0]);
}

#[test]
fn anchors_merge_keys_and_extensions_are_read() {
    let text = "x-base: &base
  user: \"1000\"
  environment: &env { LEVEL: info }
services:
  web:
    <<: *base
    image: web:1
    environment: { <<: *env, NAME: web }
";
    let definition = definition(text);
    let container = &definition["containerDefinitions"][0];
    assert_eq!(container["user"], "1000");
    assert_eq!(
        container["environment"],
        json!([{ "name": "NAME", "value": "web" }, { "name": "LEVEL", "value": "info" }])
    );
}

#[test]
fn what_has_no_counterpart_is_named() {
    let text = "include: [other.yaml]
services:
  web:
    image: web:1
    env_file: .env
    networks: [front]
    stop_signal: SIGINT
    deploy: { replicas: 3, update_config: { order: start-first } }
    secrets: [key]
  tool: { image: 'tool:1', profiles: [debug] }
  child: { extends: { file: base.yaml, service: x } }
secrets: { key: { file: ./key } }
networks: { front: }
";
    let notes = notes(text);
    for expected in [
        "1: `include`",
        "5: `env_file` of `web`",
        "7: `stop_signal` of `web`",
        "8: `deploy.replicas` of `web`",
        "8: `deploy.update_config` of `web`",
        "9: `secrets` of `web`",
        "10: the service `tool`",
        "11: `extends` of `child`",
        "12: `secrets`",
        "13: `networks`",
    ] {
        assert!(
            notes.iter().any(|note| note.starts_with(expected)),
            "{expected}: {notes:#?}"
        );
    }
    // The image of an extended service, and its health check, are in the other file.
    assert_eq!(findings(text), [""; 0]);
}

#[test]
fn a_misspelt_field_is_reported_with_the_one_that_is_meant() {
    let found = check_input(&Source::new(
        "compose.yaml",
        "services:\n  web:\n    image: web:1\n    comand: run\n",
    ));
    assert_eq!((found[0].rule, line(&found[0].location)), ("C05", 4));
    assert_eq!(found[0].hint, "did you mean `command`?");
}

#[test]
fn a_value_that_is_no_collection_is_reported() {
    let text = "services:
  web:
    image: web:1
    ports: 80
    environment: A=b
    healthcheck: curl
  db: postgres
";
    let wrong = [4, 5, 6, 7].map(|line| format!("C06 {line} "));
    assert_eq!(findings(text), wrong);
}

#[test]
fn settings_that_fargate_does_not_support_are_reported() {
    let text = "services:
  web:
    image: web:1
    privileged: true
    devices: [/dev/fuse]
    shm_size: 64m
    pid: host
    logging: { driver: json-file }
    deploy: { resources: { reservations: { devices: [{ capabilities: [gpu], count: 1 }] } } }
";
    let found = findings(text);
    for rule in ["X01 4", "X01 5", "X01 6", "T08 7", "L01 8", "T11 9"] {
        assert!(
            found.iter().any(|finding| finding.starts_with(rule)),
            "{rule}: {found:#?}"
        );
    }
}

#[test]
fn the_same_file_as_json_is_read() {
    let text = r#"{ "services": { "web": { "image": "web:1", "privileged": true } } }"#;
    assert_eq!(findings(text), ["X01 1 /services/web/privileged"]);
}
