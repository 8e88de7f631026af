//! Builds a layer: a tar archive with sorted entries and explicit owners, modes and times.

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use flate2::GzBuilder;
use tar::{EntryType, Header};

use super::LayoutError;
use super::descriptor::{Descriptor, media_type};
use crate::digest::Digest;

/// The owner of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub user: u64,
    /// Group id.
    pub group: u64,
}

impl Owner {
    /// root.
    pub const ROOT: Self = Self { user: 0, group: 0 };
    /// The user that all images of this project run as.
    pub const NON_ROOT: Self = Self {
        user: 65532,
        group: 65532,
    };
}

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// gzip, for registries and tools that do not know zstd.
    Gzip,
    /// zstd: smaller, and faster to unpack at every start of a task.
    Zstd,
}

impl Compression {
    /// Returns the media type of a layer with this compression.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Gzip => media_type::LAYER_GZIP,
            Self::Zstd => media_type::LAYER_ZSTD,
        }
    }

    /// Returns algorithm, version and level, which the bytes of a layer depend on.
    pub fn describe(self) -> String {
        match self {
            Self::Gzip => "gzip level 9".to_owned(),
            Self::Zstd => format!(
                "zstd {} level {ZSTD_LEVEL}",
                zstd::zstd_safe::version_string()
            ),
        }
    }
}

/// A compressed layer.
#[derive(Clone, Debug)]
pub struct Layer {
    descriptor: Descriptor,
    diff_id: Digest,
    content: Vec<u8>,
}

impl Layer {
    /// Returns media type, digest and size of the compressed layer.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Returns the digest of the uncompressed archive.
    pub fn diff_id(&self) -> &Digest {
        &self.diff_id
    }

    /// Returns the compressed archive.
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// Returns the descriptor and the compressed archive.
    pub(super) fn into_parts(self) -> (Descriptor, Vec<u8>) {
        (self.descriptor, self.content)
    }
}

/// Collects the entries of a layer.
#[derive(Clone, Debug)]
pub struct LayerBuilder {
    /// By path, so that the order of calls does not change the archive.
    entries: BTreeMap<String, Entry>,
    modified: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    content: Option<Vec<u8>>,
    mode: u32,
    owner: Owner,
}

impl LayerBuilder {
    /// Starts an empty layer whose entries all have this modification time, in seconds since the Unix epoch.
    pub fn new(modified: u64) -> Self {
        Self {
            entries: BTreeMap::new(),
            modified,
        }
    }

    /// Adds a directory; parents that are missing become directories of root with mode 0755.
    pub fn directory(&mut self, path: &str, mode: u32, owner: Owner) -> Result<(), LayoutError> {
        self.insert(path, None, mode, owner)
    }

    /// Adds a regular file; parents that are missing become directories of root with mode 0755.
    pub fn file(
        &mut self,
        path: &str,
        content: Vec<u8>,
        mode: u32,
        owner: Owner,
    ) -> Result<(), LayoutError> {
        self.insert(path, Some(content), mode, owner)
    }

    /// Writes and compresses the archive.
    pub fn finish(self, compression: Compression) -> Result<Layer, LayoutError> {
        self.archive()?.compress(compression)
    }

    /// Writes the archive. It is compressed apart, since that takes seconds and is needed only if it changed.
    pub fn archive(self) -> Result<LayerArchive, LayoutError> {
        let content = self.write().map_err(LayoutError::Layer)?;
        Ok(LayerArchive {
            diff_id: Digest::from_content(&content),
            content,
        })
    }

    fn insert(
        &mut self,
        path: &str,
        content: Option<Vec<u8>>,
        mode: u32,
        owner: Owner,
    ) -> Result<(), LayoutError> {
        let path = normalize(path)?;

        // A missing parent would get an owner and mode of the unpacker's choice.
        for (end, _) in path.match_indices('/') {
            self.entries.entry(path[..end].to_owned()).or_insert(Entry {
                content: None,
                mode: 0o755,
                owner: Owner::ROOT,
            });
        }

        self.entries.insert(
            path,
            Entry {
                content,
                mode,
                owner,
            },
        );
        Ok(())
    }

    fn write(&self) -> io::Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());

        for (path, entry) in &self.entries {
            let mut header = Header::new_gnu();
            header.set_mode(entry.mode);
            header.set_uid(entry.owner.user);
            header.set_gid(entry.owner.group);
            header.set_mtime(self.modified);

            let content = entry.content.as_deref().unwrap_or_default();
            header.set_size(content.len() as u64);
            if entry.content.is_some() {
                header.set_entry_type(EntryType::Regular);
                archive.append_data(&mut header, path, content)?;
            } else {
                header.set_entry_type(EntryType::Directory);
                archive.append_data(&mut header, format!("{path}/"), content)?;
            }
        }

        archive.into_inner()
    }
}

/// The archive of a layer before compression.
#[derive(Clone, Debug)]
pub struct LayerArchive {
    content: Vec<u8>,
    diff_id: Digest,
}

impl LayerArchive {
    /// Returns the digest of the archive.
    pub fn diff_id(&self) -> &Digest {
        &self.diff_id
    }

    /// Compresses the archive.
    pub fn compress(self, compression: Compression) -> Result<Layer, LayoutError> {
        let content = compress(&self.content, compression).map_err(LayoutError::Layer)?;
        Ok(Layer {
            descriptor: Descriptor::from_content(compression.media_type(), &content),
            diff_id: self.diff_id,
            content,
        })
    }
}

/// Removes the leading `/` and refuses everything that could leave the root.
fn normalize(path: &str) -> Result<String, LayoutError> {
    let relative = path.trim_start_matches('/').trim_end_matches('/');
    let is_plain = |part: &str| !part.is_empty() && part != "." && part != "..";

    if !relative.is_empty() && relative.split('/').all(is_plain) {
        Ok(relative.to_owned())
    } else {
        Err(LayoutError::Path(path.to_owned()))
    }
}

fn compress(archive: &[u8], compression: Compression) -> io::Result<Vec<u8>> {
    match compression {
        Compression::Gzip => {
            // Time 0 and no file name: the header is the same everywhere (RFC 1952 section 2.3.1).
            let mut encoder = GzBuilder::new()
                .mtime(0)
                .operating_system(255)
                .write(Vec::new(), flate2::Compression::best());
            encoder.write_all(archive)?;
            encoder.finish()
        }
        Compression::Zstd => zstd::bulk::compress(archive, ZSTD_LEVEL),
    }
}

/// The strongest level with a window of 8 MiB, which every decoder supports (RFC 8878 section 3.1.1.1.2); others use up
/// to 128 MiB of memory in each container that is unpacked.
const ZSTD_LEVEL: i32 = 19;
