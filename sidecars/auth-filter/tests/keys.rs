//! Keys that come, change, go, and cannot be had.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use auth_filter::jws::Algorithm;
use auth_filter::keys::{
    FetchFault, Fetcher, KeySet, Keys, LoadFault, Origin, PlainHttp, Reason, Roots, SetFault,
    Source, Timing,
};
use chassis::Period;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use support::issuer::Issuer;
use support::signer::{Signer, b64, jwks};
use support::stage::{Stage, claims};
use support::{LIMIT, until};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

#[tokio::test]
async fn a_rotated_key_is_fetched_when_it_is_first_seen() {
    let stage = Stage::new().await;
    let second = Signer::p256("second");
    stage.issuer.publish(&jwks(&[&stage.signer, &second]));
    assert_eq!(stage.get("/", &second.token(&claims())).await.status(), 200);
    assert_eq!(stage.get("/", &stage.token("")).await.status(), 200);
    assert_eq!(stage.issuer.asked().len(), 2);
}

#[tokio::test]
async fn a_key_that_is_gone_is_believed_no_more() {
    let stage = Stage::new().await;
    let second = Signer::p256("second");
    stage.issuer.publish(&jwks(&[&second]));
    assert_eq!(
        stage.get("/", &stage.token("")).await.status(),
        200,
        "not yet known"
    );
    assert_eq!(stage.get("/", &second.token(&claims())).await.status(), 200);
    assert_eq!(stage.get("/", &stage.token("")).await.status(), 401);
}

#[tokio::test]
async fn a_load_begun_before_the_rotation_is_followed_by_one_more() {
    let (first, second) = (Signer::p256("first"), Signer::p256("second"));
    let issuer = Issuer::publishing(&jwks(&[&first])).await;
    let fetcher = Fetcher::new(&Roots::Public, PlainHttp::Loopback).unwrap();
    let source = Source::new(&issuer.url(), "").unwrap();
    let timing = Timing {
        refresh: Duration::from_millis(20),
        cooldown: Duration::from_hours(1),
        max_stale: Duration::from_hours(1),
    };

    let origin = Origin::new(source, fetcher, Algorithm::ALL.to_vec());
    let (keys, refresher) = Keys::new(origin, timing);
    let refreshing = tokio::spawn(refresher.run());
    keys.loaded().await;
    issuer.hold(true);

    let before = issuer.asked().len();
    until("a scheduled load", || issuer.asked().len() > before).await;
    issuer.publish(&jwks(&[&first, &second]));

    // The request begins to wait before the old answer is let go.
    let (set, ()) = tokio::join!(keys.knowing("second"), async { issuer.hold(false) });
    assert_eq!(set.unwrap().ids(), ["first", "second"]);
    refreshing.abort();
}

#[tokio::test]
async fn a_thousand_unknown_keys_cost_the_issuer_one_request() {
    let stage = Arc::new(Stage::new().await);
    let stranger = Arc::new(Signer::p256("x"));
    let mut clients = JoinSet::new();

    for client in 0..20 {
        let (stage, stranger) = (stage.clone(), stranger.clone());
        clients.spawn(async move {
            for request in 0..50 {
                let header = json!({"alg": "ES256", "kid": format!("{client}-{request}")});
                let token = stranger.sign(&header, claims().to_string().as_bytes());
                assert_eq!(stage.get("/", &token).await.status(), 401);
            }
        });
    }

    clients.join_all().await;
    assert_eq!(
        stage.issuer.asked().len(),
        2,
        "one at the start and one more"
    );
    assert_eq!(stage.get("/", &stage.token("")).await.status(), 200);
}

#[tokio::test]
async fn made_up_tokens_cost_the_issuer_nothing() {
    let stage = Stage::new().await;
    let payload = b64(claims().to_string().as_bytes());
    for header in [
        json!({"alg": "none", "kid": "x"}),
        json!({"alg": "HS256", "kid": "x"}),
        json!({"alg": "RS1", "kid": "x"}),
        json!({"alg": "ES256", "kid": "x", "crit": ["y"]}),
        json!({"alg": "ES256", "kid": 7}),
        json!({"alg": "ES256", "kid": "first", "jku": stage.issuer.url()}),
    ] {
        let token = format!("{}.{payload}.AAAA", b64(header.to_string().as_bytes()));
        assert_eq!(stage.get("/", &token).await.status(), 401, "{header}");
    }

    assert_eq!(stage.issuer.asked().len(), 1);
}

#[tokio::test]
async fn after_the_cooldown_one_more_may_be_asked() {
    let stage = Stage::with(|config| config.jwks_cooldown = Period::from_millis(1)).await;
    let stranger = Signer::p256("x");
    let asked = async {
        while stage.issuer.asked().len() < 4 {
            assert_eq!(
                stage.get("/", &stranger.token(&claims())).await.status(),
                401
            );
        }
    };
    tokio::time::timeout(LIMIT, asked).await.unwrap();
}

