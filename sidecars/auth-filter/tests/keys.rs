//! Loading, rotating and losing keys.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use auth_filter::jws::{Algorithm, Jws};
use auth_filter::keys::{
    FetchError, Fetcher, IgnoreReason, KeySet, KeySetError, Keys, LoadError, Origin, Source, Timing,
};
use base64::Engine as _;
use chassis::HumanDuration;
use chassis::http::client::{ClientError, PlainHttp, ProxySettings, TrustStore};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use support::harness::{Harness, claims};
use support::issuer::Issuer;
use support::signer::{Signer, b64, jwks};
use support::{LIMIT, until};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

#[tokio::test]
async fn loads_a_rotated_key_on_first_use() {
    let harness = Harness::new().await;
    let second = Signer::p256("second");
    harness.issuer.publish(&jwks(&[&harness.signer, &second]));
    assert_eq!(
        harness.get("/", &second.token(&claims())).await.status(),
        200
    );
    assert_eq!(harness.get("/", &harness.token("")).await.status(), 200);
    // The first load at startup, the second caused by the unknown key id.
    assert_eq!(harness.issuer.requests().len(), 2);
}

#[tokio::test]
async fn rejects_tokens_of_a_removed_key() {
    let harness = Harness::new().await;
    let second = Signer::p256("second");
    harness.issuer.publish(&jwks(&[&second]));
    assert_eq!(
        harness.get("/", &harness.token("")).await.status(),
        200,
        "change not loaded yet"
    );
    assert_eq!(
        harness.get("/", &second.token(&claims())).await.status(),
        200
    );
    assert_eq!(harness.get("/", &harness.token("")).await.status(), 401);
}

#[tokio::test]
async fn loads_again_when_a_load_began_before_the_rotation() {
    let (first, second) = (Signer::p256("first"), Signer::p256("second"));
    let issuer = Issuer::new(&jwks(&[&first])).await;
    let fetcher = fetcher(&TrustStore::PublicRoots);
    let source = Source::new(&issuer.url(), "").unwrap();
    let timing = Timing {
        // Scheduled loads happen all the time; requested ones only once.
        refresh_interval: Duration::from_millis(20),
        min_refresh_interval: Duration::from_hours(1),
        max_stale: Duration::from_hours(1),
    };

    let origin = Origin::new(source, fetcher, Algorithm::ALL.to_vec());
    let (keys, refresher) = Keys::new(origin, timing);
    let refreshing = tokio::spawn(refresher.run());
    keys.wait_until_loaded().await;
    issuer.hold_responses(true);

    let before = issuer.requests().len();
    until("a scheduled load", || issuer.requests().len() > before).await;
    issuer.publish(&jwks(&[&first, &second]));

    // The request starts waiting before the held response is released.
    let (set, ()) = tokio::join!(keys.current_or_reload("second"), async {
        issuer.hold_responses(false);
    });
    assert_eq!(set.unwrap().ids(), ["first", "second"]);
    refreshing.abort();
}

#[tokio::test]
async fn a_thousand_unknown_keys_cause_one_issuer_request() {
    let harness = Arc::new(Harness::new().await);
    let untrusted = Arc::new(Signer::p256("x"));
    let mut clients = JoinSet::new();

    for client in 0..20 {
        let (harness, untrusted) = (harness.clone(), untrusted.clone());
        clients.spawn(async move {
            for request in 0..50 {
                // Every token has another unknown key id.
                let header = json!({"alg": "ES256", "kid": format!("{client}-{request}")});
                let token = untrusted.sign(&header, claims().to_string().as_bytes());
                assert_eq!(harness.get("/", &token).await.status(), 401);
            }
        });
    }

    clients.join_all().await;
    assert_eq!(
        harness.issuer.requests().len(),
        2,
        "one at startup and one more"
    );
    assert_eq!(harness.get("/", &harness.token("")).await.status(), 200);
}

