//! External services made for Envoy and for Traefik: what they are asked, and which headers of their
//! responses reach the app and the client.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod support;

use auth_filter::Config;
use chassis::Settings;
use serde_json::{Value, json};
use support::harness::{Harness, RawResponse};
use support::issuer::Issuer;
use support::upstream::Recorder;

fn configure(config: &mut Config, settings: Value) {
    let mut written = serde_json::to_value(&*config).unwrap();
    for (name, value) in settings.as_object().unwrap() {
        written[name] = value.clone();
    }
    *config = serde_json::from_value(written).unwrap();
}

async fn harness(external: Value) -> Harness {
    Harness::with(|config| configure(config, json!({"external": external}))).await
}

fn respond(service: &Issuer, status: &str, headers: &str) {
    service.answer_raw(format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n"
    ));
}

fn cookies(answer: &RawResponse) -> Vec<&str> {
    let lines = answer.0.lines();
    lines
        .filter_map(|line| line.strip_prefix("set-cookie: "))
        .collect()
}

#[tokio::test]
async fn passes_only_the_chosen_headers_of_the_service() {
    let service = Issuer::new(&json!({})).await;
    let harness = harness(json!({
        "url": format!("http://{}", service.address),
        "app_headers": ["x-tenant", "authorization"],
        "client_headers": ["set-cookie"],
    }))
    .await;
    respond(
        &service,
        "200 OK",
        "x-auth-subject: ada\r\nx-tenant: a\r\nx-tenant: b\r\nauthorization: Basic eA==\r\n\
         x-other: 1\r\nset-cookie: s=1\r\nset-cookie: t=2\r\n",
    );

    // The client's own headers of these names, in any spelling, do not reach the app.
    let forged =
        "X-Tenant: root\r\nX_Tenant: root\r\nx.tenant: root\r\nAuthorization: Basic eQ==\r\n";
    let answer = harness
        .send(format!("GET / HTTP/1.1\r\nHost: a\r\n{forged}\r\n"))
        .await;
    assert_eq!(answer.status(), 200);
    assert_eq!(cookies(&answer), ["s=1", "t=2"]);

    let received = harness.upstream.take().remove(0);
    assert_eq!(received.header("x-tenant"), ["a", "b"]);
    assert_eq!(received.header("authorization"), ["Basic eA=="]);
    for absent in ["x_tenant", "x.tenant", "x-other", "set-cookie"] {
        assert!(received.header(absent).is_empty(), "{absent}");
    }

    // With another credential the service is not asked, and the names stay reserved.
    let token = harness.token("");
    let request = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Tenant: root\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    assert_eq!(harness.send(request).await.status(), 200);
    let received = harness.upstream.take().remove(0);
    assert!(received.header("x-tenant").is_empty());
    assert!(received.header("authorization").is_empty());
}

#[tokio::test]
async fn passes_cookies_with_a_redirect_to_the_login_page() {
    let service = Issuer::new(&json!({})).await;
    let url = format!("http://{}", service.address);
    let harness = harness(json!({"url": url, "client_headers": ["set-cookie"]})).await;
    let headers = "location: https://login.test/\r\nset-cookie: csrf=1\r\nx-secret: 1\r\n";
    respond(&service, "302 Found", headers);

    let answer = harness.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(answer.status(), 302);
    assert_eq!(answer.header("location"), Some("https://login.test/"));
    assert_eq!(cookies(&answer), ["csrf=1"]);
    assert_eq!(answer.header("x-secret"), None);
}

#[tokio::test]
async fn asks_forward_auth_services_at_their_own_url() {
    let service = Recorder::new().await;
    let harness = harness(json!({
        "url": format!("http://{}/oauth2/auth?groups=a", service.address),
        "protocol": "forward_auth", "headers": ["cookie", "x-forwarded-proto"],
    }))
    .await;
    let request = "POST /admin?x=1 HTTP/1.1\r\nHost: app.test\r\nX-Forwarded-Proto: https\r\n\
                   X-Forwarded-Uri: /public\r\nCookie: s=1\r\nContent-Length: 1\r\n\r\nx";
    assert_eq!(harness.send(request).await.status(), 200);

    let asked = service.take().remove(0);
    assert_eq!(asked.line, "GET /oauth2/auth?groups=a HTTP/1.1");
    for (name, value) in [
        ("x-forwarded-method", "POST"),
        ("x-forwarded-uri", "/admin?x=1"),
        ("x-forwarded-host", "app.test"),
        ("x-forwarded-proto", "https"),
        ("cookie", "s=1"),
        ("host", &service.address.to_string()),
    ] {
        assert_eq!(asked.header(name), [value], "{name}");
    }
    assert!(asked.body.is_empty());
}

#[tokio::test]
async fn forward_auth_takes_any_success_and_fails_closed() {
    let service = Issuer::new(&json!({})).await;
    let url = format!("http://{}/auth", service.address);
    let harness = harness(json!({"url": url, "protocol": "forward_auth"})).await;
    for (status, expected) in [
        ("200 OK", 200),
        ("202 Accepted", 200),
        ("204 No Content", 200),
        ("307 Temporary Redirect", 307),
        ("401 Unauthorized", 401),
        ("403 Forbidden", 403),
        ("304 Not Modified", 503),
        ("404 Not Found", 503),
        ("500 Internal Server Error", 503),
    ] {
        let length = if status.starts_with("204") {
            ""
        } else {
            "content-length: 0\r\n"
        };
        service.answer_raw(format!(
            "HTTP/1.1 {status}\r\n{length}connection: close\r\n\r\n"
        ));
        let answer = harness.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert_eq!(answer.status(), expected, "{status}");
    }
}

#[test]
fn headers_of_connections_lengths_and_the_identity_cannot_be_passed() {
    for (setting, name) in [
        ("app_headers", "content-length"),
        ("app_headers", "Transfer-Encoding"),
        ("app_headers", "x-auth-subject"),
        ("app_headers", "host"),
        ("client_headers", "connection"),
        ("client_headers", "a b"),
        ("headers", "upgrade"),
    ] {
        let mut config = Config {
            upstream: "http://127.0.0.1:8080".into(),
            ..Config::default()
        };
        let external = json!({"url": "http://127.0.0.1:9000", setting: [name]});
        configure(&mut config, json!({"external": external}));
        let problems = config.problems();
        let settings: Vec<&str> = problems.iter().map(|p| p.setting.as_str()).collect();
        assert_eq!(settings, [format!("external.{setting}")], "{name}");
    }
}
