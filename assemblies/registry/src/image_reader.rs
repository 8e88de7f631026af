//! Reads images of any source: opens them, downloads their layers, unpacks them.

use std::env;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::client::{Client, Limits};
use crate::credentials::Credentials;
use crate::digest::Digest;
use crate::layout::{
    Descriptor, FileList, ImageConfig, ImageManifest, Layout, LayoutError, OwnerMap, UnpackLimits,
    import,
};
use crate::manifest::Platform;
use crate::proxy::ProxySettings;
use crate::pull::{OnProgress, PullError, PullLimits, PullProgress, RemoteImage};
use crate::source::ImageSource;
use crate::store::{Store, UnpackImageError, UnpackedImage};

/// Reads images from any source, through a store.
#[derive(Debug)]
pub struct ImageReader {
    store: Store,
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
}

/// An error of reading an image.
#[derive(Debug, thiserror::Error)]
pub enum ReadImageError {
    /// There is no such file or folder.
    #[error("`{}` does not exist; check the path", .0.display())]
    NoFile(PathBuf),
    /// A layout has no image of this name.
    #[error("{} has no image named `{name}`; {}", folder.display(), if names.is_empty() { "its images have no names".to_owned() } else { format!("it has {}", names.join(", ")) })]
    NoName {
        /// The layout.
        folder: PathBuf,
        /// The requested name.
        name: String,
        /// The names it has.
        names: Vec<String>,
    },
    /// A layout has several images, and no name was given.
    #[error("{} has several images; choose one with `oci:FOLDER:NAME`: {}", folder.display(), names.join(", "))]
    SeveralImages {
        /// The layout.
        folder: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// An archive has several images.
    #[error("{} has several images; save one alone, or unpack the archive and choose with `oci:FOLDER:NAME`: {}", archive.display(), names.join(", "))]
    SeveralInArchive {
        /// The archive.
        archive: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// Reading or verifying a layout or an archive failed.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The registry refused, or the download failed.
    #[error("{error}{}", hint.as_deref().unwrap_or_default())]
    Pull {
        /// The error.
        error: Box<PullError>,
        /// What else the text may have meant.
        hint: Option<String>,
    },
    /// A layer could not be unpacked or listed.
    #[error(transparent)]
    Unpack(#[from] UnpackImageError),
    /// The logins or the certificates of this host could not be read.
    #[error("{0}")]
    Setup(String),
}

impl ImageReader {
    /// Creates a reader over a store.
    pub fn new(store: Store) -> Self {
        Self {
            store,
            client: OnceLock::new(),
        }
    }

    /// Returns the store.
    pub fn store(&self) -> &Store {
        &self.store
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
                open_layout(source, select(layout, name.as_deref())?, platform)
            }
            ImageSource::Path(path) if path.is_dir() => {
                open_layout(source, select(Layout::open(path)?, None)?, platform)
            }
            ImageSource::Path(path) | ImageSource::Archive(path) => {
                let layout = self.import(existing(path)?)?;
                // The layout is the store, which is not what was given.
                let layout = select(layout, None).map_err(|error| match error {
                    ReadImageError::SeveralImages { names, .. } => {
                        ReadImageError::SeveralInArchive {
                            archive: path.clone(),
                            names,
                        }
                    }
                    error => error,
                })?;
                open_layout(source, layout, platform)
            }
        }
    }

    /// Downloads the layers that are missing. Layouts and archives have theirs already.
    ///
    /// `report` is called every two seconds while bytes arrive.
    pub async fn fetch_layers(
        &self,
        image: &OpenedImage,
        limits: PullLimits,
        report: &dyn Fn(PullProgress),
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
        let mut fetched = pin!(client.fetch_layers(remote, &self.store, limits, progress));
        let mut ticks = tokio::time::interval(REPORT_INTERVAL);
        // The first tick is immediate, when there is nothing to report.
        ticks.tick().await;

        let outcome = loop {
            tokio::select! {
                outcome = &mut fetched => break outcome,
                _ = ticks.tick() => {
                    let progress: Option<PullProgress> = *receiver.borrow();
                    progress.into_iter().for_each(report);
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
            .store
            .unpack(&image.layout, manifest, owners, limits, prepare);
        Ok(unpacked?)
    }

    async fn open_remote(
        &self,
        source: &ImageSource,
        reference: &str,
        platform: Option<&Platform>,
    ) -> Result<OpenedImage, ReadImageError> {
        let opened = self.client()?;
        let opened = opened.open_image(reference, platform, &self.store).await;
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
            layout: self.store.layout(remote.descriptor.clone()),
            remote: Some(Box::new(remote)),
        })
    }

    /// Extracts an archive and moves its blobs into the store.
    fn import(&self, archive: &Path) -> Result<Layout, ReadImageError> {
        let scratch = self.store.scratch()?;
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
                self.store.adopt(&entry.path(), &digest)?;
            }
        }
        let index = layout.index().clone();
        Ok(Layout::with_index(self.store.root().to_owned(), index))
    }

