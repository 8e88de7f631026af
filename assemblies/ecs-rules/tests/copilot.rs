//! Manifests of AWS Copilot are read as the task definition and the service that Copilot deploys.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic fails the test")]

use diagnostics::Finding;
use diagnostics::source::Source;
use ecs_rules::Request;
use ecs_rules::inputs::{Document, DocumentKind, check_input, has_documents, read_input};
use serde_json::{Value, json};

const WEB: &str = "name: api\ntype: Load Balanced Web Service\nimage: { build: ./Dockerfile, port: 8080 }\nhttp: { path: / }\n";

fn json_of(document: &Document) -> Value {
    match &document.kind {
        DocumentKind::Definition(located) => serde_json::to_value(&located.definition).unwrap(),
        DocumentKind::Launch(Request::Service(service), _) => {
            serde_json::to_value(service).unwrap()
        }
        DocumentKind::Launch(..) => panic!("no service"),
    }
}

/// Returns the task definition and the service of each variant.
fn variants(text: &str) -> Vec<Vec<Value>> {
    let input = read_input(&Source::new("manifest.yml", text));
    assert_eq!(input.findings, []);
    let variants = input.variants.iter();
    variants
        .map(|documents| documents.iter().map(json_of).collect())
        .collect()
}

fn findings(text: &str) -> Vec<String> {
    let format = |finding: &Finding| {
        let line = finding.location.sort_key().0;
        format!(
            "{} {line} {}",
            finding.rule,
            finding.pointer.as_deref().unwrap_or_default()
        )
    };
    check_input(&Source::new("manifest.yml", text))
        .iter()
        .map(format)
        .collect()
}

fn notes(text: &str) -> Vec<String> {
    let input = read_input(&Source::new("manifest.yml", text));
    input
        .not_evaluated
        .into_iter()
        .map(|part| part.message)
        .collect()
}

#[test]
fn a_minimal_manifest_of_each_type_has_no_findings() {
    for text in [
        WEB,
        "name: a\ntype: Backend Service\nimage: { location: 'a:1' }\n",
        "name: a\ntype: Worker Service\nimage: { build: Dockerfile }\nsubscribe: { topics: [] }\n",
        "name: a\ntype: Scheduled Job\nimage: { build: Dockerfile }\non: { schedule: '@daily' }\n",
        "name: a\ntype: Request-Driven Web Service\nimage: { build: Dockerfile, port: 80 }\n",
    ] {
        assert_eq!(findings(text), [""; 0], "{text}");
    }
}

#[test]
fn the_definition_has_the_defaults_of_copilot() {
    let all = variants(WEB);
    let [definition, service] = all[0].as_slice() else {
        panic!("{all:?}");
    };
    assert_eq!(
        (&definition["cpu"], &definition["memory"]),
        (&json!("256"), &json!("512"))
    );
    let container = &definition["containerDefinitions"][0];
    assert_eq!(container["name"], "api");
    assert_eq!(
        container["portMappings"],
        json!([{ "containerPort": 8080 }])
    );
    assert_eq!(container["logConfiguration"]["logDriver"], "awslogs");
    assert_eq!(service["desiredCount"], 1);
    assert_eq!(service["loadBalancers"][0]["containerPort"], 8080);
    assert_eq!(service["healthCheckGracePeriodSeconds"], 60);
}

#[test]
fn sidecars_variables_secrets_and_storage_are_converted() {
    let text = format!(
        "{WEB}variables: {{ LEVEL: 1, TABLE: {{ from_cfn: table }} }}
secrets: {{ KEY: /copilot/key, DB: {{ secretsmanager: mysql }} }}
storage:
  ephemeral: 50
  readonly_fs: true
  volumes:
    data: {{ path: /data, read_only: false, efs: {{ id: fs-12345678 }} }}
    scratch: {{ path: /scratch }}
sidecars:
  proxy:
    image: proxy:1
    port: 2000/udp
    essential: false
    depends_on: {{ api: start }}
    mount_points: [{{ source_volume: data, path: /data }}]
"
    );
    let definition = variants(&text)[0][0].clone();
    let main = &definition["containerDefinitions"][0];
    assert_eq!(
        main["environment"][0],
        json!({ "name": "LEVEL", "value": "1" })
    );
    assert_eq!(main["secrets"][0]["valueFrom"], "/copilot/key");
    assert_eq!(main["readonlyRootFilesystem"], true);
    assert_eq!(main["mountPoints"][0]["readOnly"], false);
    assert_eq!(main["mountPoints"][1]["readOnly"], true);
    assert_eq!(definition["ephemeralStorage"]["sizeInGiB"], 50);
    assert_eq!(
        definition["volumes"][0]["efsVolumeConfiguration"]["fileSystemId"],
        "fs-12345678"
    );
    assert_eq!(definition["volumes"][1], json!({ "name": "scratch" }));

    // Sidecars have names of their own for the same fields.
    let proxy = &definition["containerDefinitions"][1];
    assert_eq!(
        proxy["portMappings"],
        json!([{ "containerPort": 2000, "protocol": "udp" }])
    );
    assert_eq!(
        proxy["dependsOn"],
        json!([{ "containerName": "api", "condition": "START" }])
    );
    assert_eq!(proxy["essential"], false);
}

