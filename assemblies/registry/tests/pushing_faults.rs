//! Pushes layouts to a registry that fails, refuses and misbehaves.

#![allow(clippy::unwrap_used, reason = "a failing helper fails the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use registry::push::{Progress, PushOptions};
use registry::{Client, Credentials, Digest, ErrorKind, Limits};
use tempfile::TempDir;

mod support;
use support::pushing::{limits, push, small_layout};
use support::store::{
    Answer, CuttingProxy, Recorded, Store, answer, layout, noise, reply, with_header,
};

/// Pushes a small layout and returns the error, with a message that says what to do.
async fn push_error(store: &Store) -> (ErrorKind, String) {
    let folder = TempDir::new().unwrap();
    let outcome = push(&small_layout(&folder), &store.image("web:1")).await;
    let error = outcome.unwrap_err();
    let message = error.to_string();
    assert!(message.contains("; "), "no hint: {message}");
    assert_eq!(store.tag("web", "1"), None);
    (error.kind, message)
}

fn last(requests: &[Recorded]) -> &Recorded {
    requests.last().unwrap()
}

#[tokio::test]
async fn completes_after_a_cut_at_any_point() {
    let folder = TempDir::new().unwrap();
    let layout = small_layout(&folder);
    let store = Store::start().await;
    let whole = CuttingProxy::start(store.address, None);
    push(&layout, &format!("{}/whole:1", whole.address))
        .await
        .unwrap();
    let totals = whole.bytes.map(|bytes| bytes.load(Ordering::Relaxed));

    for (direction, total) in totals.into_iter().enumerate() {
        // An odd number of steps, so that cuts fall into lines, between requests and into bodies.
        for step in 1..=17 {
            let cut = Some((direction, (total * step / 18).max(1)));
            let proxy = CuttingProxy::start(store.address, cut);
            let name = format!("cut-{direction}-{step}");
            let pushed = push(&layout, &format!("{}/{name}:1", proxy.address)).await;
            let digest = pushed.unwrap().digest.to_string();
            assert_eq!(store.tag(&name, "1"), Some(digest), "{name}");
        }
    }
}

#[tokio::test]
async fn reports_a_connection_that_is_always_cut() {
    let store = Store::start().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Accepts and closes.
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let folder = TempDir::new().unwrap();
    let error = push(&small_layout(&folder), &format!("{address}/web:1")).await;
    let error = error.unwrap_err();
    assert!(
        matches!(error.kind, ErrorKind::Interrupted { .. }),
        "{error}"
    );
    drop(store);
}

