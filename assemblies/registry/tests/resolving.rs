//! What the client does with the answers of registries, good and bad.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use registry::{Client, Credentials, Digest, Error, Image, Limits, Platform, Problem};

mod support;
use support::{Registry, Reply};

const INDEX: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[
{"digest":"sha256:1","platform":{"os":"linux","architecture":"arm64","variant":"v8"}},
{"digest":"sha256:2","platform":{"os":"linux","architecture":"amd64"}},
{"digest":"sha256:3","platform":{"os":"unknown","architecture":"unknown"}}]}"#;
const CONFIG: &str = r#"{"os":"linux","architecture":"amd64","rootfs":{}}"#;

fn limits() -> Limits {
    Limits {
        time: Duration::from_secs(10),
        wait: Duration::from_millis(20),
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

async fn refused(registry: &Registry) -> (Problem, String) {
    let error = resolve(registry, "{}", limits()).await.unwrap_err();
    let told = error.to_string();
    assert!(
        told.starts_with(&format!("`{}/web:1`: ", registry.address)),
        "{told}"
    );
    assert!(told.contains("; "), "no way out: {told}");
    (error.problem, told)
}

const MANIFEST: &str = "/v2/web/manifests/1";

#[tokio::test]
async fn an_index_is_known_by_its_own_hash_and_lists_its_platforms() {
    let registry = Registry::start().await;
    let digest = Digest::of(INDEX.as_bytes());
    let reply = Reply::new(200, INDEX).with("docker-content-digest", digest.as_str());
    registry.on(MANIFEST, None, reply);
    let image = resolve(&registry, "{}", limits()).await.unwrap();
    assert_eq!(image.digest, digest);
    assert_eq!(image.platforms, [amd64(), Platform::new("linux", "arm64")]);
    let accept = registry.asked()[0].accept.clone().unwrap();
    assert!(accept.contains("image.index.v1") && accept.contains("manifest.list.v2"));
}

#[tokio::test]
async fn an_image_without_variants_says_its_platform_in_a_blob_that_may_be_elsewhere() {
    let registry = Registry::start().await;
    let config = Digest::of(CONFIG.as_bytes());
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

    assert_eq!(image.digest, Digest::of(manifest.as_bytes()));
    assert_eq!(image.platforms, [amd64()]);
}

#[tokio::test]
async fn a_platform_that_is_not_there_is_told_with_those_that_are() {
    let registry = Registry::start().await;
    registry.on(
        MANIFEST,
        None,
        Reply::new(200, INDEX.replace("amd64", "s390x")),
    );
    let (problem, told) = refused(&registry).await;
    assert!(matches!(problem, Problem::NoPlatform { .. }));
    assert!(told.contains("linux/arm64, linux/s390x"), "{told}");
}

#[tokio::test]
async fn a_header_that_lies_about_the_bytes_is_not_believed() {
    let registry = Registry::start().await;
    let other = Digest::of(b"other");
    let reply = Reply::new(200, INDEX).with("docker-content-digest", other.as_str());
    registry.on(MANIFEST, None, reply);
    assert!(matches!(refused(&registry).await.0, Problem::Lie { .. }));
}

#[tokio::test]
async fn a_config_that_is_not_what_its_name_says_is_not_believed() {
    let registry = Registry::start().await;
    let config = Digest::of(CONFIG.as_bytes());
    let manifest = format!(r#"{{"schemaVersion":2,"config":{{"digest":"{config}"}}}}"#);
    registry.on(MANIFEST, None, Reply::new(200, manifest));
    registry.on(
        &format!("/v2/web/blobs/{config}"),
        None,
        Reply::new(200, "{}"),
    );
    assert!(matches!(refused(&registry).await.0, Problem::Lie { .. }));
}

#[tokio::test]
async fn a_manifest_is_not_taken_from_where_a_redirect_leads() {
    let registry = Registry::start().await;
    let elsewhere = format!("http://{}/evil", registry.address);
    registry.on(
        MANIFEST,
        None,
        Reply::new(302, "").with("location", &elsewhere),
    );
    registry.on("/evil", None, Reply::new(200, INDEX));
    assert!(matches!(
        refused(&registry).await.0,
        Problem::Status { status: 302, .. }
    ));
    assert_eq!(registry.asked().len(), 1);
}

#[tokio::test]
async fn a_token_is_fetched_from_where_the_registry_says_and_used() {
    let registry = Registry::start().await;
    let realm = format!("http://{}/token", registry.address);
    let challenge = format!(r#"Bearer realm="{realm}",service="s s",scope="repository:web:pull""#);
    registry.on(
        MANIFEST,
        None,
        Reply::new(401, "").with("www-authenticate", &challenge),
    );
    registry.on(MANIFEST, Some("Bearer t1"), Reply::new(200, INDEX));

    let asked = "/token?scope=repository%3Aweb%3Apull&service=s%20s";
    registry.on(asked, None, Reply::new(200, r#"{"token":"t1"}"#));
    assert!(resolve(&registry, "{}", limits()).await.is_ok());
    assert_eq!(registry.asked()[1].authorization, None);
}

#[tokio::test]
async fn a_login_goes_to_the_token_server_and_not_to_the_registry() {
    let registry = Registry::start().await;
    let challenge = format!(r#"Bearer realm="http://{}/token""#, registry.address);
    registry.on(
        MANIFEST,
        None,
        Reply::new(401, "").with("www-authenticate", &challenge),
    );
    registry.on(MANIFEST, Some("Bearer t2"), Reply::new(200, INDEX));

    let asked = "/token?scope=repository%3Aweb%3Apull";
    registry.on(
        asked,
        Some("Basic bWU6aHVzaA=="),
        Reply::new(200, r#"{"access_token":"t2"}"#),
    );

    let json = format!(
        r#"{{"auths":{{"{}":{{"auth":"bWU6aHVzaA=="}}}}}}"#,
        registry.address
    );

    assert!(resolve(&registry, &json, limits()).await.is_ok());
    let sent: Vec<_> = registry
        .asked()
        .into_iter()
        .map(|one| (one.path, one.authorization))
        .collect();

    assert!(
        sent.iter()
            .all(|(path, who)| path == asked || who.as_deref() != Some("Basic bWU6aHVzaA=="))
    );
}

#[tokio::test]
async fn the_token_of_a_login_is_exchanged_for_one_of_the_registry() {
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
async fn a_password_is_sent_where_the_registry_asks_for_one() {
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
    let (problem, told) = refused(&registry).await;
    assert!(matches!(problem, Problem::Denied { .. }));
    assert!(
        told.contains(&format!("docker login {}", registry.address)),
        "{told}"
    );
}

#[tokio::test]
async fn a_password_that_is_wrong_is_told_with_the_name_and_not_with_the_password() {
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
    let told = resolve(&registry, &json, limits())
        .await
        .unwrap_err()
        .to_string();

    assert!(
        told.contains("refuses `me`") && !told.contains("hush"),
        "{told}"
    );
}

#[tokio::test]
async fn a_token_server_that_is_no_https_elsewhere_gets_nothing() {
    let registry = Registry::start().await;
    let challenge = "Bearer realm=\"ftp://evil.example/token\"";
    registry.on(
        MANIFEST,
        None,
        Reply::new(401, "").with("www-authenticate", challenge),
    );

    assert!(matches!(
        refused(&registry).await.0,
        Problem::NoRegistry { .. }
    ));
}

#[tokio::test]
async fn an_image_that_is_not_there_is_told_in_the_words_of_the_registry() {
    let registry = Registry::start().await;
    let (problem, told) = refused(&registry).await;
    assert!(matches!(problem, Problem::NotThere { .. }));
    assert!(told.contains("manifest unknown"), "{told}");
}

#[tokio::test]
async fn a_busy_registry_is_asked_again_when_it_says_so() {
    let registry = Registry::start().await;
    registry.on(MANIFEST, None, Reply::new(429, "").with("retry-after", "0"));
    registry.on(MANIFEST, None, Reply::new(200, INDEX));
    assert!(resolve(&registry, "{}", limits()).await.is_ok());
    assert_eq!(registry.asked().len(), 2);
}

#[tokio::test]
async fn a_registry_that_asks_for_a_long_wait_is_not_asked_again() {
    let registry = Registry::start().await;
    registry.on(
        MANIFEST,
        None,
        Reply::new(429, "").with("retry-after", "600"),
    );
    let (problem, told) = refused(&registry).await;
    assert!(matches!(problem, Problem::Busy { .. }));
    assert!(told.contains("600 s"), "{told}");
    assert_eq!(registry.asked().len(), 1);
}

#[tokio::test]
async fn a_page_instead_of_a_manifest_is_no_registry() {
    let registry = Registry::start().await;
    let page =
        Reply::new(200, "<!DOCTYPE html><html>log in</html>").with("content-type", "text/html");
    registry.on(MANIFEST, None, page);
    let (problem, told) = refused(&registry).await;
    assert!(matches!(problem, Problem::NoRegistry { .. }));
    assert!(told.contains("text/html"), "{told}");
}

#[tokio::test]
async fn an_old_manifest_is_named() {
    let registry = Registry::start().await;
    let old = r#"{"schemaVersion":1,"name":"web"}"#;
    let kind = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    registry.on(
        MANIFEST,
        None,
        Reply::new(200, old).with("content-type", kind),
    );
    assert!(refused(&registry).await.1.contains(kind));
}

#[tokio::test]
async fn more_bytes_than_the_limit_are_not_read() {
    let registry = Registry::start().await;
    registry.on(MANIFEST, None, Reply::new(200, vec![b' '; 5 * 1024 * 1024]));
    assert!(matches!(refused(&registry).await.0, Problem::TooBig { .. }));
}

#[tokio::test]
async fn a_silent_registry_is_given_up() {
    let registry = Registry::start().await;
    registry.on(MANIFEST, None, Reply::never());
    let impatient = Limits {
        time: Duration::from_millis(50),
        ..limits()
    };
    let error = resolve(&registry, "{}", impatient).await.unwrap_err();
    assert!(matches!(error.problem, Problem::Slow { .. }));
}

#[tokio::test]
async fn nobody_there_is_told() {
    let registry = Registry::start().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let image = format!("{}/web:1", closed.local_addr().unwrap());
    drop((closed, registry));
    let client = Client::new(Credentials::default(), limits()).unwrap();
    let error = client.resolve(&image, &[amd64()]).await.unwrap_err();
    assert!(matches!(error.problem, Problem::Connect { .. }), "{error}");
}
