//! Tests the client with valid and invalid responses.

#![allow(clippy::unwrap_used, reason = "a failing helper fails the test")]

use std::time::Duration;

use registry::{Client, Credentials, Digest, Error, ErrorKind, Image, Limits, Platform};

mod support;
use support::{Registry, Reply};

const INDEX: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[
{"digest":"sha256:1","platform":{"os":"linux","architecture":"arm64","variant":"v8"}},
{"digest":"sha256:2","platform":{"os":"linux","architecture":"amd64"}},
{"digest":"sha256:3","platform":{"os":"unknown","architecture":"unknown"}}]}"#;
const CONFIG: &str = r#"{"os":"linux","architecture":"amd64","rootfs":{}}"#;

fn limits() -> Limits {
    Limits {
        request_timeout: Duration::from_secs(10),
        max_retry_wait: Duration::from_millis(20),
        ..Limits::default()
    }
}

fn amd64() -> Platform {
    Platform::new("linux", "amd64")
}

async fn resolve(registry: &Registry, json: &str, limits: Limits) -> Result<Image, Error> {
    let credentials: Credentials = serde_json::from_str(json).unwrap();
    let client = Client::new(credentials, limits).unwrap();
    client.resolve(&registry.image("web:1"), &[amd64()]).await
}

async fn resolve_error(registry: &Registry) -> (ErrorKind, String) {
    let error = resolve(registry, "{}", limits()).await.unwrap_err();
    let message = error.to_string();
    assert!(
        message.starts_with(&format!("`{}/web:1`: ", registry.address)),
        "{message}"
    );
    assert!(message.contains("; "), "no hint: {message}");
    (error.kind, message)
}

// The path of the tag `1` of the repository `web`.
const MANIFEST: &str = "/v2/web/manifests/1";

#[tokio::test]
async fn resolves_an_index_to_its_digest_and_platforms() {
    let registry = Registry::start().await;
    let digest = Digest::from_content(INDEX.as_bytes());
    let reply = Reply::new(200, INDEX).with("docker-content-digest", digest.as_str());
    registry.on(MANIFEST, None, reply);
    let image = resolve(&registry, "{}", limits()).await.unwrap();
    assert_eq!(image.digest, digest);
    assert_eq!(image.platforms, [amd64(), Platform::new("linux", "arm64")]);
    // Both the OCI and the older docker media types are requested.
    let accept = registry.requests()[0].accept.clone().unwrap();
    assert!(accept.contains("image.index.v1") && accept.contains("manifest.list.v2"));
}