/// A registry with tokens that expire; `is_expired` decides when the first one does.
async fn store_with_tokens(
    is_expired: impl Fn(&[Recorded]) -> bool + Send + Sync + 'static,
) -> (Store, Arc<AtomicUsize>) {
    let tokens = Arc::new(AtomicUsize::new(0));
    let issued = tokens.clone();
    let expired = AtomicBool::new(false);
    let store = Store::start_with(move |store, requests| {
        let request = last(requests);
        if request.path.starts_with("/token") {
            let number = issued.fetch_add(1, Ordering::Relaxed) + 1;
            let body = format!(r#"{{"token":"t{number}"}}"#);
            return Some(reply(200, body.into(), "none"));
        }

        if is_expired(requests) {
            expired.store(true, Ordering::Relaxed);
        }
        let valid = if expired.load(Ordering::Relaxed) {
            "Bearer t2"
        } else {
            "Bearer t1"
        };
        if request.authorization.as_deref() == Some(valid) {
            return None;
        }
        let challenge = format!(
            r#"Bearer realm="http://{}/token",service="s""#,
            store.address
        );
        Some(with_header(401, "www-authenticate", &challenge))
    })
    .await;

    (store, tokens)
}

#[tokio::test]
async fn fetches_one_token_for_all_requests() {
    let folder = TempDir::new().unwrap();
    let layout = layout(folder.path(), &noise(50_000), &["amd64", "arm64"]);
    let (store, tokens) = store_with_tokens(|_| false).await;
    push(&layout, &store.image("web:1")).await.unwrap();
    assert_eq!(tokens.load(Ordering::Relaxed), 1);
    // The challenge has no scope; pushing needs both actions.
    assert_eq!(
        store.count(&Method::GET, "scope=repository%3Aweb%3Apull%2Cpush"),
        1
    );
}

#[tokio::test]
async fn fetches_a_second_token_when_the_first_expires_at_any_point() {
    let folder = TempDir::new().unwrap();
    let layout = layout(folder.path(), &noise(50_000), &["amd64", "arm64"]);
    for (method, part) in [
        (Method::HEAD, "/blobs/"),
        (Method::POST, "/blobs/uploads/"),
        (Method::PUT, "/blobs/uploads/"),
        (Method::PUT, "/manifests/"),
    ] {
        let at = method.clone();
        let (store, tokens) = store_with_tokens(move |requests| last(requests).is(&at, part)).await;
        push(&layout, &store.image("web:1")).await.unwrap();
        assert_eq!(tokens.load(Ordering::Relaxed), 2, "{method} {part}");
        assert!(store.tag("web", "1").is_some());
    }
}

#[tokio::test]
async fn reports_tokens_that_are_never_accepted() {
    let (store, tokens) = store_with_tokens(|_| true).await;
    // The second token is the first valid one, and a session that gets 401 twice in a row gives up.
    let (kind, _) = push_error(&store).await;
    assert!(matches!(kind, ErrorKind::Denied { .. }));
    assert_eq!(tokens.load(Ordering::Relaxed), 1);
}

/// A store that answers uploads of blobs as given.
async fn store_answering(
    respond: impl Fn(usize) -> Option<Answer> + Send + Sync + 'static,
) -> Store {
    Store::start_with(move |_, requests| {
        let is_put = |request: &Recorded| request.is(&Method::PUT, "/blobs/uploads/");
        let number = requests.iter().filter(|request| is_put(request)).count();
        is_put(last(requests)).then(|| respond(number)).flatten()
    })
    .await
}

#[tokio::test]
async fn reports_a_size_limit() {
    let store = store_answering(|_| Some(with_header(413, "content-type", "text/html"))).await;
    let (kind, message) = push_error(&store).await;
    assert!(matches!(kind, ErrorKind::UploadTooLarge { .. }));
    assert!(message.contains("client_max_body_size"), "{message}");

    // A blob larger than the buffers of the connection, which the server never reads.
    let folder = TempDir::new().unwrap();
    let layout = layout(folder.path(), &noise(4_000_000), &["amd64"]);
    let error = push(&layout, &store.image("web:1")).await.unwrap_err();
    assert!(
        matches!(error.kind, ErrorKind::UploadTooLarge { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn reports_a_page_of_a_proxy() {
    let store = store_answering(|_| Some(with_header(200, "content-type", "text/html"))).await;
    let (kind, message) = push_error(&store).await;
    assert!(
        matches!(kind, ErrorKind::InvalidResponse { .. }),
        "{message}"
    );
    assert!(message.contains("HTML"), "{message}");

    // The page in place of the very first response.
    let store = Store::start_with(|_, _| Some(with_header(200, "content-type", "text/html"))).await;
    let (kind, message) = push_error(&store).await;
    assert!(
        matches!(kind, ErrorKind::InvalidResponse { .. }),
        "{message}"
    );
}

#[tokio::test]
async fn reports_a_digest_that_is_not_the_one_sent() {
    let other = Digest::from_content(b"other").to_string();
    let digest = other.clone();
    let store = store_answering(move |_| Some(reply(201, "".into(), &digest))).await;
    let (kind, message) = push_error(&store).await;
    assert!(matches!(kind, ErrorKind::WrongDigest { .. }), "{message}");
    assert!(message.contains(&other), "{message}");
}

#[tokio::test]
async fn reports_a_success_that_is_not_201() {
    let store = store_answering(|_| Some(answer(202))).await;
    let (kind, message) = push_error(&store).await;
    assert!(
        matches!(kind, ErrorKind::InvalidResponse { .. }),
        "{message}"
    );
}

#[tokio::test]
async fn retries_a_busy_or_failing_registry() {
    let store = store_answering(|number| match number {
        1 => Some(with_header(429, "retry-after", "0")),
        2 => Some(answer(503)),
        // An upload that the registry forgot.
        3 => Some(answer(404)),
        _ => None,
    })
    .await;
    let folder = TempDir::new().unwrap();
    push(&small_layout(&folder), &store.image("web:1"))
        .await
        .unwrap();
    assert_eq!(store.count(&Method::PUT, "/blobs/uploads/"), 6);
}

#[tokio::test]
async fn reports_a_long_requested_wait_and_a_registry_that_keeps_failing() {
    let store = store_answering(|_| Some(with_header(429, "retry-after", "600"))).await;
    let (kind, message) = push_error(&store).await;
    assert!(matches!(kind, ErrorKind::RateLimited { .. }), "{message}");
    assert!(message.contains("600 s"), "{message}");

    let store = store_answering(|_| Some(answer(500))).await;
    let (kind, message) = push_error(&store).await;
    assert!(
        matches!(kind, ErrorKind::Status { status: 500, .. }),
        "{message}"
    );
}

#[tokio::test]
async fn reports_a_missing_repository() {
    let store = Store::start_with(|_, requests| {
        let is_start = last(requests).is(&Method::POST, "/blobs/uploads/");
        is_start.then(|| answer(404))
    })
    .await;
    let (kind, message) = push_error(&store).await;
    assert!(matches!(kind, ErrorKind::NoRepository { .. }), "{message}");
}

#[tokio::test]
async fn sends_no_credentials_and_no_content_to_a_remote_location() {
    let store = Store::start_with(|_, requests| {
        let is_start = last(requests).is(&Method::POST, "/blobs/uploads/");
        // A documentation address of RFC 5737.
        is_start.then(|| with_header(202, "location", "http://192.0.2.1/upload"))
    })
    .await;
    let (kind, message) = push_error(&store).await;
    assert!(matches!(kind, ErrorKind::PlainHttp(_)), "{message}");
}

#[tokio::test]
async fn reports_an_upload_without_progress() {
    let folder = TempDir::new().unwrap();
    let layout = small_layout(&folder);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap();
    let store = Store::start_with(move |_, requests| {
        let is_start = last(requests).is(&Method::POST, "/blobs/uploads/");
        // A server that accepts connections and never reads.
        let location = format!("http://{silent}/upload");
        is_start.then(|| with_header(202, "location", &location))
    })
    .await;

    let impatient = Limits {
        stall_timeout: Duration::from_millis(30),
        max_retries: 1,
        ..limits()
    };
    let client = Client::new(Credentials::default(), impatient).unwrap();
    let progress = Arc::new(Progress::default());
    let image = store.image("web:1");
    let options = PushOptions::default();
    let outcome = client.push(&layout, &image, &options, &progress).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Stalled { .. }), "{error}");
    drop(listener);
}