#[tokio::test]
async fn malformed_tokens_cause_no_key_requests() {
    let harness = Harness::new().await;
    let payload = b64(claims().to_string().as_bytes());
    // Rejected before the key lookup by algorithm, extension or type, or by the known `kid`.
    for header in [
        json!({"alg": "none", "kid": "x"}),
        json!({"alg": "HS256", "kid": "x"}),
        json!({"alg": "RS1", "kid": "x"}),
        json!({"alg": "ES256", "kid": "x", "crit": ["y"]}),
        json!({"alg": "ES256", "kid": 7}),
        json!({"alg": "ES256", "kid": "first", "jku": harness.issuer.url()}),
    ] {
        let token = format!("{}.{payload}.AAAA", b64(header.to_string().as_bytes()));
        assert_eq!(harness.get("/", &token).await.status(), 401, "{header}");
    }

    assert_eq!(harness.issuer.requests().len(), 1);
}

#[tokio::test]
async fn loads_again_after_the_minimum_interval() {
    let harness =
        // Practically no limit: every unknown key id may cause a load.
        Harness::with(|config| config.jwks_min_refresh_interval = HumanDuration::from_millis(1)).await;
    let untrusted = Signer::p256("x");
    let repeated = async {
        while harness.issuer.requests().len() < 4 {
            assert_eq!(
                harness.get("/", &untrusted.token(&claims())).await.status(),
                401
            );
        }
    };
    tokio::time::timeout(LIMIT, repeated).await.unwrap();
}

