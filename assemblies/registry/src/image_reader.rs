//! Reads images of any source: opens them, downloads their layers, unpacks them.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::client::Client;
use crate::credentials::LoginSource;
use crate::digest::Digest;
use crate::layout::{
    Descriptor, FileList, ImageConfig, ImageManifest, Layout, LayoutError, MAX_LAYERS, OwnerMap,
    UnpackLimits, import,
};
use crate::manifest::Platform;
use crate::pull::{OnProgress, PullLimits, PullProgress, RemoteImage};
use crate::source::ImageSource;
use crate::store::{Store, UnpackedImage};
use crate::tempdir;

mod error;

pub use error::ReadImageError;

/// Reads images from any source. Those of registries are kept in a store.
#[derive(Debug)]
pub struct ImageReader {
    /// The project, if the store is that of the user.
    project: PathBuf,
    /// Opened for the first image that needs it: layouts are read where they are.
    store: OnceLock<Store>,
    logins: Option<Arc<dyn LoginSource>>,
    /// Created for the first registry, since reading certificates and logins takes milliseconds.
    client: OnceLock<Client>,
}

/// An image whose manifest and configuration were read; the layers of a remote one may be missing.
#[derive(Clone, Debug)]
pub struct OpenedImage {
    source: ImageSource,
    digest: Digest,
    manifest_digest: Digest,
    platforms: Vec<Platform>,
    manifest: ImageManifest,
    config: ImageConfig,
    layout: Layout,
    remote: Option<Box<RemoteImage>>,
    /// The blobs of an archive, where there is no store.
    scratch: Option<Arc<tempdir::Folder>>,
}

impl ImageReader {
    /// Creates a reader over a store.
    pub fn new(store: Store) -> Self {
        let reader = Self::for_user(store.root());
        let _ = reader.store.set(store);
        reader
    }

    /// Creates a reader over the store of this user, which is opened when it is needed; see [`Store::open_for_user`].
    pub fn for_user(project: &Path) -> Self {
        Self {
            project: project.to_owned(),
            store: OnceLock::new(),
            logins: None,
            client: OnceLock::new(),
        }
    }

    /// Returns the reader with a source of logins, which has precedence over docker's.
    pub fn with_logins(mut self, logins: Option<Arc<dyn LoginSource>>) -> Self {
        self.logins = logins;
        self
    }

