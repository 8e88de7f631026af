//! Injecting components into an existing definition, with all the wiring, repeatedly.

#![allow(clippy::expect_used, reason = "a panic fails the test")]
#![allow(clippy::panic, reason = "a panic fails the test")]

use assembly::inject::{InjectError, InjectRequest, Injection, inject, remove};
use diagnostics::source::Source;
use ecs_rules::check;
use task_definition::{Condition, TaskDefinition, normalise, read};

mod support;

const CERTIFICATE: &str = "arn:aws:secretsmanager:eu-west-1:222233334444:secret:tls-Ab1Cd2";

fn definition(text: &str) -> TaskDefinition {
    match read(&Source::new("task.json", text)) {
        Ok(located) => located.definition,
        Err(findings) => panic!("{}", support::format_findings(&findings)),
    }
}

fn shop() -> TaskDefinition {
    definition(
        r#"{
  "family": "Shop", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
  "cpu": "256", "memory": "512",
  "executionRoleArn": "arn:aws:iam::222233334444:role/ecsTaskExecutionRole",
  "containerDefinitions": [
    { "name": "web", "image": "web:1.2", "cpu": 128, "memory": 400,
      "portMappings": [{ "containerPort": 8080, "hostPort": 8080, "name": "web", "appProtocol": "http" }],
      "environment": [{ "name": "BIND", "value": "0.0.0.0:8080" }],
      "dependsOn": [{ "containerName": "cache", "condition": "START" }],
      "logConfiguration": { "logDriver": "awslogs", "options": {
        "awslogs-group": "/ecs/shop", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "ecs" } } },
    { "name": "cache", "image": "redis:7.4", "essential": false, "memory": 64 } ]
}"#,
    )
}

fn request(component: &str, settings: &[(&str, &str)], secrets: &[(&str, &str)]) -> InjectRequest {
    let map = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter();
        pairs
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    };

    InjectRequest {
        component: component.to_owned(),
        settings: map(settings),
        secrets: map(secrets),
        ..InjectRequest::default()
    }
}

fn tls() -> InjectRequest {
    request("tls-proxy", &[], &[("certificate", CERTIFICATE)])
}

fn auth() -> InjectRequest {
    let settings = [("issuer", "https://issuer.example/"), ("audience", "shop")];
    request("auth-filter", &settings, &[])
}

fn try_into(
    definition: &TaskDefinition,
    request: &InjectRequest,
) -> Result<Injection, InjectError> {
    let catalog = support::catalog_and_shipped("tests/catalog");
    inject(definition, &catalog, &support::values(), request)
}

fn inject_into(definition: &TaskDefinition, request: &InjectRequest) -> Injection {
    match try_into(definition, request) {
        Ok(injected) => injected,
        Err(InjectError::Invalid(message)) => panic!("{message}"),
        Err(InjectError::Findings(findings)) => panic!("{}", support::format_findings(&findings)),
    }
}

fn remove_from(definition: &TaskDefinition, component: &str) -> TaskDefinition {
    let catalog = support::catalog_and_shipped("tests/catalog");
    let removed = remove(definition, &catalog, &support::values(), component);
    removed.expect("it was injected").definition
}

fn errors(definition: &TaskDefinition) -> String {
    let located = read(&Source::new("task.json", definition.to_json())).expect("a definition");
    let findings = check(&located).into_iter();
    let errors = findings.filter(|finding| finding.severity == diagnostics::Severity::Error);
    support::format_findings(&errors.collect::<Vec<_>>())
}

#[test]
fn a_proxy_takes_the_port_and_the_app_listens_on_loopback() {
    let injected = inject_into(&shop(), &tls());
    let task = &injected.definition;
    assert_eq!(errors(task), "no findings\n");

    let (web, proxy) = (
        task.container("web").expect("web"),
        task.container("tls-proxy").expect("it"),
    );

    // The app is only reachable through the proxy.
    assert_eq!(web.port_mappings, []);
    assert_eq!(web.variable("BIND"), Some("127.0.0.1:8080"));
    let port = &proxy.port_mappings[0];
    assert_eq!(
        (port.container_port, port.name.as_deref()),
        (Some(8443), Some("web"))
    );
    assert_eq!(
        proxy.variable("TLS_PROXY_UPSTREAM"),
        Some("http://127.0.0.1:8080")
    );

    assert_eq!(proxy.variable("TLS_PROXY_LISTEN"), Some("0.0.0.0:8443"));
    assert_eq!(proxy.secrets[0].value_from, CERTIFICATE);
    // The proxy starts after its upstream.
    assert_eq!(proxy.depends_on[0].container_name, "web");
    assert_eq!(proxy.log_configuration, web.log_configuration);
    assert_eq!(proxy.readonly_root_filesystem, Some(true));
    assert!(proxy.health_check.is_some() && proxy.stop_timeout.is_some() && proxy.user.is_some());

    // 400 MiB, 64 for the cache and 64 for the proxy exceed 512.
    assert_eq!(
        (task.cpu.as_deref(), task.memory.as_deref()),
        (Some("256"), Some("1024"))
    );

    let notes = injected.notes.join("\n");
    assert!(
        notes.contains("load balancer") && notes.contains("GetSecretValue"),
        "{notes}"
    );
}

