//! Every kind of credential, tested from the client's and the app's side.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod support;

use std::time::Duration;

use auth_filter::Config;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};
use support::harness::{Harness, ISSUER, claims, now};
use support::issuer::Issuer;
use support::signer::{Pair, Signer, b64, jwks};
use support::upstream::{RecordedRequest, Recorder};

fn configure(config: &mut Config, settings: Value) {
    let mut written = serde_json::to_value(&*config).unwrap();
    for (name, value) in settings.as_object().unwrap() {
        written[name] = value.clone();
    }
    *config = serde_json::from_value(written).unwrap();
}

/// Sends a GET with these header lines and returns the status and the request that reached the app.
async fn get(harness: &Harness, path: &str, headers: &str) -> (u16, Option<RecordedRequest>) {
    let answer = harness
        .send(format!(
            "GET {path} HTTP/1.1\r\nHost: a.test\r\n{headers}\r\n"
        ))
        .await;
    let mut received = harness.upstream.take();
    assert!(received.len() < 2);
    (answer.status(), received.pop())
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

#[tokio::test]
async fn checks_each_issuer_against_its_own_keys_audiences_and_claims() {
    let other = Signer::rsa("first");
    let second = Issuer::new(&jwks(&[&other])).await;
    let harness = Harness::with(|config| {
        // Shaped like a Cognito access token: no `aud`, the client id instead.
        let pool = json!({
            "issuer": "https://cognito.test/pool", "audience": ["app-1", "app-2"],
            "audience_claim": "client_id", "jwks": second.url(), "algorithms": ["RS256"],
            "required": {"token_use": "access"}, "scope_claim": "/realm/roles",
        });
        configure(config, json!({"issuers": [pool]}));
    })
    .await;

    let good = json!({
        "iss": "https://cognito.test/pool", "client_id": "app-2", "sub": "eve",
        "exp": now() + 300, "token_use": "access", "realm": {"roles": ["read", "write"]},
    });
    let (status, received) = get(&harness, "/", &bearer(&other.token(&good))).await;

    assert_eq!(status, 200);
    let received = received.unwrap();
    assert_eq!(received.header("x-auth-subject"), ["eve"]);
    assert_eq!(
        received.header("x-auth-issuer"),
        ["https://cognito.test/pool"]
    );
    assert_eq!(received.header("x-auth-scopes"), ["read write"]);
    assert_eq!(received.header("x-auth-client"), ["app-2"]);
    assert_eq!(get(&harness, "/", &bearer(&harness.token(""))).await.0, 200);

    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let mut ours_by_them = claims();

    ours_by_them["client_id"] = json!("app-1");
    let theirs_by_us = harness.signer.token(&good);
    for (what, token) in [
        (
            "another client",
            other.token(&with("client_id", json!("app-3"))),
        ),
        // Id tokens of the same client are not for APIs.
        ("an id token", other.token(&with("token_use", json!("id")))),
        (
            "an unknown issuer",
            other.token(&with("iss", json!("https://x.test"))),
        ),
        ("our issuer by their key", other.token(&ours_by_them)),
        ("their issuer by our key", theirs_by_us),
        // Issuer selection and the claims check must not use different duplicates.
        ("an issuer twice", {
            let header = json!({"alg": "RS256", "kid": "first"});
            let text = good
                .to_string()
                .replace('{', "{\"iss\":\"https://issuer.test\",");
            other.sign(&header, text.as_bytes())
        }),
    ] {
        assert_eq!(
            get(&harness, "/", &bearer(&token)).await,
            (401, None),
            "{what}"
        );
    }
}

#[tokio::test]
async fn an_unreachable_issuer_does_not_block_the_others() {
    let away = Issuer::new(&json!({})).await;
    // Connections are accepted but never answered, as behind a broken load balancer.
    away.hold_responses(true);
    let harness = Harness::with(|config| {
        let issuer = json!({"issuer": "https://away.test", "audience": "x", "jwks": away.url()});
        configure(config, json!({"issuers": [issuer]}));
    })
    .await;

    assert_eq!(get(&harness, "/", &bearer(&harness.token(""))).await.0, 200);
    let theirs = json!({"iss": "https://away.test", "aud": "x", "exp": now() + 300});
    let theirs = bearer(&harness.signer.token(&theirs));
    assert_eq!(get(&harness, "/", &theirs).await, (503, None));
}

#[tokio::test]
async fn cached_token_ends_with_its_expiry_or_its_key() {
    let harness = Harness::with(|config| {
        configure(
            config,
            json!({"leeway": "0s", "jwks_refresh_interval": "50ms"}),
        );
    })
    .await;
    let mut ending = claims();

    ending["exp"] = json!(now() + 2);
    // Both are cached by the first round.
    let ending = bearer(&harness.signer.token(&ending));
    let lasting = bearer(&harness.token(""));

    // The second and third request are answered from the cache.
    for _ in 0..3 {
        assert_eq!(get(&harness, "/", &ending).await.0, 200);
        assert_eq!(get(&harness, "/", &lasting).await.0, 200);
    }

    let until = std::time::Instant::now() + Duration::from_secs(10);
    while get(&harness, "/", &ending).await.0 == 200 {
        assert!(std::time::Instant::now() < until, "an expired token passes");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    assert_eq!(get(&harness, "/", &lasting).await.0, 200);
    harness.issuer.publish(&jwks(&[&Signer::p256("second")]));
    while get(&harness, "/", &lasting).await.0 == 200 {
        assert!(
            std::time::Instant::now() < until,
            "a revoked key is believed"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn caching_does_not_accept_other_tokens() {
    let harness = Harness::new().await;
    let good = harness.token("");
    assert_eq!(get(&harness, "/", &bearer(&good)).await.0, 200);

    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let mut root = claims();
    root["sub"] = json!("root");

    let forged = format!("{header}.{}.{signature}", b64(root.to_string().as_bytes()));
    for token in [forged, format!("{good}A"), format!("{signed}.")] {
        assert_eq!(
            get(&harness, "/", &bearer(&token)).await,
            (401, None),
            "{token}"
        );
    }
}

#[tokio::test]
async fn authenticates_api_keys_and_strips_them() {
    let hash = sha256("key-of-ada");
    let harness = Harness::with(|config| {
        let keys = json!([{"id": "ada", "sha256": hash, "scopes": ["coins.read"]}]);
        let rules = json!([
            {"path": "/open", "public": true},
            {"path": "/tokens", "credentials": ["token"]},
            {"path": "/**", "scopes": ["coins.read"]},
        ]);
        configure(config, json!({"api_keys": keys, "rules": rules}));
    })
    .await;

    let key = "X-Api-Key: key-of-ada\r\n";
    let (status, received) = get(&harness, "/v1/coins", key).await;
    assert_eq!(status, 200);

    let received = received.unwrap();
    assert_eq!(received.header("x-auth-subject"), ["ada"]);
    assert_eq!(received.header("x-auth-issuer"), ["api-key"]);
    assert!(received.header("x-api-key").is_empty());

    let (status, received) = get(&harness, "/open", key).await;
    assert!(status == 200 && received.unwrap().header("x-api-key").is_empty());
    for (path, headers, status) in [
        ("/v1/coins", "X-Api-Key: key-of-eve\r\n", 401),
        ("/v1/coins", "X-Api-Key: \r\n", 401),
        (
            "/v1/coins",
            "X-Api-Key: key-of-ada\r\nX-Api-Key: key-of-ada\r\n",
            400,
        ),
        // Other spellings and places are not the header.
        ("/v1/coins", "X_Api_Key: key-of-ada\r\n", 401),
        ("/v1/coins?x-api-key=key-of-ada", "", 401),
        ("/tokens", key, 401),
        // An invalid token is not replaced by a valid key.
        (
            "/v1/coins",
            "X-Api-Key: key-of-ada\r\nAuthorization: Bearer a.b.c\r\n",
            401,
        ),
    ] {
        assert_eq!(
            get(&harness, path, headers).await,
            (status, None),
            "{path} {headers}"
        );
    }

    let token = bearer(&harness.token("coins.read"));
    assert_eq!(get(&harness, "/tokens", &token).await.0, 200);
}

fn sha256(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let bytes = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
    bytes.collect::<Vec<_>>().concat()
}

const ARN: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/front/50dc6c495c0c9188";
const KID: &str = "12345678-90ab-cdef-1234-567890abcdef";

fn pem(signer: &Signer) -> String {
    use aws_lc_rs::signature::KeyPair as _;

    let Pair::P256(pair) = &signer.pair else {
        panic!("not P-256")
    };
    // `SubjectPublicKeyInfo` up to the point (RFC 5480).
    let head: &[u8] = &[
        0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48,
        0xce, 0x3d, 3, 1, 7, 3, 0x42, 0,
    ];
    let der = [head, pair.public_key().as_ref()].concat();

    format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(der)
    )
}

fn alb_header() -> Value {
    json!({"typ": "JWT", "alg": "ES256", "kid": KID, "signer": ARN, "client": "app-1",
           "iss": "https://idp.test", "exp": now() + 120})
}

/// Builds a token like a load balancer: base64url with padding.
fn alb_token(signer: &Signer, header: &Value) -> String {
    let payload = json!({"sub": "ada", "email": "ada@a.test", "groups": ["ops"]});
    let encoded = |value: &Value| URL_SAFE.encode(value.to_string());
    let signed = format!("{}.{}", encoded(header), encoded(&payload));
    let signature = signer.signature("ES256", signed.as_bytes());
    format!("{signed}.{}", URL_SAFE.encode(signature))
}

#[tokio::test]
async fn accepts_only_configured_load_balancers() {
    let balancer = Signer::p256(KID);
    let region = Issuer::new(&json!({})).await;
    region.answer("200 OK", &pem(&balancer));

    let keys = format!("http://{}", region.address);
    let harness = Harness::with(|config| {
        let alb = json!({"signers": [ARN], "clients": ["app-1"], "keys_url": keys});
        let rules = json!([{"path": "/ops", "claims": {"groups": "ops"}}, {"path": "/**"}]);
        let claim_headers = json!({"email": "email"});
        configure(
            config,
            json!({"alb": alb, "rules": rules, "claim_headers": claim_headers}),
        );
    })
    .await;

    let line = |token: &str| format!("X-Amzn-Oidc-Data: {token}\r\n");
    let good = alb_token(&balancer, &alb_header());
    assert!(good.contains('='), "padded, like those of AWS");
    let unpadded = {
        let text = |value: &Value| b64(value.to_string().as_bytes());
        let signed = format!("{}.{}", text(&alb_header()), text(&json!({"sub": "ada"})));
        let signature = b64(&balancer.signature("ES256", signed.as_bytes()));
        format!("{signed}.{signature}")
    };

    for token in [&good, &unpadded] {
        let (status, received) = get(&harness, "/", &line(token)).await;
        assert_eq!(status, 200, "{token}");
        let received = received.unwrap();
        assert_eq!(received.header("x-auth-subject"), ["ada"]);
        assert_eq!(received.header("x-auth-client"), ["app-1"]);
        assert!(received.header("x-amzn-oidc-data").is_empty());
    }

    let (status, received) = get(&harness, "/ops", &line(&good)).await;
    assert_eq!(
        (status, received.unwrap().header("x-auth-email")),
        (200, vec!["ada@a.test"])
    );
    assert_eq!(
        region.requests(),
        [format!("/{KID}")],
        "one key, fetched once"
    );

    let with = |name: &str, value: Value| {
        let mut header = alb_header();
        header[name] = value;
        alb_token(&balancer, &header)
    };
    // Another account in the same region.
    let elsewhere = ARN.replace("123456789012", "666666666666");

    for (what, token, status) in [
        // ALBeast: signed with the region's key for another account's load balancer.
        ("another signer", with("signer", json!(elsewhere)), 401),
        (
            "a longer signer",
            with("signer", json!(format!("{ARN}0"))),
            401,
        ),
        ("no signer", with("signer", Value::Null), 401),
        // The OIDC client at the identity provider, not the HTTP client.
        ("another client", with("client", json!("app-2")), 401),
        ("another algorithm", with("alg", json!("RS256")), 401),
        ("no algorithm", with("alg", json!("none")), 401),
        ("ended", with("exp", json!(now() - 3600)), 401),
        ("no end", with("exp", Value::Null), 401),
        ("a kid that is a path", with("kid", json!("../../x")), 401),
        (
            "another key",
            alb_token(&Signer::p256(KID), &alb_header()),
            401,
        ),
        ("a changed payload", good.replacen('.', ".e30=.", 1), 400),
        ("no token", "x".to_owned(), 400),
    ] {
        assert_eq!(
            get(&harness, "/", &line(&token)).await,
            (status, None),
            "{what}"
        );
    }

    let twice = line(&good) + &line(&good);
    assert_eq!(get(&harness, "/", &twice).await, (400, None));
    assert_eq!(
        region.requests().len(),
        1,
        "rejected tokens caused no fetch"
    );
}

#[tokio::test]
async fn limits_requests_for_unknown_load_balancer_keys() {
    let balancer = Signer::p256(KID);
    let region = Issuer::new(&json!({})).await;
    // The key ids are well-formed but do not exist.
    region.answer("404 Not Found", "");

    let keys = format!("http://{}", region.address);
    let harness = Harness::with(|config| {
        configure(config, json!({"alb": {"signers": [ARN], "keys_url": keys}}));
    })
    .await;

    for n in 0..50 {
        let mut header = alb_header();
        header["kid"] = json!(format!("{n:08}-90ab-cdef-1234-567890abcdef"));
        let line = format!("X-Amzn-Oidc-Data: {}\r\n", alb_token(&balancer, &header));
        assert!(matches!(get(&harness, "/", &line).await, (401 | 503, None)));
    }

    // The limit of fetches within the default `jwks_min_refresh_interval`.
    assert_eq!(region.requests().len(), 4);
}

#[tokio::test]
async fn ignores_load_balancer_tokens_when_not_configured() {
    let harness =
        Harness::with_rules(json!([{"path": "/open", "public": true}, {"path": "/**"}])).await;
    let line = format!(
        "X-Amzn-Oidc-Data: {}\r\n",
        alb_token(&Signer::p256(KID), &alb_header())
    );
    assert_eq!(get(&harness, "/", &line).await, (401, None));
    let (status, received) = get(&harness, "/open", &line).await;
    assert!(status == 200 && received.unwrap().header("x-amzn-oidc-data").is_empty());
}

#[tokio::test]
async fn accepts_client_certificates_verified_by_the_proxy() {
    let harness = Harness::with(|config| {
        let certificates = json!([
            {"uri": "spiffe://a.test/ns/*", "scopes": ["coins.read"]},
            {"subject": "CN=job,O=Example", "id": "job"},
        ]);
        let rules = json!([
            {"path": "/machines/**", "credentials": ["certificate"], "scopes": ["coins.read"]},
            {"path": "/**"},
        ]);

        configure(
            config,
            json!({"client_certificates": certificates, "rules": rules}),
        );
    })
    .await;

    let line = |value: &str| format!("X-Forwarded-Client-Cert: {value}\r\n");
    let named = line(r#"Hash=0a;Subject="CN=x";URI=spiffe://a.test/ns/web"#);
    let (status, received) = get(&harness, "/machines/1", &named).await;
    assert_eq!(status, 200);

    let received = received.unwrap();
    assert_eq!(
        received.header("x-auth-subject"),
        ["spiffe://a.test/ns/web"]
    );
    assert_eq!(received.header("x-auth-issuer"), ["client-certificate"]);

    let job = line(r#"Hash=0a;Subject="CN=job,O=Example""#);
    assert_eq!(get(&harness, "/", &job).await.0, 200);
    assert_eq!(get(&harness, "/machines/1", &job).await, (403, None));

    for (value, status) in [
        (r#"Hash=0a;Subject="CN=job""#, 401),
        ("Hash=0a;URI=spiffe://b.test/ns/web", 401),
        // A comma starts a second certificate, added by another hop.
        (r#"Hash=0a;Subject="CN=x",URI=spiffe://a.test/ns/web"#, 400),
    ] {
        assert_eq!(
            get(&harness, "/", &line(value)).await,
            (status, None),
            "{value}"
        );
    }

    let token = bearer(&harness.token("coins.read"));
    assert_eq!(get(&harness, "/machines/1", &token).await, (401, None));
}

#[tokio::test]
async fn asks_the_external_service_without_another_credential() {
    let service = Issuer::new(&json!({})).await;
    let url = format!("http://{}/check", service.address);
    let harness = Harness::with(|config| {
        let rules = json!([{"path": "/open", "public": true}, {"path": "/**", "scopes": ["read"]}]);
        configure(config, json!({"external": {"url": url}, "rules": rules}));
    })
    .await;
    let answer = |status: &str, headers: &str| {
        service.answer_raw(format!(
            "HTTP/1.1 {status}\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n"
        ));
    };

    // `answer` sets the next responses of the service.
    answer(
        "200 OK",
        "x-auth-subject: ada\r\nx-auth-scopes: read write\r\n",
    );

    let cookie = "Cookie: session=1\r\nX-Auth-Subject: root\r\n";
    let (status, received) = get(&harness, "/v1/coins?x=1", cookie).await;
    assert_eq!(status, 200);

    let received = received.unwrap();
    assert_eq!(received.header("x-auth-subject"), ["ada"]);
    assert_eq!(received.header("x-auth-scopes"), ["read write"]);
    assert_eq!(service.requests(), ["/check/v1/coins?x=1"]);

    answer("200 OK", "x-auth-subject: ada\r\n");
    assert_eq!(get(&harness, "/", cookie).await, (403, None));
    answer("302 Found", "location: https://login.test/\r\n");

    let redirect = harness.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(redirect.status(), 302);
    assert_eq!(redirect.header("location"), Some("https://login.test/"));

    for (status, expected) in [
        ("401 Unauthorized", 401),
        ("403 Forbidden", 403),
        ("404 Not Found", 503),
        // Only 200, 302, 303, 401 and 403 are decisions.
        ("204 No Content", 503),
        ("500 Internal Server Error", 503),
    ] {
        answer(status, "");
        assert_eq!(
            get(&harness, "/", cookie).await,
            (expected, None),
            "{status}"
        );
    }

    service.answer_raw("nonsense".to_owned());
    assert_eq!(get(&harness, "/", cookie).await, (503, None));
    let requests = service.requests().len();
    assert_eq!(get(&harness, "/open", "").await.0, 200);
    assert_eq!(
        get(&harness, "/", &bearer(&harness.token("read"))).await.0,
        200
    );
    assert_eq!(get(&harness, "/", &bearer("a.b.c")).await, (401, None));
    assert_eq!(
        service.requests().len(),
        requests,
        "not asked about requests with a token"
    );
}

#[tokio::test]
async fn the_external_service_gets_the_judged_request_and_no_other_description() {
    let service = Recorder::new().await;
    let url = format!("http://{}", service.address);
    let harness = Harness::with(|config| {
        let headers = ["cookie", "x-forwarded-uri"];
        configure(
            config,
            json!({"external": {"url": url, "headers": headers}}),
        );
    })
    .await;

    let steering = "X-Forwarded-Uri: /public\r\nX-Forwarded-Method: HEAD\r\n\
                    X-Forwarded-Host: evil.test\r\nX-Forwarded-Prefix: /public\r\n\
                    X_Forwarded_Uri: /public\r\nX-Forwarded-For: 203.0.113.9, 192.0.2.1\r\n";
    let request = format!("PUT /admin?x=1 HTTP/1.1\r\nHost: app.test\r\n{steering}\r\n");
    assert_eq!(harness.send(request).await.status(), 200);

    let asked = service.take().remove(0);
    assert_eq!(asked.line, "PUT /admin?x=1 HTTP/1.1");
    assert_eq!(asked.header("x-forwarded-uri"), ["/admin?x=1"]);
    assert_eq!(asked.header("x-forwarded-method"), ["PUT"]);
    assert_eq!(asked.header("x-forwarded-host"), ["app.test"]);
    // The last entry is the one that the proxy in this task appends.
    assert_eq!(asked.header("x-forwarded-for"), ["192.0.2.1"]);
    for steered in ["x-forwarded-prefix", "x_forwarded_uri"] {
        assert!(asked.header(steered).is_empty(), "{steered}");
    }
}

#[tokio::test]
async fn rejects_when_the_external_service_is_slow_or_unreachable() {
    let service = Issuer::new(&json!({})).await;
    service.hold_responses(true);
    let url = format!("http://{}", service.address);
    let harness = Harness::with(|config| {
        configure(
            config,
            json!({"external": {"url": url, "timeout": "100ms"}}),
        );
    })
    .await;

    assert_eq!(get(&harness, "/", "").await, (503, None));
    // From here on connections are refused.
    drop(service);
    assert_eq!(get(&harness, "/", "").await, (503, None));
}

#[tokio::test]
async fn rules_match_hosts_and_require_claims() {
    let harness = Harness::with(|config| {
        let rules = json!([
            {"host": "admin.test", "path": "/**", "claims": {"/realm/roles": ["root", "ops"]}},
            {"host": "*.open.test", "path": "/**", "public": true},
            {"path": "/verified", "claims": {"email_verified": true}},
        ]);
        configure(config, json!({"rules": rules}));
    })
    .await;

    let token = |more: Value| {
        let mut claims = claims();
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        bearer(&harness.signer.token(&claims))
    };

    for (host, path, claims, status) in [
        (
            "admin.test",
            "/x",
            json!({"realm": {"roles": ["ops"]}}),
            200,
        ),
        (
            "ADMIN.test:8443",
            "/x",
            json!({"realm": {"roles": ["ops"]}}),
            200,
        ),
        (
            "admin.test",
            "/x",
            json!({"realm": {"roles": ["dev"]}}),
            403,
        ),
        // The pointer must resolve: neither a string nor an absent member does.
        ("admin.test", "/x", json!({"realm": "ops"}), 403),
        ("admin.test", "/x", json!({}), 403),
        (
            "admin.test.",
            "/x",
            json!({"realm": {"roles": ["ops"]}}),
            403,
        ),
        (
            "other.test",
            "/verified",
            json!({"email_verified": true}),
            200,
        ),
        (
            "other.test",
            "/verified",
            json!({"email_verified": "true"}),
            403,
        ),
        ("other.test", "/x", json!({}), 403),
        ("a.open.test", "/x", json!({}), 200),
        ("open.test", "/x", json!({}), 403),
    ] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\n{}\r\n",
            token(claims)
        );
        assert_eq!(
            harness.send(&request).await.status(),
            status,
            "{host}{path}"
        );
    }
}

#[tokio::test]
async fn dry_run_forwards_rejected_requests_without_an_identity() {
    let harness = Harness::with(|config| {
        let rules = json!([{"path": "/v1/**", "scopes": ["read"]}]);
        configure(config, json!({"enforce": false, "rules": rules}));
    })
    .await;
    let root = "X-Auth-Subject: root\r\n";

    for (path, headers) in [
        ("/v1/coins", String::new()),
        ("/v1/coins", bearer("a.b.c")),
        ("/none", bearer(&harness.token("read"))),
        ("/v1/../x", String::new()),
    ] {
        let (status, received) = get(&harness, path, &(headers.clone() + root)).await;
        assert_eq!(status, 200, "{path}");
        let received = received.unwrap();
        assert_eq!(received.line, format!("GET {path} HTTP/1.1"));
        assert!(received.header("x-auth-subject").is_empty());

        // In a dry run the app can still verify credentials itself.
        assert_eq!(
            received.header("authorization").len(),
            usize::from(!headers.is_empty())
        );
    }

    let (status, received) = get(&harness, "/v1/coins", &bearer(&harness.token("read"))).await;
    assert_eq!(
        (status, received.unwrap().header("x-auth-subject")),
        (200, vec!["ada"])
    );
}

#[tokio::test]
async fn signs_the_identity_for_the_app() {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    // With escaped line breaks, as ECS secrets often are.
    let key = pair.serialize_pem().replace('\n', "\\n");
    let settings = json!({"audience": "coins-app", "lifetime": "1m"});
    let harness = Harness::with(|config| {
        configure(
            config,
            json!({"identity_token": settings, "claim_headers": {"mail": "email"}}),
        );
        config.identity_token.key = chassis::Secret::new(key.clone());
    })
    .await;

    let mut good = claims();
    good["scope"] = json!("read");
    good["email"] = json!("ada@a.test");
    // Less than the lifetime of one minute, so it limits the token.
    good["exp"] = json!(now() + 30);

    let token = bearer(&harness.signer.token(&good));
    let (_, received) = get(&harness, "/", &(token.clone() + "X-Auth-Token: forged\r\n")).await;
    let received = received.unwrap();
    let [signed] = received.header("x-auth-token")[..] else {
        panic!("not one token")
    };
    let settings = auth_filter::IdentityTokenSettings {
        key: chassis::Secret::new(key),
        ..Default::default()
    };
    let jwks = auth_filter::IdentityTokens::new(settings).unwrap().jwks();
    let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(jwks["keys"][0].clone()).unwrap();
    let decoding = jsonwebtoken::DecodingKey::from_jwk(&jwk).unwrap();

    let mut expected = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::ES256);
    expected.set_audience(&["coins-app"]);
    expected.set_issuer(&["auth-filter"]);

    let decoded = jsonwebtoken::decode::<Value>(signed, &decoding, &expected).unwrap();
    assert_eq!(
        decoded.header.kid.as_deref(),
        jwks["keys"][0]["kid"].as_str()
    );
    assert_eq!(decoded.claims["sub"], "ada");
    assert_eq!(decoded.claims["scope"], "read");
    assert_eq!(decoded.claims["issued_by"], ISSUER);
    assert_eq!(decoded.claims["claims"], json!({"email": "ada@a.test"}));
    assert_eq!(
        decoded.claims["exp"], good["exp"],
        "never longer than the credential"
    );

    let (_, again) = get(&harness, "/", &token).await;
    assert_eq!(
        again.unwrap().header("x-auth-token"),
        [signed],
        "signed once"
    );
}

#[tokio::test]
async fn limits_clients_with_failed_credentials() {
    let harness =
        Harness::with(|config| configure(config, json!({"failures": {"limit": 3}}))).await;
    let good = bearer(&harness.token(""));
    // The last entry is added by the proxy in this task; the first is forged by the client.
    let from =
        |client: &str, headers: &str| format!("X-Forwarded-For: 6.6.6.6, {client}\r\n{headers}");

    assert_eq!(get(&harness, "/", &from("203.0.113.9", &good)).await.0, 200);
    for _ in 0..3 {
        let guess = from("203.0.113.9", &bearer("a.b.c"));
        assert_eq!(get(&harness, "/", &guess).await, (401, None));
    }

    let fresh = bearer(&harness.token("other"));
    let answer = harness
        .send(format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
            from("203.0.113.9", &fresh)
        ))
        .await;

    assert_eq!(answer.status(), 429);
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait));
    assert_eq!(
        get(&harness, "/", &from("203.0.113.9", &good)).await.0,
        200,
        "cached token"
    );
    assert_eq!(
        get(&harness, "/", &from("203.0.113.8", &fresh)).await.0,
        200,
        "another client"
    );

    // Missing credentials are not counted.
    for _ in 0..5 {
        assert_eq!(
            get(&harness, "/", &from("203.0.113.7", "")).await,
            (401, None)
        );
    }
}