#[tokio::test]
async fn keeps_keys_while_loads_fail() {
    let harness =
        Harness::with(|config| config.jwks_refresh_interval = HumanDuration::from_millis(20)).await;
    for (status, body) in [
        ("500 Internal Server Error", "{}"),
        ("200 OK", "not json"),
        // Empty or unusable sets never replace a good one.
        ("200 OK", r#"{"keys":[]}"#),
        ("200 OK", r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#),
        // Redirects and oversized documents are errors.
        ("302 Found\r\nlocation: /elsewhere", ""),
        ("200 OK", &"x".repeat(Fetcher::MAX_BYTES + 1)),
    ] {
        harness.issuer.answer(status, body);
        let before = harness.issuer.requests().len();
        until("two more loads", || {
            harness.issuer.requests().len() >= before + 2
        })
        .await;
        assert_eq!(
            harness.get("/", &harness.token("")).await.status(),
            200,
            "{status} {body:.30}"
        );
    }

    assert!(
        harness.issuer.requests().iter().all(|path| path == "/jwks"),
        "no redirect was followed"
    );
}

#[tokio::test]
async fn drops_keys_older_than_max_stale() {
    let harness = Harness::with(|config| {
        config.jwks_refresh_interval = HumanDuration::from_millis(20);
        config.jwks_max_stale = HumanDuration::from_millis(100);
    })
    .await;

    harness.issuer.answer("500 Internal Server Error", "");
    let until_rejected =
        async { while harness.get("/", &harness.token("")).await.status() != 503 {} };
    tokio::time::timeout(LIMIT, until_rejected).await.unwrap();
    // The next successful load makes the same keys usable again.
    harness.issuer.publish(&jwks(&[&harness.signer]));
    let until_accepted =
        async { while harness.get("/", &harness.token("")).await.status() != 200 {} };
    tokio::time::timeout(LIMIT, until_accepted).await.unwrap();
}

#[tokio::test]
async fn without_keys_is_not_ready_and_answers_503() {
    let harness = Harness::without_waiting(|config| {
        config.jwks = Some("/nowhere/jwks.json".into());
        config.rules =
            serde_json::from_str(r#"[{"path":"/healthz","public":true},{"path":"/**"}]"#).unwrap();
    })
    .await;

    until("the upstream", || {
        harness.filter.readiness.waiting_for() == ["keys"]
    })
    .await;

    let answer = harness.get("/", &harness.token("")).await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(
        harness.get("/healthz", "").await.status(),
        200,
        "public paths need no keys"
    );
}

#[tokio::test]
async fn becomes_ready_when_keys_appear() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let harness = Harness::without_waiting(|config| {
        config.jwks = Some(path.display().to_string());
        config.jwks_refresh_interval = HumanDuration::from_millis(20);
    })
    .await;

    until("the upstream", || {
        harness.filter.readiness.waiting_for() == ["keys"]
    })
    .await;
    std::fs::write(&path, jwks(&[&harness.signer]).to_string()).unwrap();
    until("readiness", || harness.filter.readiness.is_ready()).await;
    assert_eq!(harness.get("/", &harness.token("")).await.status(), 200);
}

#[tokio::test]
async fn reloads_a_changed_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let (first, second) = (Signer::p256("first"), Signer::p256("second"));
    std::fs::write(&path, jwks(&[&first]).to_string()).unwrap();
    let harness =
        Harness::with(|config| config.jwks = Some(format!("file://{}", path.display()))).await;
    assert_eq!(
        harness.get("/", &first.token(&claims())).await.status(),
        200
    );
    std::fs::write(&path, jwks(&[&second]).to_string()).unwrap();
    assert_eq!(
        harness.get("/", &second.token(&claims())).await.status(),
        200
    );
    assert_eq!(
        harness.get("/", &first.token(&claims())).await.status(),
        401
    );
}

#[tokio::test]
async fn discovers_the_keys_without_jwks() {
    let signer = Signer::p256("first");
    let issuer = Issuer::new(&jwks(&[&signer])).await;
    let name = format!("http://{}", issuer.address);
    let harness = Harness::with(|config| {
        config.jwks = None;
        // Discovery requires the configuration to contain exactly this issuer.
        config.issuer = name.clone();
    })
    .await;

    assert_eq!(
        issuer.requests(),
        ["/.well-known/openid-configuration", "/found"]
    );
    let mut claims = claims();

    claims["iss"] = json!(name);
    assert_eq!(harness.get("/", &signer.token(&claims)).await.status(), 200);
}

#[tokio::test]
async fn rejects_a_configuration_of_another_issuer() {
    let issuer = Issuer::new(&json!({})).await;
    // The configuration has the issuer without the trailing slash.
    let wrong = format!("http://{}/", issuer.address);
    let error = load(Source::new("", &wrong).unwrap(), &TrustStore::PublicRoots)
        .await
        .unwrap_err();
    assert!(matches!(error, LoadError::Issuer { .. }), "{error:?}");
}

#[tokio::test]
async fn limits_documents_and_follows_no_redirects() {
    let issuer = Issuer::new(&json!({"keys": []})).await;
    let source = || Source::new(&issuer.url(), "").unwrap();
    let error = load(source(), &TrustStore::PublicRoots).await.unwrap_err();
    assert!(
        matches!(error, LoadError::Set(KeySetError::Empty(_))),
        "{error:?}"
    );
    issuer.answer("302 Found\r\nlocation: /elsewhere", "");

    let error = load(source(), &TrustStore::PublicRoots).await.unwrap_err();
    let LoadError::Fetch(FetchError::Status { status, .. }) = error else {
        panic!("{error:?}")
    };

    assert_eq!(status, 302);
    issuer.answer("200 OK", &"x".repeat(Fetcher::MAX_BYTES + 1));
    let error = load(source(), &TrustStore::PublicRoots).await.unwrap_err();
    assert!(
        matches!(error, LoadError::Fetch(FetchError::TooLarge(_))),
        "{error:?}"
    );
    // No length: the limit must apply while reading.
    issuer.answer_raw(format!(
        "HTTP/1.1 200 OK\r\n\r\n{}",
        "x".repeat(2 * Fetcher::MAX_BYTES)
    ));

    let error = load(source(), &TrustStore::PublicRoots).await.unwrap_err();
    assert!(
        matches!(error, LoadError::Fetch(FetchError::TooLarge(_))),
        "{error:?}"
    );
    // Closed after one of five bytes.
    issuer.answer_raw("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{".into());

    let error = load(source(), &TrustStore::PublicRoots).await.unwrap_err();
    assert!(
        matches!(error, LoadError::Fetch(FetchError::Body { .. })),
        "{error:?}"
    );
    assert_eq!(issuer.requests().len(), 5);
}

#[tokio::test]
async fn rejects_plain_http_outside_the_task() {
    // Documentation address of RFC 5737: if it were not rejected, connecting would time out.
    let source = Source::new("http://192.0.2.1/jwks", "").unwrap();
    let error = load(source, &TrustStore::PublicRoots).await.unwrap_err();
    assert!(
        matches!(error, LoadError::Fetch(FetchError::Plain(_))),
        "{error:?}"
    );
}

#[tokio::test]
async fn trusts_only_the_configured_ca() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, acceptor) = authority(&["localhost"]);
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority).unwrap();

    let signer = Signer::p256("first");
    let issuer = Issuer::with_tls(&jwks(&[&signer]), acceptor).await;
    let port = issuer.address.port();
    let source = |host: &str| Source::new(&format!("https://{host}:{port}/jwks"), "").unwrap();
    let roots = TrustStore::CaFile(file);

    assert_eq!(
        load(source("localhost"), &roots).await.unwrap().ids(),
        ["first"]
    );

    // An unknown CA, and a certificate for another name.
    for (host, roots) in [
        ("localhost", &TrustStore::PublicRoots),
        ("127.0.0.1", &roots),
    ] {
        let error = load(source(host), roots).await.unwrap_err();
        assert!(
            matches!(
                error,
                LoadError::Fetch(FetchError::Request {
                    source: ClientError::Connect { .. },
                    ..
                })
            ),
            "{host} {error:?}"
        );
    }

    assert_eq!(issuer.requests().len(), 1);
}