#[test]
fn an_app_with_a_fixed_listen_address_has_a_note() {
    let mut shop = shop();
    // Without `BIND` nothing says how to change the listen address.
    shop.container_definitions[0].environment.clear();
    let notes = inject_into(&shop, &tls()).notes.join("\n");
    assert!(notes.contains("bypass"), "{notes}");
}

#[test]
fn injecting_again_changes_only_the_given_settings() {
    let once = inject_into(&shop(), &tls()).definition;
    assert_eq!(inject_into(&once, &tls()).definition, once);
    // Settings that the second request leaves out are kept, such as the certificate.
    let changed = inject_into(
        &once,
        &request("tls-proxy", &[("limits.idle_timeout", "9s")], &[]),
    )
    .definition;
    let proxy = changed.container("tls-proxy").expect("it");
    assert_eq!(proxy.variable("TLS_PROXY_LIMITS__IDLE_TIMEOUT"), Some("9s"));
    assert_eq!(proxy.secrets[0].value_from, CERTIFICATE);
    assert_eq!(changed.container("web"), once.container("web"));
}

#[test]
fn removing_all_components_restores_the_definition() {
    let both = inject_into(&inject_into(&shop(), &tls()).definition, &auth()).definition;
    let both = inject_into(&both, &request("telemetry-forwarder", &[], &[])).definition;
    // Two existing containers and three injected ones.
    assert_eq!(both.container_definitions.len(), 5);
    // Remove them in another order than they were injected in.
    let mut left = both;
    for component in ["tls-proxy", "telemetry-forwarder", "auth-filter"] {
        left = remove_from(&left, component);
        assert_eq!(errors(&left), "no findings\n");
    }
    assert_eq!(normalise(&left), normalise(&shop()));
}

#[test]
fn removal_keeps_values_that_were_changed_after_the_injection() {
    let mut task = inject_into(&shop(), &tls()).definition;
    let web = task
        .container_definitions
        .iter_mut()
        .find(|container| container.name == "web")
        .expect("web");

    web.environment[0].value = "127.0.0.1:8080 # mine".to_owned();
    web.image = "web:1.3".to_owned();
    let left = remove_from(&task, "tls-proxy");
    let web = left.container("web").expect("web");

    assert_eq!(web.variable("BIND"), Some("127.0.0.1:8080 # mine"));
    assert_eq!(web.image, "web:1.3");
    assert_eq!(web.port_mappings.len(), 1);
}

#[test]
fn two_proxies_form_the_same_chain_in_either_order() {
    let tls_first = inject_into(&inject_into(&shop(), &tls()).definition, &auth()).definition;
    let auth_first = inject_into(&inject_into(&shop(), &auth()).definition, &tls()).definition;
    assert_eq!(tls_first, auth_first);
    assert_eq!(errors(&tls_first), "no findings\n");

    let (outer, inner) = (
        tls_first.container("tls-proxy").expect("outer"),
        tls_first.container("auth-filter").expect("inner"),
    );

    assert_eq!(
        outer.variable("TLS_PROXY_UPSTREAM"),
        Some("http://127.0.0.1:8081")
    );
    assert_eq!(
        inner.variable("AUTH_FILTER_UPSTREAM"),
        Some("http://127.0.0.1:8080")
    );
    assert_eq!(inner.variable("AUTH_FILTER_LISTEN"), Some("127.0.0.1:8081"));

    assert_eq!(
        // Only the outermost hop is reachable from outside.
        (outer.port_mappings.len(), inner.port_mappings.len()),
        (1, 0)
    );
}