#[tokio::test]
async fn reads_the_platform_of_a_single_image_from_a_redirected_blob() {
    let registry = Registry::start().await;
    let config = Digest::from_content(CONFIG.as_bytes());
    let manifest = format!(r#"{{"schemaVersion":2,"config":{{"digest":"{config}"}},"layers":[]}}"#);
    registry.on(MANIFEST, None, Reply::new(200, manifest.as_str()));

    let elsewhere = format!("http://{}/signed", registry.address);
    let blob = format!("/v2/web/blobs/{config}");
    registry.on(
        &blob,
        None,
        Reply::new(307, "").with("location", &elsewhere),
    );
    registry.on("/signed", None, Reply::new(200, CONFIG));
    let image = resolve(&registry, "{}", limits()).await.unwrap();

    assert_eq!(image.digest, Digest::from_content(manifest.as_bytes()));
    assert_eq!(image.platforms, [amd64()]);
}

#[tokio::test]
async fn reports_a_missing_platform_with_the_available_ones() {
    let registry = Registry::start().await;
    registry.on(
        MANIFEST,
        None,
        Reply::new(200, INDEX.replace("amd64", "s390x")),
    );
    let (kind, message) = resolve_error(&registry).await;
    assert!(matches!(kind, ErrorKind::MissingPlatform { .. }));
    assert!(message.contains("linux/arm64, linux/s390x"), "{message}");
}

#[tokio::test]
async fn rejects_a_digest_header_that_does_not_match() {
    let registry = Registry::start().await;
    let other = Digest::from_content(b"other");
    let reply = Reply::new(200, INDEX).with("docker-content-digest", other.as_str());
    registry.on(MANIFEST, None, reply);
    assert!(matches!(
        resolve_error(&registry).await.0,
        ErrorKind::DigestMismatch { .. }
    ));
}

#[tokio::test]
async fn rejects_a_config_that_does_not_match_its_digest() {
    let registry = Registry::start().await;
    let config = Digest::from_content(CONFIG.as_bytes());
    let manifest = format!(r#"{{"schemaVersion":2,"config":{{"digest":"{config}"}}}}"#);
    registry.on(MANIFEST, None, Reply::new(200, manifest));
    registry.on(
        &format!("/v2/web/blobs/{config}"),
        None,
        Reply::new(200, "{}"),
    );
    assert!(matches!(
        resolve_error(&registry).await.0,
        ErrorKind::DigestMismatch { .. }
    ));
}

#[tokio::test]
async fn does_not_follow_redirects_for_manifests() {
    let registry = Registry::start().await;
    let elsewhere = format!("http://{}/evil", registry.address);
    registry.on(
        MANIFEST,
        None,
        Reply::new(302, "").with("location", &elsewhere),
    );
    // A manifest behind a redirect would be valid JSON, but must not be used.
    registry.on("/evil", None, Reply::new(200, INDEX));
    assert!(matches!(
        resolve_error(&registry).await.0,
        ErrorKind::Status { status: 302, .. }
    ));
    assert_eq!(registry.requests().len(), 1);
}

#[tokio::test]
async fn fetches_and_uses_a_token() {
    let registry = Registry::start().await;
    let realm = format!("http://{}/token", registry.address);
    let challenge = format!(r#"Bearer realm="{realm}",service="s s",scope="repository:web:pull""#);
    registry.on(
        MANIFEST,
        None,
        Reply::new(401, "").with("www-authenticate", &challenge),
    );
    registry.on(MANIFEST, Some("Bearer t1"), Reply::new(200, INDEX));

    let token_path = "/token?scope=repository%3Aweb%3Apull&service=s%20s";
    registry.on(token_path, None, Reply::new(200, r#"{"token":"t1"}"#));
    assert!(resolve(&registry, "{}", limits()).await.is_ok());
    // Without credentials, the token is requested anonymously.
    assert_eq!(registry.requests()[1].authorization, None);
}

#[tokio::test]
async fn sends_the_password_only_to_the_token_server() {
    let registry = Registry::start().await;
    let challenge = format!(r#"Bearer realm="http://{}/token""#, registry.address);
    registry.on(
        MANIFEST,
        None,
        Reply::new(401, "").with("www-authenticate", &challenge),
    );
    registry.on(MANIFEST, Some("Bearer t2"), Reply::new(200, INDEX));

    let token_path = "/token?scope=repository%3Aweb%3Apull";
    registry.on(
        token_path,
        Some("Basic bWU6aHVzaA=="),
        Reply::new(200, r#"{"access_token":"t2"}"#),
    );

    let json = format!(
        r#"{{"auths":{{"{}":{{"auth":"bWU6aHVzaA=="}}}}}}"#,
        registry.address
    );

    assert!(resolve(&registry, &json, limits()).await.is_ok());
    let sent: Vec<_> = registry
        .requests()
        .into_iter()
        .map(|request| (request.path, request.authorization))
        .collect();

    assert!(sent.iter().all(|(path, authorization)| path == token_path
        || authorization.as_deref() != Some("Basic bWU6aHVzaA==")));
}

#[tokio::test]
async fn exchanges_an_identity_token() {
    let registry = Registry::start().await;
    let challenge = format!(r#"Bearer realm="http://{}/token""#, registry.address);
    registry.on(
        MANIFEST,
        None,
        Reply::new(401, "").with("www-authenticate", &challenge),
    );
    registry.on(MANIFEST, Some("Bearer t3"), Reply::new(200, INDEX));
    registry.on("/token", None, Reply::new(200, r#"{"access_token":"t3"}"#));

    let json = format!(
        r#"{{"auths":{{"{}":{{"identitytoken":"i"}}}}}}"#,
        registry.address
    );
    assert!(resolve(&registry, &json, limits()).await.is_ok());
}

#[tokio::test]
async fn sends_a_password_for_a_basic_challenge() {
    let registry = Registry::start().await;
    registry.on(
        MANIFEST,
        None,
        Reply::new(401, "").with("www-authenticate", "Basic realm=\"r\""),
    );
    registry.on(MANIFEST, Some("Basic bWU6aHVzaA=="), Reply::new(200, INDEX));

    let json = format!(
        r#"{{"auths":{{"{}":{{"username":"me","password":"hush"}}}}}}"#,
        registry.address
    );

    assert!(resolve(&registry, &json, limits()).await.is_ok());
    let (kind, message) = resolve_error(&registry).await;
    assert!(matches!(kind, ErrorKind::Denied { .. }));
    assert!(
        message.contains(&format!("docker login {}", registry.address)),
        "{message}"
    );
}

#[tokio::test]
async fn reports_a_wrong_password_without_revealing_it() {
    let registry = Registry::start().await;
    registry.on(
        MANIFEST,
        None,
        Reply::new(401, "").with("www-authenticate", "Basic realm=\"r\""),
    );

    let json = format!(
        r#"{{"auths":{{"{}":{{"username":"me","password":"hush"}}}}}}"#,
        registry.address
    );
    let message = resolve(&registry, &json, limits())
        .await
        .unwrap_err()
        .to_string();

    assert!(
        message.contains("denied access to `me`") && !message.contains("hush"),
        "{message}"
    );
}

#[tokio::test]
async fn rejects_a_token_server_without_https() {
    let registry = Registry::start().await;
    let challenge = "Bearer realm=\"ftp://evil.example/token\"";
    registry.on(
        MANIFEST,
        None,
        Reply::new(401, "").with("www-authenticate", challenge),
    );

    assert!(matches!(
        resolve_error(&registry).await.0,
        ErrorKind::InvalidResponse { .. }
    ));
}

#[tokio::test]
async fn reports_a_missing_image_with_the_message_of_the_registry() {
    let registry = Registry::start().await;
    let (kind, message) = resolve_error(&registry).await;
    assert!(matches!(kind, ErrorKind::NotFound { .. }));
    assert!(message.contains("manifest unknown"), "{message}");
}

#[tokio::test]
async fn retries_after_the_requested_wait() {
    let registry = Registry::start().await;
    registry.on(MANIFEST, None, Reply::new(429, "").with("retry-after", "0"));
    registry.on(MANIFEST, None, Reply::new(200, INDEX));
    assert!(resolve(&registry, "{}", limits()).await.is_ok());
    assert_eq!(registry.requests().len(), 2);
}

#[tokio::test]
async fn does_not_retry_after_a_long_requested_wait() {
    let registry = Registry::start().await;
    registry.on(
        MANIFEST,
        None,
        Reply::new(429, "").with("retry-after", "600"),
    );
    let (kind, message) = resolve_error(&registry).await;
    assert!(matches!(kind, ErrorKind::RateLimited { .. }));
    // The limit for a wait is 20 ms here.
    assert!(message.contains("600 s"), "{message}");
    assert_eq!(registry.requests().len(), 1);
}

#[tokio::test]
async fn rejects_an_html_page() {
    let registry = Registry::start().await;
    let page =
        Reply::new(200, "<!DOCTYPE html><html>log in</html>").with("content-type", "text/html");
    registry.on(MANIFEST, None, page);
    let (kind, message) = resolve_error(&registry).await;
    assert!(matches!(kind, ErrorKind::InvalidResponse { .. }));
    assert!(message.contains("text/html"), "{message}");
}

#[tokio::test]
async fn reports_an_unsupported_manifest_version() {
    let registry = Registry::start().await;
    // Docker's first manifest format, which registries have dropped.
    let old = r#"{"schemaVersion":1,"name":"web"}"#;
    let kind = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    registry.on(
        MANIFEST,
        None,
        Reply::new(200, old).with("content-type", kind),
    );
    assert!(resolve_error(&registry).await.1.contains(kind));
}

#[tokio::test]
async fn rejects_a_response_over_the_size_limit() {
    let registry = Registry::start().await;
    registry.on(MANIFEST, None, Reply::new(200, vec![b' '; 5 * 1024 * 1024]));
    assert!(matches!(
        resolve_error(&registry).await.0,
        ErrorKind::TooLarge { .. }
    ));
}

#[tokio::test]
async fn times_out_when_a_registry_does_not_respond() {
    let registry = Registry::start().await;
    registry.on(MANIFEST, None, Reply::never());
    let short_timeout = Limits {
        request_timeout: Duration::from_millis(50),
        ..limits()
    };
    let error = resolve(&registry, "{}", short_timeout).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Timeout { .. }));
}

#[tokio::test]
async fn reports_a_failed_connection() {
    let registry = Registry::start().await;
    // A port that was free a moment ago, so the connection is refused.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let image = format!("{}/web:1", closed.local_addr().unwrap());
    drop((closed, registry));
    let client = Client::new(Credentials::default(), limits()).unwrap();
    let error = client.resolve(&image, &[amd64()]).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Connect { .. }), "{error}");
}

#[tokio::test]
async fn reports_a_name_that_cannot_be_resolved() {
    let client = Client::new(Credentials::default(), limits()).unwrap();
    // No resolver knows this name (RFC 6761, section 6.4).
    let image = "registry.invalid/web:1";
    let error = client.resolve(image, &[amd64()]).await.unwrap_err();
    assert!(
        matches!(error.kind, ErrorKind::UnknownHost { .. }),
        "{error}"
    );
    assert!(!error.kind.is_local());
}