#[tokio::test]
async fn known_keys_outlive_an_issuer_in_trouble() {
    let stage = Stage::with(|config| config.jwks_refresh = Period::from_millis(20)).await;
    for (status, body) in [
        ("500 Internal Server Error", "{}"),
        ("200 OK", "not json"),
        ("200 OK", r#"{"keys":[]}"#),
        ("200 OK", r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#),
        ("302 Found\r\nlocation: /elsewhere", ""),
        ("200 OK", &"x".repeat(Fetcher::MAX_BYTES + 1)),
    ] {
        stage.issuer.answer(status, body);
        let before = stage.issuer.asked().len();
        until("two more loads", || {
            stage.issuer.asked().len() >= before + 2
        })
        .await;
        assert_eq!(
            stage.get("/", &stage.token("")).await.status(),
            200,
            "{status} {body:.30}"
        );
    }

    assert!(
        stage.issuer.asked().iter().all(|path| path == "/jwks"),
        "no redirect was followed"
    );
}

#[tokio::test]
async fn keys_that_are_too_old_are_believed_no_more() {
    let stage = Stage::with(|config| {
        config.jwks_refresh = Period::from_millis(20);
        config.jwks_max_stale = Period::from_millis(100);
    })
    .await;

    stage.issuer.answer("500 Internal Server Error", "");
    let refused = async { while stage.get("/", &stage.token("")).await.status() != 503 {} };
    tokio::time::timeout(LIMIT, refused).await.unwrap();
    stage.issuer.publish(&jwks(&[&stage.signer]));
    let believed = async { while stage.get("/", &stage.token("")).await.status() != 200 {} };
    tokio::time::timeout(LIMIT, believed).await.unwrap();
}

#[tokio::test]
async fn without_keys_it_is_not_ready_and_answers_503_until_there_are_some() {
    let stage = Stage::unready(|config| {
        config.jwks = Some("/nowhere/jwks.json".into());
        config.rules =
            serde_json::from_str(r#"[{"path":"/healthz","public":true},{"path":"/**"}]"#).unwrap();
    })
    .await;

    until("the upstream", || {
        stage.filter.readiness.waiting_for() == ["keys"]
    })
    .await;

    let answer = stage.get("/", &stage.token("")).await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(
        stage.get("/healthz", "").await.status(),
        200,
        "public needs no keys"
    );
}

#[tokio::test]
async fn an_issuer_that_comes_late_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let stage = Stage::unready(|config| {
        config.jwks = Some(path.display().to_string());
        config.jwks_refresh = Period::from_millis(20);
    })
    .await;

    until("the upstream", || {
        stage.filter.readiness.waiting_for() == ["keys"]
    })
    .await;
    std::fs::write(&path, jwks(&[&stage.signer]).to_string()).unwrap();
    until("readiness", || stage.filter.readiness.is_ready()).await;
    assert_eq!(stage.get("/", &stage.token("")).await.status(), 200);
}

#[tokio::test]
async fn a_changed_file_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let (first, second) = (Signer::p256("first"), Signer::p256("second"));
    std::fs::write(&path, jwks(&[&first]).to_string()).unwrap();
    let stage =
        Stage::with(|config| config.jwks = Some(format!("file://{}", path.display()))).await;
    assert_eq!(stage.get("/", &first.token(&claims())).await.status(), 200);
    std::fs::write(&path, jwks(&[&second]).to_string()).unwrap();
    assert_eq!(stage.get("/", &second.token(&claims())).await.status(), 200);
    assert_eq!(stage.get("/", &first.token(&claims())).await.status(), 401);
}

#[tokio::test]
async fn without_a_place_the_issuer_says_where_its_keys_are() {
    let signer = Signer::p256("first");
    let issuer = Issuer::publishing(&jwks(&[&signer])).await;
    let name = format!("http://{}", issuer.address);
    let stage = Stage::with(|config| {
        config.jwks = None;
        config.issuer = name.clone();
    })
    .await;

    assert_eq!(
        issuer.asked(),
        ["/.well-known/openid-configuration", "/found"]
    );
    let mut claims = claims();

    claims["iss"] = json!(name);
    assert_eq!(stage.get("/", &signer.token(&claims)).await.status(), 200);
}

#[tokio::test]
async fn a_configuration_of_another_issuer_is_refused() {
    let issuer = Issuer::publishing(&json!({})).await;
    let wrong = format!("http://{}/", issuer.address);
    let fault = load(Source::new("", &wrong).unwrap(), &Roots::Public)
        .await
        .unwrap_err();
    assert!(matches!(fault, LoadFault::Issuer { .. }), "{fault:?}");
}

#[tokio::test]
async fn documents_are_limited_and_redirects_not_followed() {
    let issuer = Issuer::publishing(&json!({"keys": []})).await;
    let source = || Source::new(&issuer.url(), "").unwrap();
    let fault = load(source(), &Roots::Public).await.unwrap_err();
    assert!(
        matches!(fault, LoadFault::Set(SetFault::Empty(_))),
        "{fault:?}"
    );
    issuer.answer("302 Found\r\nlocation: /elsewhere", "");

    let fault = load(source(), &Roots::Public).await.unwrap_err();
    let LoadFault::Fetch(FetchFault::Status { status, .. }) = fault else {
        panic!("{fault:?}")
    };

    assert_eq!(status, 302);
    issuer.answer("200 OK", &"x".repeat(Fetcher::MAX_BYTES + 1));
    let fault = load(source(), &Roots::Public).await.unwrap_err();
    assert!(
        matches!(fault, LoadFault::Fetch(FetchFault::TooBig(_))),
        "{fault:?}"
    );
    issuer.answer_raw(format!(
        "HTTP/1.1 200 OK\r\n\r\n{}",
        "x".repeat(2 * Fetcher::MAX_BYTES)
    ));

    let fault = load(source(), &Roots::Public).await.unwrap_err();
    assert!(
        matches!(fault, LoadFault::Fetch(FetchFault::TooBig(_))),
        "{fault:?}"
    );
    issuer.answer_raw("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{".into());

    let fault = load(source(), &Roots::Public).await.unwrap_err();
    assert!(
        matches!(fault, LoadFault::Fetch(FetchFault::Exchange { .. })),
        "{fault:?}"
    );
    assert_eq!(issuer.asked().len(), 5);
}

#[tokio::test]
async fn plain_http_stays_in_the_task() {
    // Documentation address of RFC 5737: were it not refused, this would wait for a connection.
    let source = Source::new("http://192.0.2.1/jwks", "").unwrap();
    let fault = load(source, &Roots::Public).await.unwrap_err();
    assert!(
        matches!(fault, LoadFault::Fetch(FetchFault::Plain(_))),
        "{fault:?}"
    );
}

#[tokio::test]
async fn over_tls_only_the_right_authority_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, acceptor) = authority(&["localhost"]);
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority).unwrap();

    let signer = Signer::p256("first");
    let issuer = Issuer::with_tls(&jwks(&[&signer]), acceptor).await;
    let port = issuer.address.port();
    let source = |host: &str| Source::new(&format!("https://{host}:{port}/jwks"), "").unwrap();
    let roots = Roots::File(file);

    assert_eq!(
        load(source("localhost"), &roots).await.unwrap().ids(),
        ["first"]
    );

    for (host, roots) in [("localhost", &Roots::Public), ("127.0.0.1", &roots)] {
        let fault = load(source(host), roots).await.unwrap_err();
        assert!(
            matches!(fault, LoadFault::Fetch(FetchFault::Connect { .. })),
            "{host} {fault:?}"
        );
    }

    assert_eq!(issuer.asked().len(), 1);
}

