//! Components that this project does not ship: one more proxy and a second telemetry sidecar work like the shipped
//! ones, because all facts about components come from their `component.yaml`.

#![allow(clippy::expect_used, reason = "a panic fails the test")]
#![allow(clippy::panic, reason = "a panic fails the test")]

use assembly::component::Component;
use assembly::import::{ImportOptions, import};
use assembly::inject::{InjectRequest, inject};
use assembly::{Catalog, plan};
use diagnostics::source::Source;
use task_definition::{ContainerDefinition, TaskDefinition, read};

mod support;

const PROXY: &str = r#"
schema: 1
name: rate-limiter
kind: proxy
summary: Limits the requests of a client
image: ${registry}/rate-limiter:${version}
provides: { http: { setting: listen, port: 8090 } }
requires: { upstream: { interface: http, setting: upstream } }
telemetry: true
settings:
  listen: { type: string, default: "127.0.0.1:8090", doc: "The listen address." }
  upstream: { type: string, required: true, doc: "The next hop." }
size: { cpu: 64, memory: 64 }
"#;

const TELEMETRY: &str = r#"
schema: 1
name: span-collector
kind: sidecar
summary: Collects spans
image: ${registry}/span-collector:${version}
provides: { otlp: { setting: listen, port: 4400 } }
settings:
  listen: { type: string, default: "127.0.0.1:4400", doc: "The listen address." }
size: { cpu: 64, memory: 64 }
"#;

const MANIFEST: &str = r#"
name: shop
summary: New components between and next to shipped ones
app: coins
ingress: [tls-proxy, rate-limiter, auth-filter]
sidecars: [span-collector]
settings:
  auth-filter: { issuer: "https://issuer.example/", audience: shop }
secrets:
  tls-proxy: { certificate: "arn:aws:secretsmanager:eu-central-1:111122223333:secret:tls-Ab1Cd2" }
service: {}
"#;

fn catalog() -> Catalog {
    let new = [
        ("rate-limiter.yaml", PROXY),
        ("span-collector.yaml", TELEMETRY),
    ];
    new.iter().fold(
        support::catalog("tests/catalog"),
        |catalog, (name, text)| catalog.with(&Source::new(*name, *text)),
    )
}

fn shop() -> TaskDefinition {
    match plan(
        &Source::new("shop.yaml", MANIFEST),
        &catalog(),
        &support::values(),
    ) {
        Ok(plan) => plan.definition().clone(),
        Err(findings) => panic!("{}", support::format_findings(&findings)),
    }
}

fn container<'d>(task: &'d TaskDefinition, name: &str) -> &'d ContainerDefinition {
    task.container(name).expect("the container")
}

#[test]
fn a_new_proxy_is_a_hop_of_the_ingress() {
    let task = shop();

    let upstream = |name, variable| container(&task, name).variable(variable);
    assert_eq!(
        upstream("tls-proxy", "TLS_PROXY_UPSTREAM"),
        Some("http://127.0.0.1:8090")
    );
    assert_eq!(
        upstream("rate-limiter", "RATE_LIMITER_UPSTREAM"),
        Some("http://127.0.0.1:8081")
    );
}

#[test]
fn a_second_telemetry_sidecar_receives_the_telemetry_of_all_containers() {
    let task = shop();

    for name in ["tls-proxy", "rate-limiter", "auth-filter", "coins"] {
        let container = container(&task, name);
        assert_eq!(
            container.variable("OTEL_EXPORTER_OTLP_ENDPOINT"),
            Some("http://127.0.0.1:4400"),
            "{name}"
        );
        assert!(
            container
                .depends_on
                .iter()
                .any(|edge| edge.container_name == "span-collector"),
            "{name}"
        );
    }
}

#[test]
fn import_recognises_new_components_by_their_images() {
    let imported = import(&shop(), &catalog(), &ImportOptions::default());
    let Ok(imported) = imported else {
        panic!("cannot import: {:?}", imported.err());
    };

    assert_eq!(imported.components, []);
    for line in [
        "app: coins\n",
        "ingress: [tls-proxy, rate-limiter, auth-filter]\n",
        "sidecars: [span-collector]\n",
    ] {
        assert!(imported.manifest.contains(line), "{}", imported.manifest);
    }
}

#[test]
fn new_components_can_be_injected() {
    let text = r#"{
  "family": "shop", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
  "cpu": "512", "memory": "1024",
  "executionRoleArn": "arn:aws:iam::222233334444:role/ecsTaskExecutionRole",
  "containerDefinitions": [
    { "name": "web", "image": "web:1.2", "portMappings": [{ "containerPort": 8080, "appProtocol": "http" }] } ]
}"#;
    let mut task = read(&Source::new("task.json", text))
        .expect("a definition")
        .definition;

    for component in ["rate-limiter", "span-collector"] {
        let request = InjectRequest {
            component: component.to_owned(),
            ..InjectRequest::default()
        };
        task = inject(&task, &catalog(), &support::values(), &request)
            .unwrap_or_else(|error| panic!("{component}: {error:?}"))
            .definition;
    }

    assert_eq!(
        container(&task, "rate-limiter").variable("RATE_LIMITER_UPSTREAM"),
        Some("http://127.0.0.1:8080")
    );
    assert_eq!(
        container(&task, "web").variable("OTEL_EXPORTER_OTLP_ENDPOINT"),
        Some("http://127.0.0.1:4400")
    );
}

#[test]
fn the_settings_of_a_token_must_be_declared() {
    let text = format!(
        "{PROXY}local: {{ binary: rate-limiter, token: {{ issuer: issuer, audience: listen }} }}\n"
    );
    let catalog = catalog().with(&Source::new("rate-limiter.yaml", text));

    let Some(Err(findings)) = catalog.component("rate-limiter") else {
        panic!("the component is accepted");
    };

    let messages: Vec<&str> = findings
        .iter()
        .map(|finding| finding.message.as_str())
        .collect();
    assert_eq!(messages, ["the component has no setting `issuer`"]);
}

#[test]
fn an_image_budget_is_a_size_with_a_unit() {
    let with_budget = |budget: &str| {
        let text = TELEMETRY.replace("size:", &format!("image_budget: {budget}\nsize:"));
        Component::read(&Source::new("span-collector.yaml", text))
    };

    let component = with_budget("3.2 MB").expect("valid");
    let budget = component.file().image_budget.expect("set");
    assert_eq!(budget.bytes(), 3_200_000);

    for invalid in ["3.2", "small", "3.2 apples", "[3, 2]"] {
        let findings = with_budget(invalid).expect_err("invalid");
        assert_eq!(findings.len(), 1, "{findings:?}");
        let text = findings[0].render(diagnostics::Color::No);
        assert!(text.contains("span-collector.yaml:10:15"), "{text}");
        assert!(text.contains("a size such as `3.2 MB`"), "{text}");
    }
}