#[test]
fn a_sidecar_endpoint_is_set_in_all_containers_without_replacing_existing_ones() {
    let mut shop = shop();
    shop.container_definitions[1].environment = vec![task_definition::KeyValue {
        name: "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(),
        value: "http://elsewhere:4318".to_owned(),
    }];

    let injected = inject_into(&shop, &request("telemetry-forwarder", &[], &[]));
    let task = &injected.definition;
    let (web, cache) = (
        task.container("web").expect("web"),
        task.container("cache").expect("cache"),
    );

    assert_eq!(
        web.variable("OTEL_EXPORTER_OTLP_ENDPOINT"),
        Some("http://127.0.0.1:4318")
    );
    assert_eq!(
        cache.variable("OTEL_EXPORTER_OTLP_ENDPOINT"),
        Some("http://elsewhere:4318")
    );

    let edge = web
        .depends_on
        .iter()
        .find(|edge| edge.container_name == "telemetry-forwarder");

    assert_eq!(edge.map(|edge| edge.condition), Some(Condition::Start));
    assert_eq!(web.port_mappings.len(), 1, "a sidecar takes no port");
    assert!(injected.notes.join("\n").contains("elsewhere"));
    assert_eq!(
        task.container("telemetry-forwarder")
            .and_then(|container| container.essential),
        Some(false)
    );
}

#[test]
fn rejects_missing_secrets_used_names_and_unsuitable_components() {
    let missing = try_into(&shop(), &request("tls-proxy", &[], &[]));
    let Err(InjectError::Findings(findings)) = missing else {
        panic!("{missing:?}")
    };

    assert_eq!(findings[0].rule, "M12");
    let mut conflicting = shop();
    // A container with this name that was not injected.
    conflicting.container_definitions[1].name = "tls-proxy".to_owned();
    conflicting.container_definitions[0].depends_on.clear();

    for (definition, request) in [
        (&conflicting, tls()),
        (&shop(), request("tls-prox", &[], &[])),
        (&shop(), request("coins", &[], &[])),
    ] {
        let result = try_into(definition, &request);
        assert!(matches!(result, Err(InjectError::Invalid(_))), "{result:?}");
    }

    // Without a port mapping the request has to name the port.
    let mut closed = shop();
    closed.container_definitions[0].port_mappings.clear();
    let result = try_into(&closed, &tls());
    assert!(
        matches!(&result, Err(InjectError::Invalid(message)) if message.contains("--port")),
        "{result:?}"
    );

    let with_port = InjectRequest {
        port: Some(8080),
        ..tls()
    };
    assert_eq!(
        errors(&inject_into(&closed, &with_port).definition),
        "no findings\n"
    );
}

#[test]
fn third_party_components_can_be_injected() {
    let agent = request(
        "datadog-agent",
        &[("site", "datadoghq.eu")],
        &[("api_key", CERTIFICATE)],
    );
    let task = inject_into(
        &inject_into(&shop(), &request("nginx", &[], &[])).definition,
        &agent,
    )
    .definition;

    assert_eq!(errors(&task), "no findings\n");
    let nginx = task.container("nginx").expect("nginx");

    // The app keeps port 8080, so the proxy listens on the next free one.
    assert_eq!(nginx.variable("NGINX_LISTEN"), Some("0.0.0.0:8081"));
    assert_eq!(nginx.variable("NGINX_UPSTREAM"), Some("127.0.0.1:8080"));
    // The volumes that nginx and the agent mount.
    assert_eq!(task.volumes.len(), 3);
    assert_eq!(
        normalise(&remove_from(&remove_from(&task, "nginx"), "datadog-agent")),
        normalise(&shop())
    );
}

#[test]
fn does_not_assign_a_port_that_a_container_listens_on() {
    let mut shop = shop();
    let variable = |name: &str, value: &str| task_definition::KeyValue {
        name: name.to_owned(),
        value: value.to_owned(),
    };

    // A listen address occupies its port; the address of an upstream does not.
    shop.container_definitions[1].environment = vec![
        variable("CACHE_LISTEN", "127.0.0.1:8443"),
        variable("CACHE_UPSTREAM", "127.0.0.1:8444"),
    ];

    let task = inject_into(&shop, &tls()).definition;
    let proxy = task.container("tls-proxy").expect("it");
    assert_eq!(proxy.variable("TLS_PROXY_LISTEN"), Some("0.0.0.0:8444"));
    assert_eq!(proxy.port_mappings[0].container_port, Some(8444));
}
