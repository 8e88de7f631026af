//! The filter from the client's and the app's side.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod support;

use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use support::harness::{Harness, ISSUER, claims, now};
use support::signer::{Signer, b64};
use support::until;

#[tokio::test]
async fn answers_401_without_a_token() {
    let harness = Harness::new().await;
    let answer = harness
        .send("GET /v1/coins HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;

    assert_eq!(answer.status(), 401);
    assert_eq!(
        answer.header("www-authenticate"),
        Some("Bearer realm=\"auth-filter\"")
    );
    assert!(
        answer
            .0
            .ends_with(r#"{"error":{"code":"no_token","message":"a bearer token is required"}}"#)
    );
    assert!(harness.upstream.take().is_empty());
}

#[tokio::test]
async fn sets_identity_headers_and_strips_client_ones() {
    let harness = Harness::new().await;
    let mut claims = claims();
    claims["scope"] = json!("coins.read coins.write");
    claims["azp"] = json!("web");

    let token = harness.signer.token(&claims);
    let answer = harness
        .send(format!(
            "POST /v1/coins?side=both HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer {token}\r\n\
             X-Auth-Subject: root\r
x_auth_subject: root\r\nX.Auth.Scopes: admin\r\n\
             X-Auth-Roles: admin\r\nX-Forwarded-User: root\r\nX-Original-URL: /admin\r\n\
             X-Amzn-Mtls-Clientcert-Subject: CN=root\r\nX-SSL-Client-Verify: SUCCESS\r\n\
             Proxy: http://evil.test\r\nX-Forwarded-Client-Cert: Hash=00\r\n\
             X_Forwarded_Client_Cert: Hash=00\r\n\
             X-Forwarded-For: 10.1.2.3\r\nContent-Length: 5\r\n\r\nphoto"
        ))
        .await;

    assert_eq!(answer.status(), 200);
    assert!(answer.0.ends_with("ok"));
    let [received] = &harness.upstream.take()[..] else {
        panic!("not one request")
    };

    assert_eq!(received.line, "POST /v1/coins?side=both HTTP/1.1");
    assert_eq!(received.body, b"photo");
    assert_eq!(received.header("host"), ["app.test"]);
    assert_eq!(received.header("x-auth-subject"), ["ada"]);
    assert_eq!(received.header("x-auth-issuer"), [ISSUER]);
    assert_eq!(received.header("x-auth-scopes"), ["coins.read coins.write"]);
    assert_eq!(received.header("x-auth-client"), ["web"]);
    assert_eq!(received.header("x-forwarded-for"), ["10.1.2.3"]);

    for gone in [
        "authorization",
        "x_auth_subject",
        "x.auth.scopes",
        "x-auth-roles",
        "x-forwarded-user",
        "x-original-url",
        "x-amzn-mtls-clientcert-subject",
        "x-ssl-client-verify",
        "proxy",
        "x-forwarded-client-cert",
        "x_forwarded_client_cert",
    ] {
        // Neither the token nor anything the client claims about itself.
        assert!(received.header(gone).is_empty(), "{gone}");
    }
}

#[tokio::test]
async fn rejects_invalid_tokens_without_a_reason() {
    let harness = Harness::new().await;
    let good = claims();
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        harness.signer.token(&claims)
    };
    let without = |name: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(name);
        harness.signer.token(&claims)
    };

    let payload = good.to_string();
    let untrusted = Signer::p256("first");
    let header = |value: Value| harness.signer.sign(&value, payload.as_bytes());

    for (case, token) in [
        // 61 s ago: one second beyond the leeway of 60 s.
        ("expired", with("exp", json!(now() - 61))),
        (
            "expiry as text",
            with("exp", json!((now() + 300).to_string())),
        ),
        ("no expiry", without("exp")),
        ("not yet", with("nbf", json!(now() + 120))),
        ("not before as text", with("nbf", json!("0"))),
        // `coin` is a prefix of the expected `coins`.
        ("another audience", with("aud", json!("coin"))),
        ("no audience", without("aud")),
        ("another issuer", with("iss", json!("https://issuer.test/"))),
        ("issuer in a list", with("iss", json!([ISSUER]))),
        ("no issuer", without("iss")),
        ("another key with the same id", untrusted.token(&good)),
        (
            "crit",
            header(json!({"alg": "ES256", "kid": "first", "crit": ["x"], "x": 1})),
        ),
        (
            "b64",
            header(json!({"alg": "ES256", "kid": "first", "b64": false})),
        ),
        (
            "a logout token",
            header(json!({"alg": "ES256", "kid": "first", "typ": "logout+jwt"})),
        ),
        (
            "a key that is a path",
            header(json!({"alg": "ES256", "kid": "../../../etc/passwd"})),
        ),
        (
            "none",
            format!("{}.{}.", b64(br#"{"alg":"none"}"#), b64(payload.as_bytes())),
        ),
        ("five parts", "a.b.c.d.e".to_owned()),
        ("no token at all", "x".to_owned()),
    ] {
        let answer = harness.get("/v1/coins", &token).await;
        assert_eq!(answer.status(), 401, "{case}");
        let challenge = "Bearer realm=\"auth-filter\", error=\"invalid_token\"";
        assert_eq!(answer.header("www-authenticate"), Some(challenge), "{case}");
        assert!(
            answer
                .0
                .ends_with(r#""message":"the token is not valid here"}}"#),
            "{case}"
        );
    }

    assert!(harness.upstream.take().is_empty());
    assert_eq!(
        harness
            .get("/v1/coins", &harness.signer.token(&good))
            .await
            .status(),
        200
    );
}

#[tokio::test]
async fn tolerates_clock_skew_within_the_leeway() {
    let harness = Harness::new().await;
    let mut claims = claims();
    // Half of the default leeway of 60 s, in both directions.
    claims["exp"] = json!(now() - 30);
    claims["nbf"] = json!(now() + 30);
    assert_eq!(
        harness
            .get("/", &harness.signer.token(&claims))
            .await
            .status(),
        200
    );
}

#[tokio::test]
async fn accepts_tokens_without_a_key_id() {
    let harness = Harness::new().await;
    let token = harness
        .signer
        .sign(&json!({"alg": "ES256"}), claims().to_string().as_bytes());
    assert_eq!(harness.get("/", &token).await.status(), 200);
    // Without `kid` all keys are tried; none of them is this one.
    let untrusted = Signer::p256("first");
    let token = untrusted.sign(&json!({"alg": "ES256"}), claims().to_string().as_bytes());
    assert_eq!(harness.get("/", &token).await.status(), 401);
}

#[tokio::test]
async fn accepts_tokens_only_in_the_authorization_header() {
    let harness = Harness::new().await;
    let token = harness.token("");
    for request in [
        format!("GET /?access_token={token} HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: access_token={token}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: a\r\nX-Amzn-Oidc-Data: {token}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {token}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Bearer {token}\r\n\r\n"),
    ] {
        assert_eq!(harness.send(&request).await.status(), 401, "{request}");
    }

    let duplicated = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
         Authorization: Bearer {token}\r\n\r\n"
    );
    let answer = harness.send(&duplicated).await;

    assert_eq!(answer.status(), 400);
    let challenge = "Bearer realm=\"auth-filter\", error=\"invalid_request\"";
    assert_eq!(answer.header("www-authenticate"), Some(challenge));
    assert!(harness.upstream.take().is_empty());
}

fn rules() -> Value {
    json!([
        {"method": "GET", "path": "/healthz", "public": true},
        {"method": ["GET", "HEAD"], "path": "/v1/**", "scopes": ["coins.read"]},
        {"method": "POST", "path": "/v1/coins", "scopes": ["coins.read", "coins.write"]},
        {"path": "/me"},
    ])
}

#[tokio::test]
async fn rules_require_scopes() {
    let harness = Harness::with_rules(rules()).await;
    let (none, read) = (harness.token(""), harness.token("other coins.read"));
    assert_eq!(harness.get("/me", &none).await.status(), 200);
    assert_eq!(harness.get("/v1/coins", &read).await.status(), 200);

    let answer = harness.get("/v1/coins", &none).await;
    assert_eq!(answer.status(), 403);
    let challenge =
        "Bearer realm=\"auth-filter\", error=\"insufficient_scope\", scope=\"coins.read\"";

    assert_eq!(answer.header("www-authenticate"), Some(challenge));
    // Authenticated clients get 403 for paths without a rule.
    assert_eq!(harness.get("/other", &read).await.status(), 403);
    assert_eq!(harness.get("/healthz/x", &read).await.status(), 403);

    let post = format!(
        "POST /v1/coins HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {read}\r\nContent-Length: 0\r\n\r\n"
    );
    assert_eq!(harness.send(&post).await.status(), 403);

    // Scopes are compared as whole words.
    assert_eq!(
        harness
            .get("/v1/coins", &harness.token("coins.reader"))
            .await
            .status(),
        403
    );
}

#[tokio::test]
async fn unauthenticated_clients_cannot_discover_rules() {
    let harness = Harness::with_rules(rules()).await;
    for path in ["/v1/coins", "/me", "/other"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(harness.send(&request).await.status(), 401, "{path}");
    }
}

#[tokio::test]
async fn public_requests_carry_no_identity() {
    let harness = Harness::with(|config| {
        config.rules = serde_json::from_value(rules()).unwrap();
        config.forward_authorization = true;
    })
    .await;

    for token in ["nonsense".to_owned(), harness.token("coins.read")] {
        let answer = harness
            .send(format!(
                "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Auth-Subject: root\r\n\
                 Authorization: Bearer {token}\r\n\r\n"
            ))
            .await;

        assert_eq!(answer.status(), 200);
        let [received] = &harness.upstream.take()[..] else {
            panic!("not one request")
        };

        assert!(received.header("x-auth-subject").is_empty());
        assert!(received.header("authorization").is_empty(), "not verified");
    }
}

#[tokio::test]
async fn forwards_the_verified_token_when_configured() {
    let harness = Harness::with(|config| config.forward_authorization = true).await;
    let token = harness.token("");
    harness.get("/", &token).await;
    let [received] = &harness.upstream.take()[..] else {
        panic!("not one request")
    };
    assert_eq!(
        received.header("authorization"),
        [format!("Bearer {token}")]
    );
}

#[tokio::test]
async fn claims_cannot_inject_headers() {
    let harness = Harness::new().await;
    for subject in [
        "a\r\nX-Auth-Scopes: admin",
        "a\nb",
        "a\u{0}b",
        " a",
        "\u{85}",
    ] {
        let mut claims = claims();
        claims["sub"] = json!(subject);
        assert_eq!(
            harness
                .get("/", &harness.signer.token(&claims))
                .await
                .status(),
            200
        );
        let [received] = &harness.upstream.take()[..] else {
            panic!("not one request")
        };

        // An unusable subject leaves out the header; nothing else changes.
        assert!(received.header("x-auth-subject").is_empty(), "{subject:?}");
        assert!(received.header("x-auth-scopes").is_empty(), "{subject:?}");
    }
}

#[tokio::test]
async fn unreachable_app_is_503_and_not_ready() {
    // A port that was free a moment ago refuses connections.
    let gone = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };

    let harness =
        Harness::without_waiting(|config| config.upstream = format!("http://{gone}")).await;
    until("keys", || {
        harness.filter.readiness.waiting_for() == ["upstream"]
    })
    .await;
    let answer = harness.get("/", &harness.token("")).await;

    assert_eq!(answer.status(), 503);
    assert_eq!(answer.header("retry-after"), Some("1"));
}

async fn http2(harness: &Harness, request: http::request::Builder) -> u16 {
    let stream = tokio::net::TcpStream::connect(harness.filter.address)
        .await
        .unwrap();
    let io = TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    let driving = tokio::spawn(connection);
    let request = request
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .unwrap();
    let status = sender.send_request(request).await.unwrap().status();

    driving.abort();
    status.as_u16()
}

#[tokio::test]
async fn accepts_http2_and_sets_host_for_an_http1_app() {
    let harness = Harness::new().await;
    let request = |token: &str| {
        http::Request::get("http://app.test/v1/coins?x=1")
            .header("authorization", format!("Bearer {token}"))
    };

    assert_eq!(http2(&harness, request("x")).await, 401);
    assert_eq!(
        http2(
            &harness,
            request(&harness.token("")).header("host", "b.test")
        )
        .await,
        400
    );
    assert!(harness.upstream.take().is_empty());
    assert_eq!(http2(&harness, request(&harness.token(""))).await, 200);
    let [received] = &harness.upstream.take()[..] else {
        panic!("not one request")
    };

    assert_eq!(received.line, "GET /v1/coins?x=1 HTTP/1.1");
    assert_eq!(received.header("host"), ["app.test"]);
}

#[tokio::test]
async fn rejection_reaches_a_client_that_is_still_sending() {
    let harness = Harness::new().await;
    // More than the socket buffers hold, so the client is still sending when it is rejected.
    for megabytes in [1, 8, 32] {
        let photo = "x".repeat(megabytes << 20);
        let length = photo.len();
        let head =
            format!("POST /v1/coins HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");

        assert_eq!(
            harness.send(head + &photo).await.status(),
            401,
            "{megabytes} MiB"
        );
    }
}

#[tokio::test]
async fn rejection_reaches_a_proxy_that_is_still_sending() {
    use chassis::http::{Upstream, UpstreamLimits, full};
    let harness = Harness::new().await;
    let proxy = format!("http://{}", harness.filter.address);
    let proxy = Upstream::new(&proxy, UpstreamLimits::default()).unwrap();
    for _ in 0..20 {
        let body = full(vec![b'x'; 8 << 20]);
        let request = http::Request::post("http://a/v1/coins").body(body).unwrap();
        assert_eq!(proxy.send(request).await.unwrap().status(), 401);
    }
}

#[tokio::test]
async fn continues_the_trace() {
    let harness = Harness::new().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let token = harness.token("");
    let request = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
         Traceparent: {trace}\r\nTracestate: a=b\r\n\r\n"
    );

    assert_eq!(harness.send(request).await.status(), 200);
    let [received] = &harness.upstream.take()[..] else {
        panic!("not one request")
    };
    let [parent] = received.header("traceparent")[..] else {
        panic!("not one parent")
    };

    // Version and trace id; the span id after it is the filter's.
    assert_eq!(parent[..36], trace[..36], "the same trace id");
    assert_eq!(received.header("tracestate"), ["a=b"]);
}

#[tokio::test]
async fn returns_after_shutdown() {
    let mut harness = Harness::new().await;
    harness.filter.trigger.take().unwrap().fire();
    until("the end", || harness.filter.task.is_finished()).await;
    (&mut harness.filter.task).await.unwrap();
}
