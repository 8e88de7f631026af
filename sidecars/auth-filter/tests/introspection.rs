//! Opaque tokens: the server that issued them is asked, and not more often than needed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod support;

use auth_filter::Config;
use serde_json::{Value, json};
use support::harness::{Harness, claims, now};
use support::issuer::Issuer;
use support::upstream::{RecordedRequest, Recorder};

fn configure(config: &mut Config, settings: Value) {
    let mut written = serde_json::to_value(&*config).unwrap();
    for (name, value) in settings.as_object().unwrap() {
        written[name] = value.clone();
    }
    *config = serde_json::from_value(written).unwrap();
}

/// Starts a filter that trusts an issuer for JWTs and asks `address` about other tokens.
async fn harness(address: &str, more: Value) -> Harness {
    let mut introspection = json!({
        "url": format!("http://{address}/introspect"), "client_id": "filter:1",
        "client_secret": "s p", "audience": "coins", "issuer": "https://opaque.test",
    });
    for (name, value) in more.as_object().unwrap() {
        introspection[name] = value.clone();
    }
    Harness::with(|config| configure(config, json!({"introspection": introspection}))).await
}

async fn get(harness: &Harness, token: &str) -> (u16, Option<RecordedRequest>) {
    let answer = harness.get("/", token).await;
    let mut received = harness.upstream.take();
    assert!(received.len() < 2);
    (answer.status(), received.pop())
}

fn active() -> Value {
    json!({"active": true, "sub": "ada", "aud": "coins", "scope": "coins.read",
        "client_id": "web", "exp": now() + 300, "token_type": "Bearer"})
}

#[tokio::test]
async fn asks_the_server_about_opaque_tokens() {
    let server = Recorder::new().await;
    let harness = harness(&server.address.to_string(), json!({})).await;
    // The recorder answers `ok`, which is no decision.
    assert_eq!(get(&harness, "opaque+/=").await, (503, None));

    let asked = server.take().remove(0);
    assert_eq!(asked.line, "POST /introspect HTTP/1.1");
    // `filter%3A1:s%20p`, as RFC 6749 section 2.3.1 encodes both.
    assert_eq!(
        asked.header("authorization"),
        ["Basic ZmlsdGVyJTNBMTpzJTIwcA=="]
    );
    let form = String::from_utf8(asked.body).unwrap();
    assert_eq!(form, "token_type_hint=access_token&token=opaque%2B%2F%3D");
}

#[tokio::test]
async fn accepts_active_tokens_and_caches_them() {
    let server = Issuer::new(&active()).await;
    let harness = harness(&server.address.to_string(), json!({})).await;
    for _ in 0..3 {
        let (status, received) = get(&harness, "opaque").await;
        assert_eq!(status, 200);
        let received = received.unwrap();
        assert_eq!(received.header("x-auth-subject"), ["ada"]);
        assert_eq!(received.header("x-auth-issuer"), ["https://opaque.test"]);
        assert_eq!(received.header("x-auth-scopes"), ["coins.read"]);
        assert_eq!(received.header("x-auth-client"), ["web"]);
        assert!(received.header("authorization").is_empty());
    }
    assert_eq!(server.requests().len(), 1);

    // One more byte is another token.
    server.publish(&json!({"active": false}));
    assert_eq!(get(&harness, "opaque1").await, (401, None));
    assert_eq!(get(&harness, "opaque").await.0, 200);
}

