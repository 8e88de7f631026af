//! OCI image layouts: images as a directory, without a daemon.
//!
//! ```text
//! files ─▶ LayerBuilder ─▶ Layer ┐
//!                     ImageConfig ┴─▶ Image ─▶ Layout::write ─▶ oci-layout, index.json, blobs/sha256/…
//! ```
//!
//! The same input gives the same bytes: entries are sorted, owners and times are explicit, JSON has a fixed
//! field order. Format: OCI image specification 1.1, image-layout.md, layer.md and config.md.

mod archive;
mod base;
mod config;
mod descriptor;
mod header_limit;
mod image;
mod layer;
mod listing;
mod read;
mod referrers;
mod unpack;
mod write;

pub use archive::import;
pub use base::BaseImage;
pub(crate) use base::BaseLayer;
pub use config::{ContainerConfig, History, ImageConfig, RootFs};
pub use descriptor::{Descriptor, ImageManifest, Index, PlatformFields, media_type};
pub use image::Image;
pub(crate) use image::to_json;
pub use layer::{Compression, Layer, LayerArchive, LayerBuilder, Owner};
pub use listing::{FileEntry, FileKind, FileList};
pub use read::{BlobReader, Layout};
pub use referrers::{Artifact, ArtifactManifest, write_referrers};
pub(crate) use unpack::remove_tree;
pub use unpack::{OwnerMap, UnpackError, UnpackLimits, Unpacker};
pub use write::write;

use std::io;
use std::path::PathBuf;

use crate::digest::Digest;

/// Most layers of an image; Docker's limit is 127.
pub const MAX_LAYERS: usize = 256;
/// Most images of an archive.
const MAX_IMAGES: usize = 256;

/// An error of reading or writing an image layout.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A file or directory could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was attempted: `read`, `write`, `create`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A layer could not be compressed or archived.
    #[error("cannot build a layer: {0}")]
    Layer(io::Error),
    /// A path inside an image is empty, absolute with `..`, or longer than tar allows.
    #[error("`{0}` is not a path inside an image")]
    Path(String),
    /// A document is not the JSON that the specification requires.
    #[error("{}: {source}; build or save the image again", path.display())]
    Json {
        /// The document.
        path: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
    /// The directory has no `oci-layout` file of version 1.0.0.
    #[error("{} is not an OCI image layout; `oci-layout` is missing or of another version", .0.display())]
    NotALayout(PathBuf),
    /// The file is neither a saved image nor a packed layout.
    #[error("{} is not an image archive; save one with `docker save` or `podman save`", .0.display())]
    NotAnArchive(PathBuf),
    /// The archive is larger than any image that fits a task.
    #[error("{} contains more than 16 GiB or 10,000 files", .0.display())]
    ArchiveTooLarge(PathBuf),
    /// An archive's manifest names a file that the archive does not contain.
    #[error("{} has no file `{file}`, which its manifest names; save the image again", archive.display())]
    MissingFile {
        /// The archive.
        archive: PathBuf,
        /// The name in the manifest.
        file: String,
    },
    /// A manifest names more layers than an image can have.
    #[error("{} has an image with {layers} layers; the limit is {MAX_LAYERS}", path.display())]
    TooManyLayers {
        /// The layout or archive.
        path: PathBuf,
        /// The number of layers.
        layers: usize,
    },
    /// An archive's manifest names more images than anyone saves together.
    #[error("{} has {images} images; the limit is {MAX_IMAGES}", path.display())]
    TooManyImages {
        /// The archive.
        path: PathBuf,
        /// The number of images.
        images: usize,
    },
    /// There is no image of this name.
    #[error("{} has no image named `{name}`; {}", path.display(), if names.is_empty() { "its images have no names".to_owned() } else { format!("it has {}", names.join(", ")) })]
    NoName {
        /// The layout or archive.
        path: PathBuf,
        /// The requested name.
        name: String,
        /// The names it has.
        names: Vec<String>,
    },
    /// There are several images, and no name was given.
    #[error("{} has several images; append `:NAME` to choose one: {}", path.display(), names.join(", "))]
    SeveralImages {
        /// The layout or archive.
        path: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// The configuration of a base image does not name the layers of its manifest.
    #[error(
        "the configuration of the base image does not name the layers of its manifest; save the image again"
    )]
    InvalidBase,
    /// A manifest, an index or a configuration is larger than any real one.
    #[error("{} is larger than 4 MiB; it is not a document of an image", .0.display())]
    DocumentTooLarge(PathBuf),
    /// A blob that a manifest refers to is missing.
    #[error("{} has no blob {digest}; build or save the image again", path.display())]
    MissingBlob {
        /// The layout.
        path: PathBuf,
        /// The digest of the blob.
        digest: Digest,
    },
    /// A blob's content does not match its digest or size.
    #[error("the blob {digest} in {} was altered: its content has another digest or size; build or save the image again", path.display())]
    AlteredBlob {
        /// The layout.
        path: PathBuf,
        /// The digest that the blob should have.
        digest: Digest,
    },
    /// The layout has no image for a platform.
    #[error("{} has no image for {platform}; it has {}", path.display(), available.join(", "))]
    NoPlatform {
        /// The layout.
        path: PathBuf,
        /// The requested platform.
        platform: String,
        /// The platforms of the layout.
        available: Vec<String>,
    },
}