    fn client(&self) -> Result<&Client, ReadImageError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let credentials = docker_credentials()?;
        let proxy = ProxySettings::from_variables(|name| env::var(name).ok())
            .map_err(|error| ReadImageError::Setup(error.to_string()))?;
        let client = Client::with_proxy(credentials, Limits::default(), &proxy);
        let client =
            client.map_err(|error| ReadImageError::Setup(format!("cannot set up TLS: {error}")))?;
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

    /// Lists the files of the image, whose layers must be present.
    pub fn files(&self, limits: UnpackLimits) -> Result<FileList, ReadImageError> {
        Ok(FileList::read(&self.layout, &self.manifest, limits)?)
    }
}

/// Returns the only image of a layout, or that with a name.
fn select(layout: Layout, name: Option<&str>) -> Result<Layout, ReadImageError> {
    let (folder, names) = (layout.folder().to_owned(), layout.names());
    match name {
        Some(name) => layout.select(name).ok_or_else(|| ReadImageError::NoName {
            folder,
            name: name.to_owned(),
            names,
        }),
        // Entries without names are the platforms of one image, as docker buildx writes them.
        None if names.len() > 1 => Err(ReadImageError::SeveralImages { folder, names }),
        None => Ok(layout),
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
            path: layout.folder().to_owned(),
            platform: platform.map_or("any platform".to_owned(), ToString::to_string),
            available: platforms.iter().map(ToString::to_string).collect(),
        }
        .into());
    };
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
    })
}

fn parse(descriptor: &Descriptor) -> Result<Digest, LayoutError> {
    let digest = descriptor.digest.parse();
    digest.map_err(|_| LayoutError::Path(descriptor.digest.chars().take(100).collect()))
}

/// Moves to the name what podman puts there (`oci:FOLDER:localhost/web:1`), if there is no such folder.
fn split_name(folder: &Path, name: Option<&str>) -> (PathBuf, Option<String>) {
    let name = name.map(str::to_owned);
    let text = folder.to_string_lossy();
    match text.split_once(':') {
        Some((shorter, start)) if !folder.exists() && Path::new(shorter).is_dir() => {
            let rest = name.map_or(String::new(), |name| format!(":{name}"));
            (shorter.into(), Some(format!("{start}{rest}")))
        }
        _ => (folder.to_owned(), name),
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

/// Reads docker's logins; without a home directory there are none.
fn docker_credentials() -> Result<Credentials, ReadImageError> {
    let Some(file) = Credentials::user_file() else {
        return Ok(Credentials::default());
    };

    Credentials::read(&file).map_err(|error| {
        let file = file.display();
        ReadImageError::Setup(format!(
            "cannot read {file}: {error}; correct it, or log in again"
        ))
    })
}

/// Returns the store that all projects of a user share: `$XDG_CACHE_HOME/assemble/images`, else `~/.cache/…`.
pub(crate) fn user_store() -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(env::var_os(name)?);
        // A relative path must be ignored (XDG base directory specification 0.8).
        path.is_absolute().then_some(path)
    };
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    Some(cache?.join("assemble/images"))
}
