//! The store: blobs by digest, and unpacked images by the digest of their manifest, shared by all runs of a user.
//!
//! ```text
//! blobs/sha256/HEX     manifests, configurations and layers, each verified before it gets this name
//! partial/HEX          downloads that were interrupted; the next one goes on from there
//! roots/HEX/           the unpacked layers of an image; never changed, runs write to overlays
//! roots/HEX.lock       locked shared while a run uses the root; contains its size
//! roots/HEX.unpacking  locked while one process unpacks and others wait
//! ```
//!
//! Everything gets its name by a rename, so an interrupted process leaves nothing half done under a final name.

use std::env;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use crate::digest::Digest;
use crate::layout::{
    Descriptor, ImageManifest, Index, Layout, LayoutError, OwnerMap, UnpackError, UnpackLimits,
    Unpacker, remove_tree,
};
use crate::tempdir::Folder;

mod clean;

use clean::{MAX_STORE_BYTES, MIN_AGE};

/// A store of images.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// An unpacked image; it is not removed while this value exists.
#[derive(Debug)]
pub struct UnpackedImage {
    folder: PathBuf,
    _lock: File,
}

/// An error of unpacking an image into the store.
#[derive(Debug, thiserror::Error)]
pub enum UnpackImageError {
    /// A blob or a folder of the store could not be used.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A layer could not be unpacked.
    #[error("layer {layer}: {source}")]
    Layer {
        /// The digest of the layer.
        layer: String,
        /// The cause.
        source: UnpackError,
    },
}

impl Store {
    /// Opens the store of this user, and removes what it has too much. Without a home directory, as in some build
    /// systems, or if that cannot be written, the store is in the project.
    pub fn open_for_user(project: &Path) -> Result<Self, LayoutError> {
        let own = project.join(".assemble/cache/images");
        let store = match user_folder() {
            None => Self::open_writable(&own)?,
            // The error of the user's folder is the one to solve.
            Some(folder) => Self::open_writable(&folder)
                .or_else(|error| Self::open_writable(&own).map_err(|_| error))?,
        };
        store.clean(MAX_STORE_BYTES, MIN_AGE);
        Ok(store)
    }

    fn open_writable(root: &Path) -> Result<Self, LayoutError> {
        let store = Self::open(root)?;
        // The folders of an earlier run may exist on what is read-only now.
        drop(store.scratch()?);
        Ok(store)
    }

    /// Opens a store, and creates its folders, which only the caller may read, if they are missing.
    pub fn open(root: &Path) -> Result<Self, LayoutError> {
        // Overlays and bind mounts need absolute paths.
        let root = std::path::absolute(root).map_err(file("find", root))?;
        for folder in ["blobs/sha256", "partial", "roots"] {
            let folder = root.join(folder);
            let created = DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder);
            created.map_err(file("create", &folder))?;
        }

