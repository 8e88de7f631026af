//! Pulls images into a [`Store`]: documents first, then the layers, each verified by digest and size.
//!
//! ```text
//! reference ─ Client::open_image ─▶ RemoteImage (manifest, configuration) ─ Client::fetch_layers ─▶ all blobs
//! ```
//!
//! Blobs are streamed to disk. A connection that is cut continues where it stopped, with a `Range` request
//! (OCI distribution specification 1.1, "Pulling blobs"), also in the next process.

mod documents;
mod download;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};

use crate::client::Client;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::layout::{
    Descriptor, ImageConfig, ImageManifest, Index, Layout, LayoutError, MAX_LAYERS, PlatformFields,
    media_type,
};
use crate::manifest::Platform;
use crate::reference::Reference;
use crate::session::{Access, Session};
use crate::size::format_bytes;
use crate::store::Store;

use documents::Documents;

/// Limits of pulling one image.
#[derive(Clone, Copy, Debug)]
pub struct PullLimits {
    /// Largest sum of all compressed layers, in bytes.
    pub max_bytes: u64,
    /// Most layers.
    pub max_layers: usize,
    /// Layers downloaded at the same time.
    pub max_parallel: usize,
    /// The time for one blob, retries included.
    pub blob_timeout: Duration,
}

impl Default for PullLimits {
    /// 16 GiB, which fits Fargate's default storage, and 256 layers; three downloads at once, as Docker does.
    fn default() -> Self {
        Self {
            max_bytes: 16 << 30,
            max_layers: MAX_LAYERS,
            max_parallel: 3,
            blob_timeout: Duration::from_hours(1),
        }
    }
}

/// The progress of a pull, in bytes; displayed as `1.20 MB of 2.40 MB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullProgress {
    /// Bytes received, and those that were present.
    pub received: u64,
    /// The sum of all layers.
    pub total: u64,
}

impl fmt::Display for PullProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (received, total) = (format_bytes(self.received), format_bytes(self.total));
        write!(f, "{received} of {total}")
    }
}

/// Called after each received piece.
pub type OnProgress = Arc<dyn Fn(PullProgress) + Send + Sync>;

/// An image of a registry whose manifest and configuration are in a store.
#[derive(Clone, Debug)]
pub struct RemoteImage {
    /// The image reference.
    pub reference: Reference,
    /// The digest of the index if there is one, else that of the manifest.
    pub digest: Digest,
    /// All platforms of the image.
    pub platforms: Vec<Platform>,
    /// The descriptor of the manifest for the chosen platform.
    pub descriptor: Descriptor,
    /// The manifest.
    pub manifest: ImageManifest,
    /// The configuration.
    pub config: ImageConfig,
}

impl Client {
    /// Reads the manifest and configuration of an image for a platform. Documents with a known digest that are in the
    /// store are not requested; without a platform the first one is chosen.
    pub async fn open_image(
        &self,
        image: &str,
        platform: Option<&Platform>,
        store: &Store,
    ) -> Result<RemoteImage, Error> {
        let opened = self.open_kind(image, platform, store).await;
        opened.map_err(|kind| kind.for_image(image))
    }

    async fn open_kind(
        &self,
        image: &str,
        platform: Option<&Platform>,
        store: &Store,
    ) -> Result<RemoteImage, ErrorKind> {
        let reference: Reference = image.parse()?;
        let documents = Documents {
            session: Session::new(self.clone(), reference.clone(), Access::Pull),
            store,
        };
        let (digest, text) = documents.top().await?;

        let value: serde_json::Value = documents.parse(&text)?;
        let (descriptor, mut platforms) = if value.get("manifests").is_some() {
            let index: Index = documents.parse(&text)?;
            choose(&index, platform)?
        } else {
            let descriptor = Descriptor::from_content(media_type::MANIFEST, &text);
            (descriptor, Vec::new())
        };

        let manifest: ImageManifest = documents.manifest(&descriptor).await?;
        let config: ImageConfig = documents.config(&manifest.config).await?;
        let own = config.platform();
        let own = Platform::new(&own.os, &own.architecture);
        // An index may be wrong about its images; the configuration is what runs.
        if let Some(platform) = platform.filter(|platform| **platform != own) {
            return Err(missing(platform, &[own]));
        }
        if platforms.is_empty() {
            platforms.push(own);
        }

        Ok(RemoteImage {
            reference,
            digest,
            platforms,
            descriptor,
            manifest,
            config,
        })
    }

