//! Where an image comes from: a layout folder, an archive, or a registry; and one way to read all of them.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::str::FromStr;
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
use crate::pull::{OnProgress, PullError, PullLimits, PullProgress, RemoteImage};
use crate::store::{Store, UnpackImageError, UnpackedImage};

/// Where an image comes from.
///
/// `oci:FOLDER[:NAME]`, `oci-archive:FILE`, `docker-archive:FILE` and `docker://REFERENCE` are explicit, with the
/// prefixes of skopeo and podman. Without a prefix, a text that begins with `/`, `./` or `../` is a path, to a layout or
/// an archive; every other text is an image reference, whether or not a file has the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageSource {
    /// An OCI layout, and the name of an image in it.
    Layout {
        /// The folder.
        folder: PathBuf,
        /// The `org.opencontainers.image.ref.name` of the image.
        name: Option<String>,
    },
    /// An archive of `docker save`, `podman save`, or a packed layout.
    Archive(PathBuf),
    /// A folder or an archive.
    Path(PathBuf),
    /// An image reference.
    Registry(String),
}

/// An error parsing a source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no image; use oci:FOLDER, an archive as ./FILE, or REGISTRY/REPOSITORY:TAG ({1})"
)]
pub struct ParseSourceError(String, String);

impl FromStr for ImageSource {
    type Err = ParseSourceError;

    fn from_str(text: &str) -> Result<Self, ParseSourceError> {
        let error = |why: &str| ParseSourceError(text.to_owned(), why.to_owned());
        let source = if let Some(rest) = text.strip_prefix("oci:") {
            let (folder, name) = match rest.rsplit_once(':') {
                // A name has no `/`, so a colon in a parent folder is not taken for its start.
                Some((folder, name)) if !name.contains('/') => (folder, Some(name.to_owned())),
                _ => (rest, None),
            };
            Self::Layout {
                folder: folder.into(),
                name,
            }
        } else if let Some(file) = text
            .strip_prefix("oci-archive:")
            .or_else(|| text.strip_prefix("docker-archive:"))
        {
            Self::Archive(file.into())
        } else if ["/", "./", "../"]
            .iter()
            .any(|start| text.starts_with(start))
            || matches!(text, "." | "..")
        {
            Self::Path(text.into())
        } else {
            let reference = text.strip_prefix("docker://").unwrap_or(text);
            let parsed: Result<crate::Reference, _> = reference.parse();
            parsed.map_err(|why| error(&why.to_string()))?;
            Self::Registry(reference.to_owned())
        };

        match &source {
            Self::Layout { folder: path, .. } | Self::Archive(path)
                if path.as_os_str().is_empty() =>
            {
                Err(error("the path is empty"))
            }
            _ => Ok(source),
        }
    }
}

impl fmt::Display for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layout { folder, name: None } => write!(f, "oci:{}", folder.display()),
            Self::Layout {
                folder,
                name: Some(name),
            } => write!(f, "oci:{}:{name}", folder.display()),
            Self::Archive(path) | Self::Path(path) => write!(f, "{}", path.display()),
            Self::Registry(reference) => f.write_str(reference),
        }
    }
}

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
                let layout = Layout::open(existing(folder)?)?;
                open_layout(source, select(layout, name.as_deref())?, platform)
            }
            ImageSource::Path(path) if path.is_dir() => {
                open_layout(source, select(Layout::open(path)?, None)?, platform)
            }
            ImageSource::Path(path) | ImageSource::Archive(path) => {
                let layout = self.import(existing(path)?)?;
                open_layout(source, select(layout, None)?, platform)
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
            // Without a receiver nobody is interested any more.
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
        let client = Client::new(credentials, Limits::default());
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

fn existing(path: &Path) -> Result<&Path, ReadImageError> {
    if path.exists() {
        Ok(path)
    } else {
        Err(ReadImageError::NoFile(path.to_owned()))
    }
}

const REPORT_INTERVAL: Duration = Duration::from_secs(2);

/// Reads docker's logins: `$DOCKER_CONFIG/config.json`, or `~/.docker/config.json`.
fn docker_credentials() -> Result<Credentials, ReadImageError> {
    let folder = env::var_os("DOCKER_CONFIG")
        .filter(|folder| !folder.is_empty())
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".docker")));
    let Some(folder) = folder else {
        return Ok(Credentials::default());
    };

    let file = folder.join("config.json");
    Credentials::read(&file).map_err(|error| {
        let file = file.display();
        ReadImageError::Setup(format!(
            "cannot read {file}: {error}; correct it, or log in again"
        ))
    })
}

/// Returns the store that all projects of a user share: `$XDG_CACHE_HOME/assemble/images`, else `~/.cache/…`.
pub fn user_store() -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(env::var_os(name)?);
        // A relative path must be ignored (XDG base directory specification 0.8).
        path.is_absolute().then_some(path)
    };
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    Some(cache?.join("assemble/images"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_paths_from_references() {
        let parse = |text: &str| text.parse::<ImageSource>().unwrap();
        let layout = |folder: &str, name: Option<&str>| ImageSource::Layout {
            folder: folder.into(),
            name: name.map(str::to_owned),
        };
        assert_eq!(parse("oci:out/web"), layout("out/web", None));
        assert_eq!(parse("oci:out/web:1.2"), layout("out/web", Some("1.2")));
        assert_eq!(parse("oci:/a:b/web"), layout("/a:b/web", None));
        for text in ["./web.tar", "/tmp/web", "../web", "."] {
            assert_eq!(parse(text), ImageSource::Path(text.into()));
        }
        for text in ["docker-archive:web.tar", "oci-archive:web.tar"] {
            assert_eq!(parse(text), ImageSource::Archive("web.tar".into()));
        }
        // Also where a file of that name exists: the meaning does not depend on the folder.
        for text in ["web.tar", "src/web", "docker://src/web"] {
            let reference = text.trim_start_matches("docker://").to_owned();
            assert_eq!(parse(text), ImageSource::Registry(reference));
        }
    }

    #[test]
    fn refuses_what_names_no_image() {
        for text in ["", "oci:", "docker-archive:", "Web", "a b", "docker://"] {
            let error = text.parse::<ImageSource>().unwrap_err().to_string();
            assert!(error.contains("oci:FOLDER"), "{error}");
        }
    }
}
