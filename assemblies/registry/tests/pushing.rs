//! Pushes layouts to a registry that accepts, refuses and misbehaves.

#![allow(clippy::unwrap_used, reason = "a failing helper fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use registry::layout::{Layout, LayoutError};
use registry::push::{ExistingTag, Progress, PushOptions, PushedImage};
use registry::{Client, Credentials, Digest, Error, ErrorKind, Limits};
use tempfile::TempDir;

mod support;
use support::store::{
    Answer, CuttingProxy, Recorded, Store, answer, layout, noise, reply, with_header,
};

fn limits() -> Limits {
    Limits {
        request_timeout: Duration::from_secs(10),
        stall_timeout: Duration::from_secs(10),
        max_retry_wait: Duration::from_millis(5),
        ..Limits::default()
    }
}

fn client() -> Client {
    Client::new(Credentials::default(), limits()).unwrap()
}

async fn push(layout: &Layout, image: &str) -> Result<PushedImage, Error> {
    push_with(layout, image, &PushOptions::default()).await
}

async fn push_with(
    layout: &Layout,
    image: &str,
    options: &PushOptions,
) -> Result<PushedImage, Error> {
    let progress = Arc::new(Progress::default());
    let outcome = client().push(layout, image, options, &progress).await;
    if outcome.is_ok() {
        // What was sent twice counts once.
        assert_eq!(progress.done_bytes(), progress.total_bytes());
    }
    outcome
}

fn small_layout(folder: &TempDir) -> Layout {
    layout(folder.path(), &noise(20_000), &["amd64"])
}

/// Pushes a small layout and returns the error, whose message says what to do.
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
async fn pushes_blobs_then_children_then_the_tag() {
    let folder = TempDir::new().unwrap();
    let layout = layout(folder.path(), &noise(300_000), &["amd64", "arm64"]);
    let store = Store::start().await;
    let pushed = push(&layout, &store.image("team/web:1")).await.unwrap();

    assert_eq!(pushed.digest.as_str(), layout.index().manifests[0].digest);
    let platforms = pushed.platforms.iter().map(ToString::to_string);
    assert_eq!(
        platforms.collect::<Vec<_>>(),
        ["linux/amd64", "linux/arm64"]
    );
    assert_eq!(
        store.tag("team/web", "1").unwrap(),
        pushed.digest.to_string()
    );

    // The large layer is in both images and is sent once: three layers and two configurations.
    assert_eq!(pushed.blobs.len(), 5);
    assert_eq!(store.count(&Method::POST, "/blobs/uploads/"), 5);
    assert_eq!(store.count(&Method::PUT, "/blobs/uploads/"), 5);
    assert_eq!(store.count(&Method::PATCH, ""), 0);

    let writes: Vec<Recorded> = store
        .recorded()
        .into_iter()
        .filter(|request| request.method == Method::PUT)
        .collect();
    assert!(writes.iter().all(|write| write.content_length.is_some()));
    let manifests = writes
        .iter()
        .position(|write| write.path.contains("/manifests/"));
    // The store refuses a manifest before its blobs; here, that the tag is the very last write.
    assert_eq!(manifests, Some(5));
    assert!(last(&writes).path.ends_with("/manifests/1"));
}

#[tokio::test]
async fn sends_one_request_for_an_unchanged_image() {
    let folder = TempDir::new().unwrap();
    let layout = small_layout(&folder);
    let store = Store::start().await;
    let first = push(&layout, &store.image("web:1")).await.unwrap();
    assert!(first.uploaded_bytes > 20_000 && !first.is_unchanged);

    store.requests.lock().unwrap().clear();
    let second = push(&layout, &store.image("web:1")).await.unwrap();
    assert!(second.is_unchanged);
    assert_eq!(store.recorded().len(), 1);

    // Another tag needs no blob again.
    let third = push(&layout, &store.image("web:2")).await.unwrap();
    assert_eq!(third.uploaded_bytes, 0);
    assert_eq!(third.digest, first.digest);
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

#[tokio::test]
async fn mounts_a_blob_from_another_repository() {
    let folder = TempDir::new().unwrap();
    let layout = small_layout(&folder);
    let store = Store::start().await;
    let first = push(&layout, &store.image("a:1")).await.unwrap();
    let mounts = first
        .blobs
        .iter()
        .map(|blob| (blob.clone(), "a".to_owned()));
    let options = PushOptions {
        mounts: mounts.collect(),
        ..PushOptions::default()
    };

    let second = push_with(&layout, &store.image("b:1"), &options).await;
    let second = second.unwrap();
    assert_eq!((second.mounted, second.uploaded_bytes), (3, 0));
    assert_eq!(store.tag("b", "1"), store.tag("a", "1"));
}

#[tokio::test]
async fn uploads_when_a_mount_is_answered_with_202() {
    let folder = TempDir::new().unwrap();
    let layout = small_layout(&folder);
    let store = Store::start().await;
    // The other repository does not have the blobs, so the registry starts an upload instead.
    let blobs = push(&layout, &store.image("a:1")).await.unwrap().blobs;
    let mounts = blobs.into_iter().map(|blob| (blob, "empty".to_owned()));
    let options = PushOptions {
        mounts: mounts.collect(),
        ..PushOptions::default()
    };

    let before = store.count(&Method::POST, "");
    let pushed = push_with(&layout, &store.image("b:1"), &options).await;
    assert_eq!(pushed.unwrap().mounted, 0);
    assert_eq!(store.count(&Method::POST, "") - before, 3);
    assert_eq!(store.tag("b", "1"), store.tag("a", "1"));
}

/// A registry whose tokens expire: `is_expired` decides when the first one does.
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

#[tokio::test]
async fn refuses_to_move_a_tag_unless_asked() {
    let folder = TempDir::new().unwrap();
    let layout = small_layout(&folder);
    let store = Store::start().await;
    let old = store.set_tag("web", "1", "{}");
    let error = push(&layout, &store.image("web:1")).await.unwrap_err();
    let message = error.to_string();
    assert!(message.contains(old.as_str()) && message.contains("--move-tag"));
    // Refused before anything was sent.
    assert_eq!(store.count(&Method::POST, ""), 0);

    let options = PushOptions {
        existing_tag: ExistingTag::Move,
        ..PushOptions::default()
    };
    let pushed = push_with(&layout, &store.image("web:1"), &options).await;
    assert_eq!(
        store.tag("web", "1"),
        Some(pushed.unwrap().digest.to_string())
    );
}

#[tokio::test]
async fn notices_a_tag_that_was_set_during_the_upload() {
    let folder = TempDir::new().unwrap();
    let layout = small_layout(&folder);
    let store = Store::start_with(|store, requests| {
        if last(requests).is(&Method::PUT, "/blobs/uploads/") {
            store.set_tag("web", "1", "{}");
        }
        None
    })
    .await;
    let error = push(&layout, &store.image("web:1")).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::TagExists { .. }), "{error}");
    assert_eq!(store.count(&Method::PUT, "/manifests/"), 0);
}

