//! Pushes and reads what describes an image: with the referrers API, and with the tag that replaces it.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a failing helper fails the test"
)]

use std::collections::BTreeMap;
use std::path::Path;

use http::Method;
use registry::layout::{Artifact, Descriptor, Layout, LayoutError, media_type, write_referrers};
use registry::{Digest, ErrorKind, Platform, ReadArtifact};
use serde_json::{Value, json};
use tempfile::TempDir;

mod support;
use support::pushing::{client, push, small_layout};
use support::store::{Recorded, Store, layout};

const SBOM: &str = media_type::CYCLONEDX;

fn artifact(subject: &Descriptor, content: &str) -> Artifact {
    Artifact {
        artifact_type: SBOM.to_owned(),
        subject: subject.clone(),
        content: content.as_bytes().to_vec(),
        annotations: BTreeMap::new(),
    }
}

/// Writes an SBOM for each manifest of a layout: `sbom of N`.
fn attach(layout: &Layout) {
    let manifests = layout.manifests().unwrap();
    let artifacts: Vec<Artifact> = (manifests.iter().enumerate())
        .map(|(number, manifest)| artifact(manifest, &format!("sbom of {number}")))
        .collect();
    write_referrers(layout.folder(), &artifacts).unwrap();
}

fn subject(layout: &Layout) -> Digest {
    layout.manifests().unwrap()[0].digest.parse().unwrap()
}

fn tag_of(layout: &Layout) -> String {
    subject(layout).as_str().replace(':', "-")
}

async fn read(image: &str, platform: Option<&Platform>) -> ReadArtifact {
    client().read_artifact(image, platform, SBOM).await.unwrap()
}

fn text(found: ReadArtifact) -> String {
    match found {
        ReadArtifact::Found(found) => String::from_utf8(found.content).unwrap(),
        ReadArtifact::Missing(kinds) => panic!("only {kinds:?}"),
    }
}

#[tokio::test]
async fn a_registry_with_the_api_gets_no_tag() {
    let folder = TempDir::new().unwrap();
    let layout = small_layout(&folder);
    attach(&layout);
    let store = Store::start().await;
    store.content.lock().unwrap().lists_referrers = true;
    let image = store.image("web:1");
    push(&layout, &image).await.unwrap();
    assert_eq!(
        read(&image, None).await,
        ReadArtifact::Missing(Vec::new()),
        "the image alone has no SBOM"
    );

    let pushed = client().push_referrers(&layout, &image).await.unwrap();
    assert_eq!((pushed.total, pushed.added, pushed.tagged), (1, 1, 0));
    assert_eq!(store.tag("web", &tag_of(&layout)), None);
    assert_eq!(text(read(&image, None).await), "sbom of 0");

    // Unchanged: one request.
    let before = store.recorded_requests().len();
    let again = client().push_referrers(&layout, &image).await.unwrap();
    assert_eq!((again.total, again.added), (1, 0));
    assert_eq!(store.recorded_requests().len(), before + 1);
}

#[tokio::test]
async fn without_the_api_a_tag_lists_the_artifacts() {
    let folder = TempDir::new().unwrap();
    let layout = layout(folder.path(), b"program", &["amd64", "arm64"]);
    attach(&layout);
    let store = Store::start().await;
    let image = store.image("web:1");
    push(&layout, &image).await.unwrap();
    let pushed = client().push_referrers(&layout, &image).await.unwrap();
    assert_eq!((pushed.total, pushed.added, pushed.tagged), (2, 2, 2));

    // The first platform, or the requested one.
    assert_eq!(text(read(&image, None).await), "sbom of 0");
    let arm = Platform::new("linux", "arm64");
    assert_eq!(text(read(&image, Some(&arm)).await), "sbom of 1");
    let other = Platform::new("linux", "riscv64");
    let missing = client().read_artifact(&image, Some(&other), SBOM).await;
    let kind = missing.unwrap_err().kind;
    assert!(matches!(kind, ErrorKind::MissingPlatform { .. }), "{kind}");

    let index = read_tag(&store, &tag_of(&layout));
    assert_eq!(index["manifests"][0]["artifactType"], SBOM);
    let writes = store.count(&Method::PUT, "");
    client().push_referrers(&layout, &image).await.unwrap();
    assert_eq!(store.count(&Method::PUT, ""), writes, "nothing to write");
}