#[tokio::test]
async fn rejects_tokens_that_are_inactive_or_for_others() {
    let server = Issuer::new(&active()).await;
    let harness = harness(&server.address.to_string(), json!({})).await;
    let changed = |name: &str, value: Value| {
        let mut response = active();
        response[name] = value;
        response
    };

    for (number, response) in [
        json!({"active": false}),
        json!({"active": false, "sub": "ada", "aud": "coins"}),
        changed("aud", json!("other")),
        changed("aud", json!("coins.evil")),
        changed("aud", Value::Null),
        changed("iss", json!("https://other.test")),
        changed("exp", json!(now() - 3600)),
        changed("nbf", json!(now() + 3600)),
        changed("exp", json!("never")),
        // Active, and no access token.
        changed("token_type", json!("DPoP")),
        changed("token_type", json!("refresh_token")),
        changed("token_use", json!("refresh_token")),
        changed("typ", json!("Refresh")),
        changed("typ", json!("ID")),
    ]
    .into_iter()
    .enumerate()
    {
        server.publish(&response);
        let token = format!("token{number}");
        assert_eq!(get(&harness, &token).await, (401, None), "{response}");
    }

    for (number, response) in [
        r#"{"active": "true"}"#,
        r#"{"active": 1}"#,
        r#"{"active": false, "active": true}"#,
        "{}",
        "[true]",
        "true",
    ]
    .into_iter()
    .enumerate()
    {
        server.answer("200 OK", response);
        let token = format!("broken{number}");
        assert_eq!(get(&harness, &token).await, (503, None), "{response}");
    }

    for status in ["401 Unauthorized", "302 Found", "500 Internal Server Error"] {
        server.answer(status, &active().to_string());
        assert_eq!(
            get(&harness, status.split(' ').next().unwrap()).await,
            (503, None)
        );
    }
    let large = format!("{{\"active\":true,\"x\":\"{}\"}}", "x".repeat(70_000));
    server.answer("200 OK", &large);
    assert_eq!(get(&harness, "large").await, (503, None));
}

#[tokio::test]
async fn invalid_tokens_are_cached_and_failures_are_not() {
    let server = Issuer::new(&json!({"active": false})).await;
    let harness = harness(&server.address.to_string(), json!({})).await;
    for _ in 0..5 {
        assert_eq!(get(&harness, "unknown").await, (401, None));
    }
    assert_eq!(server.requests().len(), 1);

    server.answer("500 Internal Server Error", "");
    assert_eq!(get(&harness, "opaque").await, (503, None));
    server.publish(&active());
    assert_eq!(get(&harness, "opaque").await.0, 200);
}

#[tokio::test]
async fn a_cache_time_of_zero_asks_every_time() {
    let server = Issuer::new(&active()).await;
    let settings = json!({"cache_ttl": "0s", "negative_cache_ttl": "0s"});
    let harness = harness(&server.address.to_string(), settings).await;
    assert_eq!(get(&harness, "opaque").await.0, 200);
    server.publish(&json!({"active": false}));
    assert_eq!(get(&harness, "opaque").await, (401, None), "revoked");
    server.publish(&active());
    assert_eq!(get(&harness, "opaque").await.0, 200);
}

#[tokio::test]
async fn jwts_are_left_to_the_keys_of_their_issuer() {
    let server = Issuer::new(&active()).await;
    let harness = harness(&server.address.to_string(), json!({})).await;
    assert_eq!(get(&harness, &harness.token("")).await.0, 200);
    // The server would accept it; the signature decides.
    let mut expired = claims();
    expired["exp"] = json!(now() - 3600);
    let expired = harness.signer.token(&expired);
    assert_eq!(get(&harness, &expired).await, (401, None));
    assert_eq!(get(&harness, "a.b.c").await, (401, None));
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn the_number_of_requests_at_a_time_is_limited() {
    let server = Issuer::new(&active()).await;
    server.hold_responses(true);
    let settings = json!({"max_requests": 2, "timeout": "30s"});
    let harness = harness(&server.address.to_string(), settings).await;
    let requests: Vec<_> = (0..20)
        .map(|number| {
            let address = harness.filter.address;
            let line = format!("Authorization: Bearer made-up-{number}");
            let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n");
            tokio::spawn(async move { support::harness::send(address, &request).await.status() })
        })
        .collect();

    support::until("two requests", || server.requests().len() == 2).await;
    // Requests that need no introspection pass, and give the others time to be sent.
    for _ in 0..20 {
        let status = harness.get("/", &harness.token("")).await.status();
        assert_eq!(status, 200);
    }
    assert_eq!(server.requests().len(), 2);

    server.hold_responses(false);
    for request in requests {
        assert_eq!(request.await.unwrap(), 200);
    }
    assert_eq!(server.requests().len(), 20);
}