        Ok(Self { root })
    }

    /// Returns the directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns a layout that contains what a descriptor refers to.
    pub fn layout(&self, descriptor: Descriptor) -> Layout {
        Layout::with_index(self.root.clone(), Index::new(vec![descriptor]))
    }

    /// Returns whether a blob is present and intact. A damaged one is removed, so that it is fetched again.
    pub(crate) fn has(&self, digest: &Digest, size: u64) -> bool {
        let path = self.blob_path(digest);
        let Ok(found) = Digest::from_file(&path) else {
            return false;
        };
        if found == (digest.clone(), size) {
            mark_used(&path);
            return true;
        }

        let _ = fs::remove_file(&path);
        false
    }

    /// Reads a small blob, if it is present and intact.
    pub(crate) fn read(&self, digest: &Digest, limit: usize) -> Option<Vec<u8>> {
        let file = File::open(self.blob_path(digest)).ok()?;
        let mut content = Vec::new();
        file.take(limit as u64).read_to_end(&mut content).ok()?;
        (Digest::from_content(&content) == *digest).then_some(content)
    }

    /// Writes a small blob.
    pub(crate) fn write(&self, content: &[u8]) -> Result<Digest, LayoutError> {
        let digest = Digest::from_content(content);
        let temporary = self.unique_partial(&digest);
        let mut output = File::create_new(&temporary).map_err(file("create", &temporary))?;
        let written = output.write_all(content).map_err(file("write", &temporary));
        self.finish_blob(written, &temporary, &digest)?;
        Ok(digest)
    }

    /// Moves a file of an unpacked archive into the store, if it has this digest.
    pub(crate) fn adopt(
        &self,
        path: &Path,
        digest: &Digest,
        archive: &Path,
    ) -> Result<(), LayoutError> {
        let (found, size) = Digest::from_file(path).map_err(file("read", path))?;
        if found != *digest {
            return Err(LayoutError::AlteredBlob {
                path: archive.to_owned(),
                digest: digest.clone(),
            });
        }
        if self.has(digest, size) {
            return Ok(());
        }
        self.finish_blob(Ok(()), path, digest)
    }

    /// Gives a complete, verified file its final name, or removes it if writing it failed.
    pub(crate) fn finish_blob(
        &self,
        written: Result<(), LayoutError>,
        temporary: &Path,
        digest: &Digest,
    ) -> Result<(), LayoutError> {
        let path = self.blob_path(digest);
        let renamed =
            written.and_then(|()| fs::rename(temporary, &path).map_err(file("write", &path)));
        if renamed.is_err() {
            let _ = fs::remove_file(temporary);
        }
        renamed
    }

    pub(crate) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs/sha256").join(digest.hex())
    }

    /// Returns the file of an interrupted download.
    pub(crate) fn partial(&self, digest: &Digest) -> PathBuf {
        self.root.join("partial").join(digest.hex())
    }

    /// Returns a file name that no other process and no other task of this one uses.
    pub(crate) fn unique_partial(&self, digest: &Digest) -> PathBuf {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}.{}-{number}", digest.hex(), std::process::id());
        self.root.join("partial").join(name)
    }

    /// Returns the unpacked image, if it is present.
    pub fn find_unpacked(&self, manifest: &Digest) -> Result<Option<UnpackedImage>, LayoutError> {
        let folder = self.root.join("roots").join(manifest.hex());
        let lock = self.lock_file(manifest, "lock")?;
        lock.lock_shared().map_err(file("lock", &folder))?;
        if !folder.is_dir() {
            return Ok(None);
        }

        // The time of the last use decides what is removed first.
        let _ = lock.set_modified(SystemTime::now());
        Ok(Some(UnpackedImage {
            folder,
            _lock: lock,
        }))
    }

    /// Unpacks an image, unless that was done. Of several callers at the same time one unpacks and the others wait.
    ///
    /// Every layer is verified while it is unpacked. `prepare` runs on the complete folder before it becomes visible.
    pub fn unpack(
        &self,
        layout: &Layout,
        manifest: (&Digest, &ImageManifest),
        owners: OwnerMap<'_>,
        limits: UnpackLimits,
        prepare: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<UnpackedImage, UnpackImageError> {
        let (digest, manifest) = manifest;
        let folder = self.root.join("roots").join(digest.hex());
        let turn = self.lock_file(digest, "unpacking")?;
        turn.lock().map_err(file("lock", &folder))?;
        if let Some(unpacked) = self.find_unpacked(digest)? {
            return Ok(unpacked);
        }

        // Held from before the folder exists, so that it is never without a user.
        let mut lock = self.lock_file(digest, "lock")?;
        lock.lock_shared().map_err(file("lock", &folder))?;
        let beside = folder.with_extension("new");
        // Left by a process that was killed; the lock shows that it has ended.
        remove_tree(&beside).map_err(file("remove", &beside))?;
        fs::create_dir(&beside).map_err(file("create", &beside))?;

        let unpacked = unpack_layers(layout, manifest, &beside, owners, limits);
        let unpacked = unpacked.and_then(|bytes| {
            prepare(&beside).map_err(file("prepare", &beside))?;
            // Only the order of removal depends on the size.
            let _ = lock.set_len(0).and_then(|()| write!(lock, "{bytes}"));
            Ok(fs::rename(&beside, &folder).map_err(file("create", &folder))?)
        });
        if let Err(error) = unpacked {
            let _ = remove_tree(&beside);
            return Err(error);
        }
        Ok(UnpackedImage {
            folder,
            _lock: lock,
        })
    }

    fn lock_file(&self, manifest: &Digest, extension: &str) -> Result<File, LayoutError> {
        let path = self.root.join("roots").join(manifest.hex());
        let path = path.with_extension(extension);
        let mut options = File::options();
        let options = options.read(true).append(true).create(true);
        options.open(&path).map_err(file("create", &path))
    }

    /// Creates an empty folder in the store, on the same file system as the blobs.
    pub(crate) fn scratch(&self) -> Result<Folder, LayoutError> {
        let folder = self.unique_partial(&Digest::from_content(b""));
        fs::create_dir(&folder).map_err(file("create", &folder))?;
        Ok(Folder(folder))
    }
}

impl UnpackedImage {
    /// Returns the folder with the files of the image.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

fn unpack_layers(
    layout: &Layout,
    manifest: &ImageManifest,
    folder: &Path,
    owners: OwnerMap<'_>,
    limits: UnpackLimits,
) -> Result<u64, UnpackImageError> {
    let mut unpacker = Unpacker::new(folder, owners, limits).map_err(file("open", folder))?;
    for descriptor in &manifest.layers {
        let layer_error = |source| UnpackImageError::Layer {
            layer: descriptor.digest.clone(),
            source,
        };
        let mut reader = layout.reader(descriptor)?;
        unpacker.layer(&mut reader).map_err(layer_error)?;
        // Also the end of the blob, which the archive does not cover, is part of the digest.
        reader.finish()?;
    }

    let bytes = unpacker.bytes();
    unpacker
        .finish()
        .map_err(|source| UnpackImageError::Layer {
            layer: "directories".to_owned(),
            source,
        })?;
    Ok(bytes)
}

/// Returns the folder that all projects of a user share: `$XDG_CACHE_HOME/assemble/images`, else `~/.cache/…`.
fn user_folder() -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(env::var_os(name)?);
        // A relative path must be ignored (XDG base directory specification 0.8).
        path.is_absolute().then_some(path)
    };
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    Some(cache?.join("assemble/images"))
}

fn mark_used(path: &Path) {
    // Without the right to change the time, the blob is only removed earlier.
    if let Ok(file) = File::options().append(true).open(path) {
        let _ = file.set_modified(SystemTime::now());
    }
}

fn file<'p>(
    action: &'static str,
    path: &'p Path,
) -> impl FnOnce(io::Error) -> LayoutError + use<'p> {
    move |source| LayoutError::File {
        action,
        path: path.to_owned(),
        source,
    }
}
