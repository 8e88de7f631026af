//! Pushes an image layout to a registry.
//!
//! ```text
//! Layout ─▶ Source: manifests, blobs ─▶ tag free? ─▶ blobs, in parallel ─▶ child manifests ─▶ tag ─▶ verified
//! ```
//!
//! A registry accepts a manifest only after its blobs, and an index only after its manifests, so the tag comes last: an
//! interrupted push leaves the tag as it was. The order and the requests are those of the OCI distribution
//! specification 1.1, "Pushing manifests". Nothing that the registry has is uploaded again.

mod body;
mod manifests;
mod source;
mod upload;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::client::Client;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::layout::Layout;
use crate::manifest::Platform;
use crate::session::{Access, Session};
use crate::tasks::join_all;
use source::Source;
use upload::BlobOutcome;

/// How to push.
#[derive(Clone, Debug, Default)]
pub struct PushOptions {
    /// What to do with a tag that exists with another image.
    pub existing_tag: ExistingTag,
    /// Repositories of the same registry that have a blob, by its digest: it is mounted from there.
    pub mounts: BTreeMap<Digest, String>,
}

/// What to do with a tag that exists with another image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExistingTag {
    /// Refuse to push: what runs under this tag must not change unnoticed.
    #[default]
    Refuse,
    /// Move the tag.
    Move,
}

/// A pushed image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedImage {
    /// The digest of the manifest, or of the index where there are several platforms.
    pub digest: Digest,
    /// The platforms, sorted.
    pub platforms: Vec<Platform>,
    /// The digests of all blobs, which other repositories of the registry can mount.
    pub blobs: Vec<Digest>,
    /// The number of bytes that were uploaded, without repetitions.
    pub uploaded_bytes: u64,
    /// The number of blobs that were mounted from another repository.
    pub mounted: usize,
    /// Whether the tag had this image already.
    pub is_unchanged: bool,
}

/// The progress of a push, in bytes of blobs; written by the push and read by the caller.
#[derive(Debug, Default)]
pub struct Progress {
    total: AtomicU64,
    done: AtomicU64,
}

impl Progress {
    /// Returns the size of all blobs; 0 until it is known.
    pub fn total_bytes(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Returns the size of what the registry has or was sent. Decreases when an upload starts again.
    pub fn done_bytes(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    fn remove(&self, bytes: u64) {
        self.done.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Client {
    /// Pushes the image of a layout under a reference, and verifies the tag afterwards.
    ///
    /// The protocol cannot set a tag only if it is free. If two pushes set the same tag at the same time, one of them
    /// has it in the end, complete, and the other image is there by digest.
    pub async fn push(
        &self,
        layout: &Layout,
        image: &str,
        options: &PushOptions,
        progress: &Arc<Progress>,
    ) -> Result<PushedImage, Error> {
        let outcome = self.push_kind(layout, image, options, progress).await;
        outcome.map_err(|kind| kind.for_image(image))
    }

    async fn push_kind(
        &self,
        layout: &Layout,
        image: &str,
        options: &PushOptions,
        progress: &Arc<Progress>,
    ) -> Result<PushedImage, ErrorKind> {
        let source = Source::read(layout)?;
        let blobs = source.blobs.iter();
        let mut mount_from: Vec<String> = blobs
            .filter_map(|blob| options.mounts.get(&blob.digest).cloned())
            .collect();
        mount_from.sort();
        mount_from.dedup();

        // The token must allow reading where blobs are mounted from (docker token protocol, "Requesting a token").
        let access = Access::Push { mount_from };
        let session = Arc::new(Session::new(self.clone(), image.parse()?, access));
        progress.total.store(source.size(), Ordering::Relaxed);

        let mut pushed = PushedImage {
            digest: source.top().digest.clone(),
            platforms: source.platforms.clone(),
            blobs: source
                .blobs
                .iter()
                .map(|blob| blob.digest.clone())
                .collect(),
            uploaded_bytes: 0,
            mounted: 0,
            is_unchanged: session
                .check_tag(&source.top().digest, options.existing_tag)
                .await?,
        };

        // A registry accepts a manifest only with everything that it refers to, so the tag says it all.
        if pushed.is_unchanged {
            progress.done.store(source.size(), Ordering::Relaxed);
            return Ok(pushed);
        }

        for (size, outcome) in push_blobs(&session, &source, options, progress).await? {
            match outcome {
                BlobOutcome::Uploaded => pushed.uploaded_bytes += size,
                BlobOutcome::Mounted => pushed.mounted += 1,
                BlobOutcome::Present => {}
            }
        }

        // One after the other: an index comes after its manifests, and they are small.
        for child in source.children() {
            session.put_child(child).await?;
        }
        session.put_top(source.top(), options.existing_tag).await?;

        Ok(pushed)
    }
}

/// Pushes all blobs, a few at a time; the first error cancels the others.
async fn push_blobs(
    session: &Arc<Session>,
    source: &Source,
    options: &PushOptions,
    progress: &Arc<Progress>,
) -> Result<Vec<(u64, BlobOutcome)>, ErrorKind> {
    let slots = Arc::new(Semaphore::new(MAX_UPLOADS));
    let mut tasks = JoinSet::new();
    for blob in &source.blobs {
        let (session, slots, blob) = (session.clone(), slots.clone(), blob.clone());
        let mount = options.mounts.get(&blob.digest).cloned();
        let progress = progress.clone();
        tasks.spawn(async move {
            let _slot = slots.acquire().await;
            let outcome = session.push_blob(&blob, mount.as_deref(), &progress).await;
            outcome.map(|outcome| (blob.size, outcome))
        });
    }

    join_all(tasks).await
}

/// Concurrent uploads: enough to use a fast line, and few enough that each makes progress on a slow one.
const MAX_UPLOADS: usize = 4;
