//! An image that another image is built on: its configuration is kept, its layers stay files of its layout.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::LayoutError;
use super::config::ImageConfig;
use super::descriptor::{Descriptor, PlatformFields, media_type};
use super::read::Layout;
use crate::digest::Digest;

/// A base image for one platform.
#[derive(Clone, Debug)]
pub struct BaseImage {
    /// As JSON, so that fields this crate does not know are kept too.
    pub(crate) config: Map<String, Value>,
    pub(crate) platform: PlatformFields,
    pub(crate) layers: Vec<BaseLayer>,
}

/// A compressed layer of a base image.
#[derive(Clone, Debug)]
pub(crate) struct BaseLayer {
    pub(crate) descriptor: Descriptor,
    /// The blob in the layout of the base.
    pub(crate) path: PathBuf,
}

impl BaseImage {
    /// Reads the image of a platform such as `linux/amd64`.
    pub fn read(layout: &Layout, platform: &str) -> Result<Self, LayoutError> {
        let (manifest, config) = layout.image(platform)?;
        let text = layout.blob(&manifest.config)?;
        let path = layout.folder().join(&manifest.config.digest);
        let layers = manifest.layers.into_iter();

        Ok(Self {
            config: super::read::parse(&path, &text)?,
            platform: ImageConfig::platform(&config),
            layers: layers
                .map(|descriptor| BaseLayer::new(layout, descriptor))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl BaseLayer {
    fn new(layout: &Layout, mut descriptor: Descriptor) -> Result<Self, LayoutError> {
        // A manifest of the OCI format must not name a media type of Docker's; the bytes are the same.
        descriptor.media_type = match descriptor.media_type.as_str() {
            "application/vnd.docker.image.rootfs.diff.tar.gzip" => {
                media_type::LAYER_GZIP.to_owned()
            }
            "application/vnd.docker.image.rootfs.diff.tar" => media_type::LAYER.to_owned(),
            _ => descriptor.media_type,
        };

        // Parsing the digest keeps `../` in a foreign manifest out of the path.
        let digest: Digest = descriptor
            .digest
            .parse()
            .map_err(|_| LayoutError::Path(descriptor.digest.clone()))?;
        let path = layout.folder().join("blobs/sha256").join(digest.hex());
        if path.is_file() {
            Ok(Self { descriptor, path })
        } else {
            Err(LayoutError::MissingBlob {
                path: layout.folder().to_owned(),
                digest,
            })
        }
    }

    /// Returns the error for content that does not match the digest.
    pub(super) fn altered_error(&self) -> LayoutError {
        let folder = self.path.ancestors().nth(3).unwrap_or(&self.path);
        match self.descriptor.digest.parse() {
            Ok(digest) => LayoutError::AlteredBlob {
                path: folder.to_owned(),
                digest,
            },
            Err(_) => LayoutError::Path(self.descriptor.digest.clone()),
        }
    }
}