#[tokio::test]
async fn notices_a_tag_that_was_moved_right_after_the_push() {
    let folder = TempDir::new().unwrap();
    let layout = small_layout(&folder);
    let store = Store::start_with(|store, requests| {
        let is_set = |request: &Recorded| request.is(&Method::PUT, "/manifests/1");
        if requests.iter().any(is_set) && last(requests).method == Method::HEAD {
            store.set_tag("web", "1", "{}");
        }
        None
    })
    .await;
    let error = push(&layout, &store.image("web:1")).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::TagMoved { .. }), "{error}");
}

#[tokio::test]
async fn two_pushes_at_once_leave_one_complete_image() {
    let folders = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let layouts = [
        layout(folders[0].path(), &noise(30_000), &["amd64"]),
        layout(folders[1].path(), &noise(40_000), &["amd64"]),
    ];
    for round in 0..8 {
        let store = Store::start().await;
        let image = store.image("web:1");
        let (first, second) = tokio::join!(push(&layouts[0], &image), push(&layouts[1], &image));
        let tag = store.tag("web", "1").unwrap();
        let digests: BTreeSet<String> = layouts
            .iter()
            .map(|layout| layout.index().manifests[0].digest.clone())
            .collect();
        assert!(digests.contains(&tag), "round {round}");

        // At least one has the tag, and the other one says so or came first.
        let outcomes = [first, second];
        assert!(outcomes.iter().any(Result::is_ok), "round {round}");
        for error in outcomes.into_iter().filter_map(Result::err) {
            let is_expected = matches!(
                error.kind,
                ErrorKind::TagExists { .. } | ErrorKind::TagMoved { .. }
            );
            assert!(is_expected, "{error}");
        }
    }
}

#[tokio::test]
async fn two_pushes_of_the_same_image_both_succeed() {
    let folder = TempDir::new().unwrap();
    let layout = small_layout(&folder);
    let store = Store::start().await;
    let image = store.image("web:1");
    let (first, second) = tokio::join!(push(&layout, &image), push(&layout, &image));
    assert_eq!(first.unwrap().digest, second.unwrap().digest);
}

#[tokio::test]
async fn rejects_a_damaged_layout_before_the_manifest_is_sent() {
    let store = Store::start().await;
    let folder = TempDir::new().unwrap();
    let layout = small_layout(&folder);
    let (manifest, _) = layout.image("linux/amd64").unwrap();
    let blob = manifest.layers[0]
        .digest
        .replace("sha256:", "blobs/sha256/");
    let path = folder.path().join(blob);

    // The same size, so that only the content differs.
    let mut content = fs::read(&path).unwrap();
    content[100] ^= 1;
    fs::write(&path, &content).unwrap();
    let error = push(&layout, &store.image("web:1")).await.unwrap_err();
    let is_altered =
        |kind: &ErrorKind| matches!(kind, ErrorKind::Layout(LayoutError::AlteredBlob { .. }));
    assert!(is_altered(&error.kind), "{error}");

    fs::write(&path, &content[1..]).unwrap();
    let error = push(&layout, &store.image("web:1")).await.unwrap_err();
    assert!(is_altered(&error.kind), "{error}");

    fs::remove_file(&path).unwrap();
    let error = push(&layout, &store.image("web:1")).await.unwrap_err();
    assert!(error.to_string().contains("has no blob"), "{error}");
    assert_eq!(store.count(&Method::PUT, "/manifests/"), 0);
}

#[tokio::test]
async fn rejects_a_layout_with_several_images() {
    let store = Store::start().await;
    let folder = TempDir::new().unwrap();
    small_layout(&folder);
    let path = folder.path().join("index.json");
    let mut index: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let manifests = index["manifests"].as_array_mut().unwrap();
    manifests.push(manifests[0].clone());
    fs::write(&path, index.to_string()).unwrap();

    let layout = Layout::open(folder.path()).unwrap();
    let error = push(&layout, &store.image("web:1")).await.unwrap_err();
    assert!(
        error.to_string().contains("2 images instead of one"),
        "{error}"
    );
    assert_eq!(store.recorded().len(), 0);
}