    /// Returns the store.
    pub fn store(&self) -> Result<&Store, LayoutError> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let store = Store::open_for_user(&self.project)?;
        Ok(self.store.get_or_init(|| store))
    }

    /// Reads manifest and configuration of an image for a platform; without one, of its first platform.
    pub async fn open(
        &self,
        source: &ImageSource,
        platform: Option<&Platform>,
    ) -> Result<OpenedImage, ReadImageError> {
        match source {
            ImageSource::Registry(reference) => self.open_remote(source, reference, platform).await,
            ImageSource::Layout { folder, name } => {
                let (folder, name) = split_name(folder, name.as_deref());
                let layout = Layout::open(existing(&folder)?)?;
                open_layout(source, layout.choose(name.as_deref())?, platform)
            }
            ImageSource::Path(path) | ImageSource::Archive(path) => {
                let (path, name) = split_name(path, None);
                if path.is_dir() && matches!(source, ImageSource::Path(_)) {
                    let layout = Layout::open(&path)?.choose(name.as_deref())?;
                    return open_layout(source, layout, platform);
                }
                let (layout, scratch) = self.import(existing(&path)?)?;
                let mut image = open_layout(source, layout.choose(name.as_deref())?, platform)?;
                image.scratch = scratch;
                Ok(image)
            }
        }
    }

    /// Downloads the layers that are missing. Layouts and archives have theirs already.
    ///
    /// `report` gets a line every two seconds while bytes arrive.
    pub async fn fetch_layers(
        &self,
        image: &OpenedImage,
        limits: PullLimits,
        report: &dyn Fn(&str),
    ) -> Result<(), ReadImageError> {
        let Some(remote) = &image.remote else {
            return Ok(());
        };
        let (sender, receiver) = tokio::sync::watch::channel(None);
        let progress: OnProgress = Arc::new(move |progress| {
            // The receiver lives as long as this download.
            let _ = sender.send(Some(progress));
        });
        let client = self.client()?;
        let store = self.store()?;
        let mut fetched = pin!(client.fetch_layers(remote, store, limits, progress));
        let mut ticks = tokio::time::interval(REPORT_INTERVAL);
        // The first tick is immediate, when there is nothing to report.
        ticks.tick().await;

        let outcome = loop {
            tokio::select! {
                outcome = &mut fetched => break outcome,
                _ = ticks.tick() => {
                    let progress: Option<PullProgress> = *receiver.borrow();
                    if let Some(progress) = progress {
                        report(&format!("pulling {}: {progress}", image.source));
                    }
                }
            }
        };
        match outcome {
            Ok(_) => Ok(()),
            Err(error) => Err(ReadImageError::Pull {
                error: Box::new(error),
                hint: None,
            }),
        }
    }

    /// Unpacks an image whose layers are present, once per digest; see [`Store::unpack`].
    pub fn unpack(
        &self,
        image: &OpenedImage,
        owners: OwnerMap<'_>,
        prepare: impl FnOnce(&Path) -> std::io::Result<()>,
    ) -> Result<UnpackedImage, ReadImageError> {
        let manifest = (&image.manifest_digest, &image.manifest);
        let limits = UnpackLimits::default();
        let unpacked = self
            .store()?
            .unpack(&image.layout, manifest, owners, limits, prepare);
        Ok(unpacked?)
    }

    async fn open_remote(
        &self,
        source: &ImageSource,
        reference: &str,
        platform: Option<&Platform>,
    ) -> Result<OpenedImage, ReadImageError> {
        let (client, store) = (self.client()?, self.store()?);
        let opened = client.open_image(reference, platform, store).await;
        let remote = opened.map_err(|error| ReadImageError::Pull {
            error: Box::new(error),
            hint: Path::new(reference)
                .exists()
                .then(|| format!("; to read the file of that name, write `./{reference}`")),
        })?;

        Ok(OpenedImage {
            source: source.clone(),
            digest: remote.digest.clone(),
            manifest_digest: parse(&remote.descriptor)?,
            platforms: remote.platforms.clone(),
            manifest: remote.manifest.clone(),
            config: remote.config.clone(),
            layout: store.layout(remote.descriptor.clone()),
            remote: Some(Box::new(remote)),
            scratch: None,
        })
    }

    /// Extracts an archive and moves its blobs into the store; without a store they stay in a temporary folder.
    fn import(
        &self,
        archive: &Path,
    ) -> Result<(Layout, Option<Arc<tempdir::Folder>>), ReadImageError> {
        let Ok(store) = self.store() else {
            let (path, scratch) = tempdir::Folder::new();
            let scratch = scratch.map_err(|source| LayoutError::File {
                action: "create",
                path,
                source,
            })?;
            let layout = import(archive, scratch.path())?;
            return Ok((layout, Some(Arc::new(scratch))));
        };

        let scratch = store.scratch()?;
        let layout = import(archive, scratch.path())?;
        let blobs = scratch.path().join("blobs/sha256");
        let files = std::fs::read_dir(&blobs).map_err(|source| LayoutError::File {
            action: "read",
            path: blobs.clone(),
            source,
        })?;
        for entry in files.filter_map(Result::ok) {
            let name = entry.file_name().to_string_lossy().into_owned();
            // Everything else is a remnant of the extraction.
            if let Ok(digest) = format!("sha256:{name}").parse() {
                store.adopt(&entry.path(), &digest, archive)?;
            }
        }
        let index = layout.index().clone();
        let layout = Layout::with_index(store.root().to_owned(), index);
        Ok((layout.with_label(archive), None))
    }

    fn client(&self) -> Result<&Client, ReadImageError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = Client::from_environment(self.logins.clone())?;
        Ok(self.client.get_or_init(|| client))
    }
}

impl OpenedImage {
    /// Returns where it comes from.
    pub fn source(&self) -> &ImageSource {
        &self.source
    }