#[test]
fn ignores_unusable_keys_and_uses_the_others() {
    let (good, duplicate, rsa) = (
        Signer::p256("good"),
        Signer::p256("duplicate"),
        Signer::rsa("rsa"),
    );
    let mut encrypting = rsa.jwk();

    encrypting["use"] = json!("enc");
    let mut short = rsa.jwk();
    short["kid"] = json!("short");
    short["n"] = json!(b64(&[0xff; 128]));

    let listed = json!(["EC", "list"]);
    // One good key, one id used twice, and keys that are for encryption, weak or malformed.
    let set = json!({"keys": [
        good.jwk(), duplicate.jwk(), Signer::p256("duplicate").jwk(), encrypting, short,
        {"kty": "oct", "kid": "oct", "k": "AAAA"}, {"kid": "typed", "kty": 7}, listed,
    ]});
    let set = KeySet::parse(set.to_string().as_bytes(), &Algorithm::ALL).unwrap();

    assert_eq!(set.ids(), ["good"]);
    let ignored: Vec<_> = set
        .ignored_keys()
        .iter()
        .map(|key| key.id.as_deref().unwrap_or("-"))
        .collect();

    assert_eq!(
        ignored,
        [
            "duplicate",
            "duplicate",
            "rsa",
            "short",
            "oct",
            "typed",
            "-"
        ]
    );
    assert_eq!(set.ignored_keys()[0].reason, IgnoreReason::DuplicateId);
}

