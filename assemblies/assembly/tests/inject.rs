//! Inject: a component in somebody's definition, with all the wiring, as often as one likes.

#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::panic, reason = "helpers of tests may fail loudly")]

use assembly::inject::{InjectError, InjectRequest, Injection, inject, remove};
use task_definition::source::Source;
use task_definition::{Condition, TaskDefinition, check, normalise, read};

mod support;

const CERTIFICATE: &str = "arn:aws:secretsmanager:eu-west-1:222233334444:secret:tls-Ab1Cd2";

fn definition(text: &str) -> TaskDefinition {
    match read(&Source::new("task.json", text)) {
        Ok(located) => located.definition,
        Err(findings) => panic!("{}", support::told(&findings)),
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

fn put(definition: &TaskDefinition, request: &InjectRequest) -> Injection {
    match try_into(definition, request) {
        Ok(injected) => injected,
        Err(InjectError::Invalid(why)) => panic!("{why}"),
        Err(InjectError::Findings(findings)) => panic!("{}", support::told(&findings)),
    }
}

fn take(definition: &TaskDefinition, component: &str) -> TaskDefinition {
    let catalog = support::catalog_and_shipped("tests/catalog");
    let taken = remove(definition, &catalog, &support::values(), component);
    taken.expect("it was injected").definition
}

fn errors(definition: &TaskDefinition) -> String {
    let located = read(&Source::new("task.json", definition.to_json())).expect("a definition");
    let findings = check(&located).into_iter();
    let errors = findings.filter(|one| one.severity == task_definition::Severity::Error);
    support::told(&errors.collect::<Vec<_>>())
}

#[test]
fn a_proxy_takes_over_the_port_and_the_app_keeps_to_itself() {
    let injected = put(&shop(), &tls());
    let task = &injected.definition;
    assert_eq!(errors(task), "no findings\n");

    let (web, proxy) = (
        task.container("web").expect("web"),
        task.container("tls-proxy").expect("it"),
    );

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
    assert_eq!(proxy.depends_on[0].container_name, "web");
    assert_eq!(proxy.log_configuration, web.log_configuration);
    assert_eq!(proxy.readonly_root_filesystem, Some(true));
    assert!(proxy.health_check.is_some() && proxy.stop_timeout.is_some() && proxy.user.is_some());

    // 400 + 64 of the cache + 64 of the proxy are more than 512.
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
fn an_app_that_cannot_be_told_where_to_listen_is_told_about() {
    let mut shop = shop();
    shop.container_definitions[0].environment.clear();
    let notes = put(&shop, &tls()).notes.join("\n");
    assert!(notes.contains("walks around"), "{notes}");
}

#[test]
fn a_second_time_nothing_changes_and_another_setting_changes_only_that() {
    let once = put(&shop(), &tls()).definition;
    assert_eq!(put(&once, &tls()).definition, once);
    // What is not said again stays: the certificate is still there.
    let changed = put(&once, &request("tls-proxy", &[("limits.idle", "9s")], &[])).definition;
    let proxy = changed.container("tls-proxy").expect("it");
    assert_eq!(proxy.variable("TLS_PROXY_LIMITS__IDLE"), Some("9s"));
    assert_eq!(proxy.secrets[0].value_from, CERTIFICATE);
    assert_eq!(changed.container("web"), once.container("web"));
}

#[test]
fn taken_out_again_the_definition_is_what_it_was() {
    let both = put(&put(&shop(), &tls()).definition, &auth()).definition;
    let both = put(&both, &request("telemetry-forwarder", &[], &[])).definition;
    assert_eq!(both.container_definitions.len(), 5);
    let mut left = both;
    for component in ["tls-proxy", "telemetry-forwarder", "auth-filter"] {
        left = take(&left, component);
        assert_eq!(errors(&left), "no findings\n");
    }
    assert_eq!(normalise(&left), normalise(&shop()));
}

#[test]
fn what_somebody_changes_in_between_stays_changed() {
    let mut task = put(&shop(), &tls()).definition;
    let web = task
        .container_definitions
        .iter_mut()
        .find(|one| one.name == "web")
        .expect("web");

    web.environment[0].value = "127.0.0.1:8080 # mine".to_owned();
    web.image = "web:1.3".to_owned();
    let left = take(&task, "tls-proxy");
    let web = left.container("web").expect("web");

    assert_eq!(web.variable("BIND"), Some("127.0.0.1:8080 # mine"));
    assert_eq!(web.image, "web:1.3");
    assert_eq!(web.port_mappings.len(), 1);
}

#[test]
fn two_proxies_make_a_chain_whoever_comes_first() {
    let one = put(&put(&shop(), &tls()).definition, &auth()).definition;
    let other = put(&put(&shop(), &auth()).definition, &tls()).definition;
    assert_eq!(one, other);
    assert_eq!(errors(&one), "no findings\n");

    let (outer, inner) = (
        one.container("tls-proxy").expect("outer"),
        one.container("auth-filter").expect("inner"),
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
        (outer.port_mappings.len(), inner.port_mappings.len()),
        (1, 0)
    );
}

#[test]
fn a_sidecar_is_told_to_everybody_and_nobody_loses_a_word_of_his_own() {
    let mut shop = shop();
    shop.container_definitions[1].environment = vec![task_definition::KeyValue {
        name: "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(),
        value: "http://elsewhere:4318".to_owned(),
    }];

    let injected = put(&shop, &request("telemetry-forwarder", &[], &[]));
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
            .and_then(|one| one.essential),
        Some(false)
    );
}

#[test]
fn what_is_missing_or_taken_is_refused() {
    let missing = try_into(&shop(), &request("tls-proxy", &[], &[]));
    let Err(InjectError::Findings(findings)) = missing else {
        panic!("{missing:?}")
    };

    assert_eq!(findings[0].rule, "M12");
    let mut taken = shop();
    taken.container_definitions[1].name = "tls-proxy".to_owned();
    taken.container_definitions[0].depends_on.clear();

    for (definition, request) in [
        (&taken, tls()),
        (&shop(), request("tls-prox", &[], &[])),
        (&shop(), request("coins", &[], &[])),
    ] {
        let refused = try_into(definition, &request);
        assert!(
            matches!(refused, Err(InjectError::Invalid(_))),
            "{refused:?}"
        );
    }

    let mut closed = shop();
    closed.container_definitions[0].port_mappings.clear();
    let refused = try_into(&closed, &tls());
    assert!(
        matches!(&refused, Err(InjectError::Invalid(why)) if why.contains("--port")),
        "{refused:?}"
    );

    let named = InjectRequest {
        port: Some(8080),
        ..tls()
    };
    assert_eq!(errors(&put(&closed, &named).definition), "no findings\n");
}

#[test]
fn images_of_others_can_be_injected_too() {
    let agent = request(
        "datadog-agent",
        &[("site", "datadoghq.eu")],
        &[("api_key", CERTIFICATE)],
    );
    let task = put(
        &put(&shop(), &request("nginx", &[], &[])).definition,
        &agent,
    )
    .definition;

    assert_eq!(errors(&task), "no findings\n");
    let nginx = task.container("nginx").expect("nginx");

    // The app keeps its port, so the proxy takes the next one.
    assert_eq!(nginx.variable("NGINX_LISTEN"), Some("0.0.0.0:8081"));
    assert_eq!(nginx.variable("NGINX_UPSTREAM"), Some("127.0.0.1:8080"));
    assert_eq!(task.volumes.len(), 3);
    assert_eq!(
        normalise(&take(&take(&task, "nginx"), "datadog-agent")),
        normalise(&shop())
    );
}

#[test]
fn a_port_that_a_container_listens_on_is_not_given_out_again() {
    let mut shop = shop();
    let variable = |name: &str, value: &str| task_definition::KeyValue {
        name: name.to_owned(),
        value: value.to_owned(),
    };

    shop.container_definitions[1].environment = vec![
        variable("CACHE_LISTEN", "127.0.0.1:8443"),
        variable("CACHE_UPSTREAM", "127.0.0.1:8444"),
    ];

    let task = put(&shop, &tls()).definition;
    let proxy = task.container("tls-proxy").expect("it");
    assert_eq!(proxy.variable("TLS_PROXY_LISTEN"), Some("0.0.0.0:8444"));
    assert_eq!(proxy.port_mappings[0].container_port, Some(8444));
}