/// Returns the index of a tag.
fn read_tag(store: &Store, tag: &str) -> Value {
    let content = store.content.lock().unwrap();
    let (_, body) = &content.manifests[&("web".to_owned(), tag.to_owned())];
    serde_json::from_slice(body).unwrap()
}

fn index_of(entries: &[Value]) -> String {
    json!({ "schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": entries }).to_string()
}

fn entry(name: &str) -> Value {
    let digest = Digest::from_content(name.as_bytes());
    json!({
        "mediaType": media_type::MANIFEST, "digest": digest.as_str(), "size": 3,
        "artifactType": "application/vnd.example", "data": "kept",
    })
}

#[tokio::test]
async fn entries_of_others_stay_in_the_tag() {
    let folder = TempDir::new().unwrap();
    let layout = small_layout(&folder);
    attach(&layout);
    let store = Store::start().await;
    let image = store.image("web:1");
    push(&layout, &image).await.unwrap();
    // The registry has the manifest that the entry names.
    let signature = store.set_tag("web", "signature", "{}");
    let digest = signature.as_str().to_owned();
    let mut foreign = entry("signature");
    foreign["digest"] = digest.clone().into();
    let key = ("web".to_owned(), digest);
    let body = (signature.to_string(), "{}".into());
    store.content.lock().unwrap().manifests.insert(key, body);
    store.set_tag("web", &tag_of(&layout), &index_of(&[foreign.clone()]));

    let before = client().read_artifact(&image, None, SBOM).await.unwrap();
    let kinds = vec!["application/vnd.example".to_owned()];
    assert_eq!(before, ReadArtifact::Missing(kinds));
    client().push_referrers(&layout, &image).await.unwrap();
    let index = read_tag(&store, &tag_of(&layout));
    assert_eq!(index["manifests"].as_array().unwrap().len(), 2);
    // With fields that this version does not know.
    assert_eq!(index["manifests"][0], foreign);
    assert_eq!(text(read(&image, None).await), "sbom of 0");
}

/// Starts a registry in which another push replaces the tag before the given reads of it that follow the first write.
async fn start_contended(layout: &Layout, reads: &'static [usize]) -> Store {
    let tag = format!("/manifests/{}", tag_of(layout));
    Store::start_with(move |store, requests| {
        let is_write = |request: &Recorded| request.is(&Method::PUT, &tag);
        let first = requests.iter().position(is_write)?;
        let is_read = |request: &&Recorded| request.is(&Method::GET, &tag);
        let count = requests[first..].iter().filter(is_read).count();
        let last = requests.last().unwrap();
        if last.is(&Method::GET, &tag) && (reads.contains(&count) || reads.is_empty()) {
            let tag = tag.trim_start_matches("/manifests/");
            store.set_tag("web", tag, &index_of(&[]));
        }
        None
    })
    .await
}

#[tokio::test]
async fn an_entry_that_another_push_removed_is_added_again() {
    // Right after the write, some time later, and twice.
    for reads in [&[1][..], &[2], &[1, 3]] {
        let folder = TempDir::new().unwrap();
        let layout = small_layout(&folder);
        attach(&layout);
        let store = start_contended(&layout, reads).await;
        let image = store.image("web:1");
        push(&layout, &image).await.unwrap();

        client().push_referrers(&layout, &image).await.unwrap();
        assert_eq!(text(read(&image, None).await), "sbom of 0", "{reads:?}");
        let writes = store.count(&Method::PUT, &tag_of(&layout));
        assert_eq!(writes, reads.len() + 1, "{reads:?}");
    }
}