#[test]
fn findings_point_to_the_lines_of_the_manifest() {
    let text = "name: api
type: Load Balanced Web Service
image:
  build: ./Dockerfile
  port: 8080
  depends_on: { envoy: healthy }
http: { path: '/', healthcheck: '/healthz' }
cpu: 256
memory: 1500
count: { range: 1-10, cpu_percentage: 70 }
sidecars:
  envoy: { image: \"envoyproxy/envoy:v1.38.0\", port: 8000 }
";
    assert_eq!(
        findings(text),
        ["D03 6 /image/depends_on/envoy", "T06 9 /memory"]
    );
    assert!(
        notes(text)[0].contains("scaling policies are not evaluated"),
        "{:?}",
        notes(text)
    );
}

#[test]
fn each_environment_is_checked_with_its_own_settings() {
    let text = format!(
        "{WEB}environments:
  test: {{ cpu: 512 }}
  prod:
    cpu: 1024
    memory: 2048
    count: {{ range: {{ min: 2, max: 4, spot_from: 3 }} }}
"
    );
    // 512 MiB is too little for 512 CPU units, and right in `prod`.
    let found = findings(&text);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("T06 "), "{found:?}");

    let all = variants(&text);
    assert_eq!(all.len(), 3);
    // `prod`: two tasks on demand, more of them on Spot.
    let service = &all[2][1];
    assert_eq!(service["desiredCount"], 2);
    assert_eq!(
        service["capacityProviderStrategy"],
        json!([
            { "capacityProvider": "FARGATE_SPOT", "weight": 1 },
            { "capacityProvider": "FARGATE", "weight": 0, "base": 2 },
        ])
    );
}

#[test]
fn a_load_balancer_sends_requests_to_a_container_that_exists() {
    let text = format!("{WEB}sidecars: {{ nginx: {{ image: 'nginx:1', port: 80 }} }}\n");
    let to = |rule: &str| text.replace("{ path: / }", rule);
    let service = variants(&to("{ path: /, target_container: nginx }"))[0][1].clone();
    assert_eq!(service["loadBalancers"][0]["containerPort"], 80);

    // A port of a sidecar names the sidecar.
    let by_port = variants(&to("{ path: /, target_port: 80 }"))[0][1].clone();
    assert_eq!(by_port["loadBalancers"][0]["containerName"], "nginx");

    let found = findings(&to("{ path: /, target_container: ngin, target_port: 80 }"));
    assert!(
        found.iter().any(|finding| finding.starts_with("P07 4 ")),
        "{found:?}"
    );
}

#[test]
fn faults_of_the_manifest_itself_are_reported() {
    let no_port = "name: a\ntype: Load Balanced Web Service\nimage: { build: Dockerfile }\n";
    assert_eq!(findings(no_port), ["C06 1 "]);
    assert_eq!(
        findings("name: a\ntype: Scheduled Job\nimage: { build: Dockerfile }\n"),
        ["C06 1 "]
    );
    assert_eq!(
        findings(&format!("{WEB}count: {{ range: 5-1 }}\n")),
        ["C06 5 "]
    );
    assert_eq!(findings(&format!("{WEB}memroy: 512\n")), ["C05 5 "]);
    assert_eq!(
        findings(&format!(
            "{WEB}sidecars: {{ x: {{ image: 'x:1', depends_on: {{ api: helthy }} }} }}\n"
        )),
        ["D05 5 /sidecars/x/depends_on/api"]
    );
}

#[test]
fn a_value_that_is_no_collection_is_reported() {
    assert_eq!(findings(&format!("{WEB}variables: A=b\n")), ["C06 5 "]);
    let sidecar = format!("{WEB}sidecars: {{ x: {{ image: 'x:1', depends_on: [api] }} }}\n");
    assert_eq!(findings(&sidecar), ["C06 5 "]);
}

#[test]
fn an_image_may_be_in_the_environments() {
    let text =
        "name: a\ntype: Backend Service\nenvironments: { test: { image: { location: 'a:1' } } }\n";
    assert_eq!(findings(text), [""; 0]);
    let none = "name: a\ntype: Backend Service\nenvironments: { test: { cpu: 256 } }\n";
    assert_eq!(findings(none).len(), 1);
}

#[test]
fn a_log_router_is_added_with_its_destination() {
    let text =
        format!("{WEB}logging: {{ destination: {{ Name: cloudwatch, region: eu-west-1 }} }}\n");
    let definition = variants(&text)[0][0].clone();
    let containers = definition["containerDefinitions"].as_array().unwrap();
    assert_eq!(
        containers[0]["logConfiguration"]["logDriver"],
        "awsfirelens"
    );
    assert_eq!(containers[1]["name"], "firelens_log_router");
    assert_eq!(containers[1]["firelensConfiguration"]["type"], "fluentbit");
}

#[test]
fn variables_of_the_shell_are_unknown() {
    let text = "name: a\ntype: Backend Service\nimage: { location: '${REGISTRY}/a:${TAG}' }\nvariables: { HOME_DIR: '$HOME' }\n";
    assert_eq!(findings(text), [""; 0]);
    let definition = variants(text)[0][0].clone();
    assert_eq!(
        definition["containerDefinitions"][0]["environment"][0]["value"],
        "$HOME"
    );
}

#[test]
fn what_has_no_counterpart_is_named() {
    let text = "name: a
type: Worker Service
image: { build: Dockerfile }
env_file: a.env
subscribe: { topics: [{ name: t, service: s }] }
taskdef_overrides: [{ path: 'Cpu', value: 1 }]
observability: { tracing: awsxray }
";
    let notes = notes(text);
    for field in [
        "env_file",
        "subscribe",
        "taskdef_overrides",
        "observability",
    ] {
        assert!(
            notes
                .iter()
                .any(|note| note.starts_with(&format!("`{field}`"))),
            "{notes:?}"
        );
    }
}

#[test]
fn manifests_without_a_task_are_not_read() {
    let parse =
        |text: &str| diagnostics::source::parse(&Source::new("manifest.yml", text)).unwrap();
    assert!(has_documents(&parse(WEB)));
    assert!(!has_documents(&parse(
        "name: s\ntype: Static Site\nfiles: []\n"
    )));
    assert!(!has_documents(&parse("name: test\ntype: Environment\n")));
}
