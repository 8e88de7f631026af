//! Pushes layouts to a registry: order, mounts, tags, and layouts that are damaged.

#![allow(clippy::unwrap_used, reason = "a failing helper fails the test")]

use std::collections::BTreeSet;
use std::fs;

use http::Method;
use registry::ErrorKind;
use registry::layout::{Layout, LayoutError};
use registry::push::{ExistingTag, PushOptions};
use tempfile::TempDir;

mod support;
use support::pushing::{push, push_with, small_layout};
use support::store::{Recorded, Store, layout, noise};

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
        .recorded_requests()
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
    assert_eq!(store.recorded_requests().len(), 1);

    // Another tag needs no blob again.
    let third = push(&layout, &store.image("web:2")).await.unwrap();
    assert_eq!(third.uploaded_bytes, 0);
    assert_eq!(third.digest, first.digest);
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
    assert_eq!(store.recorded_requests().len(), 0);
}