#[tokio::test]
async fn a_tag_that_never_keeps_the_entry_is_an_error() {
    let folder = TempDir::new().unwrap();
    let layout = small_layout(&folder);
    attach(&layout);
    let store = start_contended(&layout, &[]).await;
    let image = store.image("web:1");
    push(&layout, &image).await.unwrap();
    let error = client().push_referrers(&layout, &image).await.unwrap_err();
    assert!(
        matches!(error.kind, ErrorKind::ReferrersReplaced { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn two_pushes_at_once_keep_both_entries() {
    let folders = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let layouts = [small_layout(&folders[0]), small_layout(&folders[1])];
    let manifest = &layouts[0].manifests().unwrap()[0];
    write_referrers(folders[0].path(), &[artifact(manifest, "one")]).unwrap();
    write_referrers(folders[1].path(), &[artifact(manifest, "two")]).unwrap();
    let store = Store::start().await;
    let image = store.image("web:1");
    push(&layouts[0], &image).await.unwrap();

    let client = client();
    let (one, two) = tokio::join!(
        client.push_referrers(&layouts[0], &image),
        client.push_referrers(&layouts[1], &image)
    );
    one.unwrap();
    two.unwrap();
    // What the slower one lost, a second push adds.
    client.push_referrers(&layouts[0], &image).await.unwrap();
    client.push_referrers(&layouts[1], &image).await.unwrap();
    let index = read_tag(&store, &tag_of(&layouts[0]));
    assert_eq!(index["manifests"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn rejects_a_tag_without_an_index_and_an_altered_document() {
    let folder = TempDir::new().unwrap();
    let layout = small_layout(&folder);
    attach(&layout);
    let store = Store::start().await;
    let image = store.image("web:1");
    push(&layout, &image).await.unwrap();
    store.set_tag("web", &tag_of(&layout), "{}");
    let error = client().push_referrers(&layout, &image).await.unwrap_err();
    assert!(error.to_string().contains("has no index"), "{error}");

    store.set_tag("web", &tag_of(&layout), &index_of(&[]));
    client().push_referrers(&layout, &image).await.unwrap();
    let digest = Digest::from_content(b"sbom of 0").to_string();
    let altered = ("web".to_owned(), digest);
    store
        .content
        .lock()
        .unwrap()
        .blobs
        .insert(altered, "sbom of 1".into());
    let error = client().read_artifact(&image, None, SBOM).await;
    let kind = error.unwrap_err().kind;
    assert!(matches!(kind, ErrorKind::DigestMismatch { .. }), "{kind}");
}

#[test]
fn a_layout_keeps_one_image_and_only_artifacts_of_it() {
    let folder = TempDir::new().unwrap();
    let image = small_layout(&folder);
    let first = subject(&image);
    assert!(image.referrers().unwrap().is_none());
    attach(&image);
    let reopened = Layout::open(folder.path()).unwrap();
    assert_eq!(reopened.index().manifests.len(), 1);
    let found = reopened.artifact(first.as_str(), SBOM).unwrap();
    assert_eq!(found.unwrap(), b"sbom of 0");
    assert_eq!(reopened.artifact(first.as_str(), "other").unwrap(), None);
    let names = blobs(folder.path());

    // Written again, it is the same; of another image, nothing is left to push.
    attach(&reopened);
    assert_eq!(blobs(folder.path()), names);
    let other = layout(folder.path(), b"another program", &["amd64"]);
    assert!(other.referrers().unwrap().is_none());
    attach(&other);
    assert_eq!(blobs(folder.path()).len(), names.len());

    let digest = Digest::from_content(b"sbom of 0");
    let blob = folder.path().join("referrers/blobs/sha256");
    std::fs::write(blob.join(digest.hex()), "sbom of 1").unwrap();
    let error = other.artifact(subject(&other).as_str(), SBOM).unwrap_err();
    assert!(matches!(error, LayoutError::AlteredBlob { .. }), "{error}");
}

/// Returns the names of the blobs of the artifacts, sorted.
fn blobs(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("referrers/blobs/sha256")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}
