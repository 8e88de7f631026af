//! Bearer tokens: what issuers of many kinds put into them, and what they are bound to.

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
use support::signer::{Signer, jwks};
use support::upstream::RecordedRequest;

fn configure(config: &mut Config, settings: Value) {
    let mut written = serde_json::to_value(&*config).unwrap();
    for (name, value) in settings.as_object().unwrap() {
        written[name] = value.clone();
    }
    *config = serde_json::from_value(written).unwrap();
}

/// Sends a GET with these header lines and returns the status and the request that reached the app.
async fn get(harness: &Harness, path: &str, headers: &str) -> (u16, Option<RecordedRequest>) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n{headers}\r\n");
    let answer = harness.send(request).await;
    let mut received = harness.upstream.take();
    assert!(received.len() < 2);
    (answer.status(), received.pop())
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn with_claims(more: Value) -> Value {
    let mut claims = claims();
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

#[tokio::test]
async fn one_of_several_alternatives_is_enough() {
    // Shaped like Microsoft Entra ID: users have scopes, other apps have roles.
    let rules = json!([{
        "path": "/**", "claims": {"ver": "2.0"},
        "any_of": [{"scopes": ["Coins.Read"]}, {"claims": {"roles": "Coins.Read.All", "idtyp": "app"}}],
    }]);
    let harness = Harness::with_rules(rules).await;

    for (claims, status) in [
        (json!({"ver": "2.0", "scp": "Coins.Read"}), 200),
        (
            json!({"ver": "2.0", "roles": ["Coins.Read.All"], "idtyp": "app"}),
            200,
        ),
        // Half of an alternative, a scope as a role and a role as a scope, and no alternative.
        (json!({"ver": "2.0", "roles": ["Coins.Read.All"]}), 403),
        (
            json!({"ver": "2.0", "roles": ["Coins.Read"], "idtyp": "app"}),
            403,
        ),
        (json!({"ver": "2.0", "scp": "Coins.Read.All"}), 403),
        (json!({"ver": "2.0"}), 403),
        // The requirements beside the alternatives stay.
        (json!({"ver": "1.0", "scp": "Coins.Read"}), 403),
    ] {
        let token = harness.signer.token(&with_claims(claims.clone()));
        let (found, _) = get(&harness, "/", &bearer(&token)).await;
        assert_eq!(found, status, "{claims}");
    }
}

#[tokio::test]
async fn takes_the_client_from_the_chosen_claim() {
    let okta = Signer::rsa("okta");
    let issuer = Issuer::new(&jwks(&[&okta])).await;
    let harness = Harness::with(|config| {
        let entry = json!({"issuer": "https://okta.test", "audience": "coins",
            "jwks": issuer.url(), "client_claim": "cid"});
        configure(config, json!({"issuers": [entry]}));
    })
    .await;
    let token = |more: Value| {
        let mut claims = with_claims(more);
        claims["iss"] = json!("https://okta.test");
        bearer(&okta.token(&claims))
    };

    let (_, received) = get(&harness, "/", &token(json!({"cid": "web", "azp": "x"}))).await;
    assert_eq!(received.unwrap().header("x-auth-client"), ["web"]);
    // Another claim does not take its place, and it must be text.
    let (_, received) = get(&harness, "/", &token(json!({"azp": "x"}))).await;
    assert!(received.unwrap().header("x-auth-client").is_empty());
    let (status, _) = get(&harness, "/", &token(json!({"cid": ["web"]}))).await;
    assert_eq!(status, 401);
}

const TENANT_A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const TENANT_B: &str = "bbbbbbbb-0000-4000-8000-000000000002";
const TENANT_C: &str = "cccccccc-0000-4000-8000-000000000003";

fn tenant_issuer(tenant: &str) -> String {
    format!("https://login.test/{tenant}/v2.0")
}

/// Starts a filter for the tenants A and B, and a key set with a key for all and one for B only.
async fn tenants(shared: &Signer, only_b: &Signer) -> (Harness, Issuer) {
    let template = tenant_issuer("{tenantid}");
    let mut keys = jwks(&[shared, only_b]);
    keys["keys"][0]["issuer"] = json!(template);
    keys["keys"][1]["issuer"] = json!(tenant_issuer(TENANT_B));
    let service = Issuer::new(&keys).await;
    let metadata = json!({"issuer": template, "jwks_uri": service.url()}).to_string();
    service.answer_at("/metadata", "200 OK", &metadata);

    let metadata = format!("http://{}/metadata", service.address);
    let entry = json!({"issuer": template, "audience": "coins", "metadata": metadata,
        "tenants": [TENANT_A, TENANT_B]});
    let harness = Harness::with(|config| {
        configure(config, json!({"issuers": [entry]}));
    })
    .await;
    (harness, service)
}

#[tokio::test]
async fn accepts_the_listed_tenants_of_an_issuer_template() {
    let (shared, only_b) = (Signer::rsa("shared"), Signer::rsa("b"));
    let (harness, _service) = tenants(&shared, &only_b).await;
    let token = |signer: &Signer, iss: &str, tid: Value| {
        let claims = with_claims(json!({"iss": iss, "tid": tid}));
        bearer(&signer.token(&claims))
    };

    let (issuer_a, issuer_b) = (tenant_issuer(TENANT_A), tenant_issuer(TENANT_B));
    let good = token(&shared, &issuer_a, json!(TENANT_A));
    let (status, received) = get(&harness, "/", &good).await;
    assert_eq!(status, 200);
    // The app sees the tenant: subjects are unique within one only.
    let received = received.unwrap();
    assert_eq!(received.header("x-auth-issuer"), [issuer_a.as_str()]);
    let good = token(&only_b, &issuer_b, json!(TENANT_B));
    assert_eq!(get(&harness, "/", &good).await.0, 200);

    let issuer_c = tenant_issuer(TENANT_C);
    for (what, token) in [
        (
            "a tenant that is not listed",
            token(&shared, &issuer_c, json!(TENANT_C)),
        ),
        (
            "another tenant in `tid`",
            token(&shared, &issuer_c, json!(TENANT_A)),
        ),
        (
            "another tenant in `iss`",
            token(&shared, &issuer_a, json!(TENANT_B)),
        ),
        (
            "the key of another tenant",
            token(&only_b, &issuer_a, json!(TENANT_A)),
        ),
        (
            "the template itself",
            token(&shared, &tenant_issuer("{tenantid}"), json!("{tenantid}")),
        ),
        (
            "a path as the tenant",
            token(&shared, &tenant_issuer("a/b"), json!("a/b")),
        ),
        ("no tenant", token(&shared, &issuer_a, Value::Null)),
        (
            "a list of tenants",
            token(&shared, &issuer_a, json!([TENANT_A])),
        ),
    ] {
        assert_eq!(get(&harness, "/", &token).await, (401, None), "{what}");
    }
}

#[tokio::test]
async fn reads_oauth_metadata_where_there_is_no_openid_configuration() {
    let signer = Signer::rsa("first");
    let service = Issuer::new(&jwks(&[&signer])).await;
    let name = format!("http://{}/realms/a", service.address);
    let missing = "/realms/a/.well-known/openid-configuration";
    let metadata = "/.well-known/oauth-authorization-server/realms/a";
    let document = json!({"issuer": name, "jwks_uri": service.url()}).to_string();
    service.answer_at(missing, "404 Not Found", "");
    service.answer_at(metadata, "200 OK", &document);

    let harness = Harness::with(|config| {
        config.issuer.clone_from(&name);
        config.jwks = None;
    })
    .await;
    let token = bearer(&signer.token(&with_claims(json!({"iss": name}))));
    assert_eq!(get(&harness, "/", &token).await.0, 200);
    assert_eq!(service.requests(), [missing, metadata, "/jwks"]);
}

#[tokio::test]
async fn oauth_metadata_of_another_issuer_provides_no_keys() {
    let signer = Signer::rsa("first");
    let service = Issuer::new(&jwks(&[&signer])).await;
    let name = format!("http://{}/realms/a", service.address);
    let missing = "/realms/a/.well-known/openid-configuration";
    let metadata = "/.well-known/oauth-authorization-server/realms/a";
    let other = format!("http://{}/realms/b", service.address);
    let document = json!({"issuer": other, "jwks_uri": service.url()}).to_string();
    service.answer_at(missing, "404 Not Found", "");
    service.answer_at(metadata, "200 OK", &document);

    let harness = Harness::without_waiting(|config| {
        config.issuer.clone_from(&name);
        config.jwks = None;
    })
    .await;
    support::until("metadata", || service.requests().contains(&metadata.into())).await;
    let token = bearer(&signer.token(&with_claims(json!({"iss": name}))));
    assert_eq!(get(&harness, "/", &token).await, (503, None));
    assert!(!service.requests().contains(&"/jwks".to_owned()));
}

/// 32 bytes of 0xab, as tls-proxy writes a hash and as a token does.
const CERTIFICATE: &str = "abababababababababababababababababababababababababababababababab";
const THUMBPRINT: &str = "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s";

#[tokio::test]
async fn bound_tokens_need_their_client_certificate() {
    let harness = Harness::with(|config| {
        configure(config, json!({"certificate_bound_tokens": "verify"}));
    })
    .await;
    let token = |cnf: Value| {
        let claims = with_claims(json!({"cnf": cnf, "exp": now() + 600}));
        bearer(&harness.signer.token(&claims))
    };
    let certificate =
        |hash: &str| format!("X-Forwarded-Client-Cert: Hash={hash};Subject=\"CN=job\"\r\n");
    let (own, other) = (certificate(CERTIFICATE), certificate(&"cd".repeat(32)));

    let bound = token(json!({"x5t#S256": THUMBPRINT}));
    let (status, received) = get(&harness, "/", &format!("{bound}{own}")).await;
    assert_eq!(status, 200);
    let received = received.unwrap();
    assert!(received.header("x-forwarded-client-cert").is_empty());

    // The token is cached by now: the cache must not skip the check.
    let short = certificate(&CERTIFICATE[..62]);
    for lines in [
        "",
        &other,
        &format!("{own}{own}"),
        &format!("{other}{own}"),
        &short,
    ] {
        let answer = get(&harness, "/", &format!("{bound}{lines}")).await;
        assert_eq!(answer, (401, None), "{lines}");
    }

    for cnf in [
        // A DPoP key, an unknown second method, and values of the wrong type.
        json!({"jkt": THUMBPRINT}),
        json!({"x5t#S256": THUMBPRINT, "jkt": THUMBPRINT}),
        json!({"x5t#S256": [THUMBPRINT]}),
        json!({"x5t#S256": CERTIFICATE}),
        json!(THUMBPRINT),
        json!(null),
    ] {
        let lines = format!("{}{own}", token(cnf.clone()));
        assert_eq!(get(&harness, "/", &lines).await, (401, None), "{cnf}");
    }

    let unbound = bearer(&harness.token(""));
    assert_eq!(get(&harness, "/", &unbound).await.0, 200);
}

#[tokio::test]
async fn all_tokens_must_be_bound_if_required() {
    let harness = Harness::with(|config| {
        configure(config, json!({"certificate_bound_tokens": "require"}));
    })
    .await;
    let own = format!("X-Forwarded-Client-Cert: Hash={CERTIFICATE}\r\n");
    let unbound = bearer(&harness.token(""));
    assert_eq!(
        get(&harness, "/", &format!("{unbound}{own}")).await,
        (401, None)
    );

    let claims = with_claims(json!({"cnf": {"x5t#S256": THUMBPRINT}}));
    let bound = bearer(&harness.signer.token(&claims));
    assert_eq!(get(&harness, "/", &format!("{bound}{own}")).await.0, 200);
}