#[test]
fn unfit_keys_of_a_set_are_ignored_and_the_others_used() {
    let (good, twin, rsa) = (
        Signer::p256("good"),
        Signer::p256("twin"),
        Signer::rsa("rsa"),
    );
    let mut encrypting = rsa.jwk();

    encrypting["use"] = json!("enc");
    let mut short = rsa.jwk();
    short["kid"] = json!("short");
    short["n"] = json!(b64(&[0xff; 128]));

    let listed = json!(["EC", "list"]);
    let set = json!({"keys": [
        good.jwk(), twin.jwk(), Signer::p256("twin").jwk(), encrypting, short,
        {"kty": "oct", "kid": "oct", "k": "AAAA"}, {"kid": "typed", "kty": 7}, listed,
    ]});
    let set = KeySet::parse(set.to_string().as_bytes(), &Algorithm::ALL).unwrap();

    assert_eq!(set.ids(), ["good"]);
    let ignored: Vec<_> = set
        .ignored()
        .iter()
        .map(|key| key.id.as_deref().unwrap_or("-"))
        .collect();

    assert_eq!(
        ignored,
        ["twin", "twin", "rsa", "short", "oct", "typed", "-"]
    );
    assert_eq!(set.ignored()[0].reason, Reason::Twice);
}

#[test]
fn what_is_no_key_set_is_refused() {
    let many: Vec<Value> = (0..65).map(|_| json!({})).collect();
    for (document, fault) in [
        ("", SetFault::Malformed),
        ("[[]]", SetFault::Malformed),
        ("{}", SetFault::Malformed),
        (r#"{"keys":{}}"#, SetFault::Malformed),
        (r#"{"keys":[],"keys":[]}"#, SetFault::Malformed),
        (r#"{"keys":[]}"#, SetFault::Empty(Vec::new())),
        (&json!({"keys": many}).to_string(), SetFault::TooMany),
    ] {
        let found = KeySet::parse(document.as_bytes(), &Algorithm::ALL).unwrap_err();
        assert_eq!(found, fault, "{document:.30}");
    }
}

async fn load(source: Source, roots: &Roots) -> Result<KeySet, LoadFault> {
    let fetcher = Fetcher::new(roots, PlainHttp::Loopback).unwrap();
    Origin::new(source, fetcher, Algorithm::ALL.to_vec())
        .load()
        .await
}

/// An authority as PEM, and a server with a certificate of it.
fn authority(names: &[&str]) -> (String, TlsAcceptor) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);

    let authority_key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();

    (authority.pem(), TlsAcceptor::from(Arc::new(config)))
}