    /// Returns the digest that names the image in all its platforms.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Returns the digest of the manifest for the chosen platform.
    pub fn manifest_digest(&self) -> &Digest {
        &self.manifest_digest
    }

    /// Returns all platforms, sorted.
    pub fn platforms(&self) -> &[Platform] {
        &self.platforms
    }

    /// Returns the manifest.
    pub fn manifest(&self) -> &ImageManifest {
        &self.manifest
    }

    /// Returns the configuration.
    pub fn config(&self) -> &ImageConfig {
        &self.config
    }

    /// Returns the sum of the compressed layers, in bytes: what a task downloads.
    pub fn compressed_bytes(&self) -> u64 {
        let layers = self.manifest.layers.iter();
        layers.fold(0, |sum, layer| sum.saturating_add(layer.size))
    }

    /// Returns the document of a kind that describes the image, such as its SBOM, from the layout of the image.
    pub fn artifact(&self, artifact_type: &str) -> Result<Option<Vec<u8>>, LayoutError> {
        let subject = self.manifest_digest.as_str();
        self.layout.artifact(subject, artifact_type)
    }

    /// Lists the files of the image, whose layers must be present.
    pub fn files(&self, limits: UnpackLimits) -> Result<FileList, ReadImageError> {
        Ok(FileList::read(&self.layout, &self.manifest, limits)?)
    }
}

fn open_layout(
    source: &ImageSource,
    layout: Layout,
    platform: Option<&Platform>,
) -> Result<OpenedImage, ReadImageError> {
    let (mut platforms, mut chosen) = (Vec::new(), None);
    for descriptor in layout.manifests()? {
        // An attestation is no image (BuildKit, "Attestation storage").
        let is_attestation = descriptor
            .platform
            .as_ref()
            .is_some_and(|platform| platform.os == "unknown");
        if is_attestation {
            continue;
        }

        let (manifest, config) = layout.documents(&descriptor)?;
        let own = config.platform();
        let own = Platform::new(&own.os, &own.architecture);
        if chosen.is_none() && platform.is_none_or(|platform| *platform == own) {
            chosen = Some((descriptor, manifest, config));
        }
        platforms.push(own);
    }
    platforms.sort();
    platforms.dedup();

    let Some((descriptor, manifest, config)) = chosen else {
        return Err(LayoutError::NoPlatform {
            path: layout.label().to_owned(),
            platform: platform.map_or("any platform".to_owned(), ToString::to_string),
            available: platforms.iter().map(ToString::to_string).collect(),
        }
        .into());
    };
    if manifest.layers.len() > MAX_LAYERS {
        let (path, layers) = (layout.label().to_owned(), manifest.layers.len());
        return Err(LayoutError::TooManyLayers { path, layers }.into());
    }
    let manifest_digest = parse(&descriptor)?;
    let digest = match &layout.index().manifests[..] {
        [only] => parse(only)?,
        _ => manifest_digest.clone(),
    };

    Ok(OpenedImage {
        source: source.clone(),
        digest,
        manifest_digest,
        platforms,
        manifest,
        config,
        layout,
        remote: None,
        scratch: None,
    })
}

fn parse(descriptor: &Descriptor) -> Result<Digest, LayoutError> {
    let digest = descriptor.digest.parse();
    digest.map_err(|_| LayoutError::Path(descriptor.digest.chars().take(100).collect()))
}

/// Splits `PATH:NAME`, if there is no such path but one of its start. A name can have colons too: `localhost/web:1`.
pub fn split_name(path: &Path, name: Option<&str>) -> (PathBuf, Option<String>) {
    let name = name.map(str::to_owned);
    let text = path.to_string_lossy();
    match text.split_once(':') {
        Some((shorter, start)) if !path.exists() && Path::new(shorter).exists() => {
            let rest = name.map_or(String::new(), |name| format!(":{name}"));
            (shorter.into(), Some(format!("{start}{rest}")))
        }
        _ => (path.to_owned(), name),
    }
}

fn existing(path: &Path) -> Result<&Path, ReadImageError> {
    if path.exists() {
        Ok(path)
    } else {
        Err(ReadImageError::NoFile(path.to_owned()))
    }
}

const REPORT_INTERVAL: Duration = Duration::from_secs(2);