    /// Downloads the layers of an image that are not in the store, and returns the image as a layout.
    pub async fn fetch_layers(
        &self,
        image: &RemoteImage,
        store: &Store,
        limits: PullLimits,
        progress: OnProgress,
    ) -> Result<Layout, Error> {
        let fetched = self.fetch_kind(image, store, limits, progress).await;
        fetched.map_err(|kind| kind.for_image(&image.reference.to_string()))
    }

    async fn fetch_kind(
        &self,
        image: &RemoteImage,
        store: &Store,
        limits: PullLimits,
        progress: OnProgress,
    ) -> Result<Layout, ErrorKind> {
        let layers = &image.manifest.layers;
        let total = layers
            .iter()
            .fold(0_u64, |sum, layer| sum.saturating_add(layer.size));
        if layers.len() > limits.max_layers || total > limits.max_bytes {
            return Err(ErrorKind::ImageTooLarge {
                layers: layers.len(),
                bytes: total,
            });
        }

        // A layer that occurs twice is one blob.
        let mut pending = BTreeMap::new();
        for layer in layers {
            pending.insert(parse_digest(&layer.digest)?, layer.size);
        }
        let session = Session::new(self.clone(), image.reference.clone(), Access::Pull);
        let session = Arc::new(session);
        let counter = Arc::new(Counter {
            received: AtomicU64::new(0),
            total: pending.values().sum(),
            progress,
        });

        let mut tasks = JoinSet::new();
        for (digest, size) in pending {
            while tasks.len() >= limits.max_parallel.max(1) {
                join(&mut tasks).await?;
            }
            let download = download::Download {
                session: session.clone(),
                store: store.clone(),
                limits,
                counter: counter.clone(),
                digest,
                size,
            };
            tasks.spawn(download.run());
        }
        while !tasks.is_empty() {
            join(&mut tasks).await?;
        }

        Ok(store.layout(image.descriptor.clone()))
    }
}

/// Waits for one download. Dropping the set cancels the others, which continue in the next pull.
async fn join(tasks: &mut JoinSet<Result<(), ErrorKind>>) -> Result<(), ErrorKind> {
    let Some(outcome) = tasks.join_next().await else {
        return Ok(());
    };
    match outcome.map_err(JoinError::try_into_panic) {
        Ok(outcome) => outcome,
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        // Cancelled, which only dropping the set does.
        Err(Err(_)) => Ok(()),
    }
}

/// Counts the bytes of all downloads of an image.
struct Counter {
    received: AtomicU64,
    total: u64,
    progress: OnProgress,
}

impl Counter {
    fn add(&self, bytes: u64) {
        let received = self.received.fetch_add(bytes, Ordering::Relaxed) + bytes;
        (self.progress)(PullProgress {
            received: received.min(self.total),
            total: self.total,
        });
    }
}

/// Chooses the manifest for a platform, and returns it with all platforms.
fn choose(
    index: &Index,
    platform: Option<&Platform>,
) -> Result<(Descriptor, Vec<Platform>), ErrorKind> {
    let name = |fields: &PlatformFields| Platform::new(&fields.os, &fields.architecture);
    // BuildKit stores attestations as manifests of the platform `unknown/unknown`.
    let known: Vec<(Platform, &Descriptor)> = index
        .manifests
        .iter()
        .filter_map(|entry| Some((name(entry.platform.as_ref()?), entry)))
        .filter(|(platform, _)| platform.as_str() != "unknown/unknown")
        .collect();

    let mut platforms: Vec<Platform> = known.iter().map(|(platform, _)| platform.clone()).collect();
    platforms.sort();
    platforms.dedup();
    let mut candidates = known
        .iter()
        .filter(|(found, _)| platform.is_none_or(|platform| platform == found));
    match candidates.next() {
        Some((_, descriptor)) => Ok(((*descriptor).clone(), platforms)),
        None => Err(missing(
            platform.unwrap_or(&Platform::new("linux", "amd64")),
            &platforms,
        )),
    }
}

fn missing(platform: &Platform, available: &[Platform]) -> ErrorKind {
    ErrorKind::MissingPlatform {
        platform: platform.to_string(),
        available: available.iter().map(ToString::to_string).collect(),
    }
}

fn parse_digest(text: &str) -> Result<Digest, ErrorKind> {
    let digest = text.parse();
    digest.map_err(|_| LayoutError::Path(text.chars().take(100).collect()).into())
}