/// Key sets as real issuers publish them, each with a token that must verify.
#[test]
fn accepts_the_key_sets_of_real_issuers() {
    let (rsa, other, ec) = (Signer::rsa("a"), Signer::rsa("a"), Signer::p256("a"));
    let with = |signer: &Signer, name: &str, value: Value| {
        let mut jwk = signer.jwk();
        jwk[name] = value;
        jwk
    };
    let set = |keys: Value| json!({ "keys": keys }).to_string();
    let modulus = |change: &dyn Fn(&str) -> String| {
        let jwk = rsa.jwk();
        with(&rsa, "n", json!(change(jwk["n"].as_str().unwrap())))
    };
    let mut without_id = rsa.jwk();
    without_id.as_object_mut().unwrap().remove("kid");
    let mut many: Vec<Value> = (0..200)
        .map(|index| with(&ec, "kid", json!(format!("key-{index}"))))
        .collect();
    many.push(rsa.jwk());

    for (kind, document, alg, signer) in [
        (
            "the same key twice",
            set(json!([rsa.jwk(), rsa.jwk()])),
            "RS256",
            &rsa,
        ),
        (
            "one key for two algorithms",
            set(json!([
                with(&rsa, "alg", json!("RS256")),
                with(&rsa, "alg", json!("RS512"))
            ])),
            "RS512",
            &rsa,
        ),
        (
            "one id for two keys with different algorithms",
            set(json!([
                with(&rsa, "alg", json!("RS256")),
                with(&other, "alg", json!("PS256"))
            ])),
            "PS256",
            &other,
        ),
        (
            "one id for signatures and encryption",
            set(json!([with(&other, "use", json!("enc")), rsa.jwk()])),
            "RS256",
            &rsa,
        ),
        (
            "one id for RSA and EC",
            set(json!([rsa.jwk(), ec.jwk()])),
            "ES256",
            &ec,
        ),
        (
            "a modulus with a leading zero",
            set(json!([modulus(&|n| {
                let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
                    .decode(n)
                    .unwrap();
                b64(&[&[0][..], &bytes].concat())
            })])),
            "RS256",
            &rsa,
        ),
        (
            "a padded modulus",
            set(json!([modulus(&|n| format!("{n}=="))])),
            "RS256",
            &rsa,
        ),
        (
            "a byte order mark",
            format!("\u{feff}{}", set(json!([rsa.jwk()]))),
            "RS256",
            &rsa,
        ),
        ("more than 64 keys", set(json!(many)), "RS256", &rsa),
        (
            "a single key without an id",
            set(json!([without_id])),
            "RS256",
            &rsa,
        ),
        (
            "unset members",
            set(json!([with(&rsa, "alg", Value::Null)])),
            "RS256",
            &rsa,
        ),
    ] {
        let set = KeySet::parse(document.as_bytes(), &Algorithm::ALL)
            .unwrap_or_else(|error| panic!("{kind}: {error}"));
        let token = signer.sign(&json!({"alg": alg, "kid": "a"}), b"{}");
        let jws = Jws::parse(token.as_bytes()).unwrap();
        assert!(set.contains("a"), "{kind}");
        assert_eq!(
            jws.verify_any(set.candidates(Some("a"))).as_deref(),
            Ok(&b"{}"[..]),
            "{kind}"
        );
    }
}

#[test]
fn merges_equal_keys_and_bounds_the_number_of_keys() {
    let signers: Vec<Signer> = (0..KeySet::MAX_KEYS + 2)
        .map(|index| Signer::p256(&index.to_string()))
        .collect();
    let keys: Vec<Value> = signers.iter().map(Signer::jwk).collect();
    let twice = json!({"keys": [keys[0], keys[0]]}).to_string();
    let set = KeySet::parse(twice.as_bytes(), &Algorithm::ALL).unwrap();
    assert_eq!(set.ids(), ["0"]);

    let all = json!({ "keys": keys }).to_string();
    let set = KeySet::parse(all.as_bytes(), &Algorithm::ALL).unwrap();
    assert_eq!(set.ids().len(), KeySet::MAX_KEYS);
    assert_eq!(set.ignored_keys().len(), 2);
    assert_eq!(set.ignored_keys()[0].reason, IgnoreReason::TooMany);
    // The work for a token without an id is bounded too.
    assert_eq!(set.candidates(None).count(), KeySet::MAX_CANDIDATES);
}

#[test]
fn rejects_invalid_key_sets() {
    for (document, error) in [
        ("", KeySetError::Malformed),
        ("[[]]", KeySetError::Malformed),
        ("{}", KeySetError::Malformed),
        (r#"{"keys":{}}"#, KeySetError::Malformed),
        (r#"{"keys":[],"keys":[]}"#, KeySetError::Malformed),
        (r#"{"keys":[]}"#, KeySetError::Empty(Vec::new())),
    ] {
        let found = KeySet::parse(document.as_bytes(), &Algorithm::ALL).unwrap_err();
        assert_eq!(found, error, "{document:.30}");
    }
}

fn fetcher(roots: &TrustStore) -> Fetcher {
    let proxy = ProxySettings::none();
    Fetcher::new(roots.clone(), PlainHttp::LoopbackOnly, proxy).unwrap()
}

async fn load(source: Source, roots: &TrustStore) -> Result<KeySet, LoadError> {
    Origin::new(source, fetcher(roots), Algorithm::ALL.to_vec())
        .load()
        .await
}

/// Creates a CA as PEM and a server with a certificate issued by it.
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
