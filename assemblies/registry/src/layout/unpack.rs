//! Unpacks layers into a directory, as the root file system of a container.
//!
//! Layers come from anywhere, so nothing in them is trusted: every path is resolved inside the root as the kernel
//! would in a chroot (`openat2` with `RESOLVE_IN_ROOT`), devices are left out, and bytes and entries are limited.
//! Whiteouts: OCI image specification 1.1, layer.md, "Representing Changes".

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, chownat, fchmod, fchown, linkat, mkdirat,
    openat, openat2, statat, symlinkat,
};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use tar::{Archive, Entry, EntryType};

use super::header_limit::{HeaderLimit, MAX_HEADER_BYTES, bytes_until_next};

mod remove;

pub(crate) use remove::remove_tree;
use remove::{children, remove};

/// Limits of unpacking one image.
#[derive(Clone, Copy, Debug)]
pub struct UnpackLimits {
    /// Largest sum of all file contents, in bytes.
    pub max_bytes: u64,
    /// Most entries of all layers together.
    pub max_entries: u64,
}

impl Default for UnpackLimits {
    /// 16 GiB and a million entries: an image with either does not fit Fargate's default ephemeral storage.
    fn default() -> Self {
        Self {
            max_bytes: 16 << 30,
            max_entries: 1_000_000,
        }
    }
}

/// An error of unpacking a layer.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The layer is not a tar archive, or its compression is damaged or unknown.
    #[error("cannot read the layer: {0}")]
    Archive(io::Error),
    /// A path of the layer contains `..` or is empty.
    #[error("the layer contains the path `{0}`, which leaves the root")]
    Path(String),
    /// An entry could not be created.
    #[error("cannot create `{path}`: {source}")]
    Entry {
        /// The path inside the image.
        path: String,
        /// The cause.
        source: io::Error,
    },
    /// The layers are larger than the limit.
    #[error("the image is larger than {0} bytes")]
    TooLarge(u64),
    /// The layers have more entries than the limit.
    #[error("the image has more than {0} files and directories")]
    TooManyEntries(u64),
}

/// Gives each owner inside an image the owner on this host; `None` keeps the caller as the owner.
pub type OwnerMap<'m> = &'m dyn Fn(u32, u32) -> Option<(u32, u32)>;

/// Unpacks the layers of one image, lowest first.
pub struct Unpacker<'m> {
    root: OwnedFd,
    owners: OwnerMap<'m>,
    limits: UnpackLimits,
    bytes: u64,
    entries: u64,
    /// Modes of directories, set at the end: a read-only one would refuse its later entries.
    directories: BTreeMap<PathBuf, u32>,
    skipped: u64,
}

impl std::fmt::Debug for Unpacker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unpacker")
            .field("bytes", &self.bytes)
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}

impl<'m> Unpacker<'m> {
    /// Unpacks into `root`, an existing directory.
    pub fn new(root: &Path, owners: OwnerMap<'m>, limits: UnpackLimits) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(Self {
            root: openat(CWD, root, flags, Mode::empty())?,
            owners,
            limits,
            bytes: 0,
            entries: 0,
            directories: BTreeMap::new(),
            skipped: 0,
        })
    }

    /// Unpacks one layer. The compression is recognized by its first bytes.
    pub fn layer(&mut self, compressed: impl Read) -> Result<(), UnpackError> {
        let left = Cell::new(MAX_HEADER_BYTES);
        let mut archive = Archive::new(HeaderLimit {
            content: decompress(compressed).map_err(UnpackError::Archive)?,
            left: &left,
        });
        // Opaque whiteouts hide lower layers only, not what this layer has created already.
        let mut created = HashSet::new();

        for entry in archive.entries().map_err(UnpackError::Archive)? {
            let mut entry = entry.map_err(UnpackError::Archive)?;
            left.set(bytes_until_next(&entry));
            self.entries += 1;
            if self.entries > self.limits.max_entries {
                return Err(UnpackError::TooManyEntries(self.limits.max_entries));
            }

            let path = inside(&entry)?;
            if path.as_os_str().is_empty() {
                continue;
            }
            self.entry(&mut entry, &path, &mut created)?;
        }

        Ok(())
    }

    /// Returns the bytes of all files so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Sets the modes of the directories and returns the number of devices and sockets that were left out.
    pub fn finish(self) -> Result<u64, UnpackError> {
        // In reverse order children come before their parents, which may then become unreadable.
        for (path, mode) in self.directories.iter().rev() {
            match self.set_mode(path, *mode) {
                // A later layer has removed it, or has put a file or link in its place.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) | Ok(()) => {}
                Err(errno) => return Err(entry_error(path, errno.into())),
            }
        }

        Ok(self.skipped)
    }

    fn set_mode(&self, path: &Path, mode: u32) -> Result<(), Errno> {
        let parent = open_directory(&self.root, path.parent().unwrap_or(Path::new("")))?;
        let name = path.file_name().unwrap_or_default();
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        fchmod(
            openat(&parent, name, flags, Mode::empty())?,
            Mode::from(mode),
        )
    }

    fn entry(
        &mut self,
        entry: &mut Entry<'_, impl Read>,
        path: &Path,
        created: &mut HashSet<PathBuf>,
    ) -> Result<(), UnpackError> {
        let error = |source| entry_error(path, source);
        let parent_path = path.parent().unwrap_or(Path::new(""));
        let parent = self.create_parents(parent_path).map_err(error)?;
        let name = path.file_name().unwrap_or_default();

        if let Some(hidden) = name.as_bytes().strip_prefix(b".wh.") {
            return whiteout(&parent, parent_path, hidden, created).map_err(error);
        }

        let header = entry.header();
        let mode = header.mode().map_err(error)? & 0o1777;
        // Some writers leave the fields blank, which other readers take as root too.
        let owner = (
            u32::try_from(header.uid().unwrap_or_default()).unwrap_or(u32::MAX),
            u32::try_from(header.gid().unwrap_or_default()).unwrap_or(u32::MAX),
        );

        match header.entry_type() {
            EntryType::Directory => {
                self.create_directory(&parent, name.as_ref(), owner)
                    .map_err(error)?;
                self.directories.insert(path.to_owned(), mode);
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                self.write_file(entry, &parent, name.as_ref(), mode, owner, path)?;
            }
            EntryType::Symlink => {
                let target = entry.link_name().map_err(error)?.unwrap_or_default();
                remove(&parent, name.as_ref()).map_err(error)?;
                symlinkat(target.as_ref(), &parent, name).map_err(|errno| error(errno.into()))?;
                self.set_owner(&parent, name.as_ref(), owner)
                    .map_err(error)?;
            }
            EntryType::Link => {
                let target = entry.link_name().map_err(error)?.unwrap_or_default();
                self.hard_link(&target, &parent, name.as_ref())
                    .map_err(error)?;
            }
            // Devices need root and mean nothing in a task; fifos and sockets are made by their programs.
            EntryType::Char | EntryType::Block | EntryType::Fifo => self.skipped += 1,
            // Extended headers of a kind that the tar crate does not interpret.
            _ => return Ok(()),
        }

        created.insert(path.to_owned());
        Ok(())
    }

    /// Opens a directory and creates what is missing of it, with mode 0755.
    fn create_parents(&self, path: &Path) -> io::Result<OwnedFd> {
        match open_directory(&self.root, path) {
            Ok(folder) => return Ok(folder),
            Err(Errno::NOENT) if !path.as_os_str().is_empty() => {}
            Err(errno) => return Err(errno.into()),
        }

        let parent = self.create_parents(path.parent().unwrap_or(Path::new("")))?;
        let name = path.file_name().unwrap_or_default();
        mkdirat(&parent, name, Mode::from(0o755))?;
        Ok(open_directory(&self.root, path)?)
    }

    fn create_directory(&self, parent: &OwnedFd, name: &Path, owner: (u32, u32)) -> io::Result<()> {
        let existing = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW);
        let is_directory =
            existing.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);

        if !is_directory {
            remove(parent, name)?;
            mkdirat(parent, name, Mode::from(0o755))?;
        }
        self.set_owner(parent, name, owner)
    }

    fn write_file(
        &mut self,
        entry: &mut Entry<'_, impl Read>,
        parent: &OwnedFd,
        name: &Path,
        mode: u32,
        owner: (u32, u32),
        path: &Path,
    ) -> Result<(), UnpackError> {
        let error = |source| entry_error(path, source);
        remove(parent, name).map_err(error)?;

        // EXCL and NOFOLLOW: a name that exists after all is never opened through a link.
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(parent, name, flags, Mode::from(0o600));
        let mut file = File::from(file.map_err(|errno| error(errno.into()))?);

        // One byte more than allowed shows that the entry is too large; its header is not trusted.
        let remaining = self.limits.max_bytes - self.bytes;
        let copied = io::copy(&mut entry.take(remaining + 1), &mut file).map_err(error)?;
        if copied > remaining {
            return Err(UnpackError::TooLarge(self.limits.max_bytes));
        }
        self.bytes += copied;

        if let Some((user, group)) = (self.owners)(owner.0, owner.1) {
            let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
            fchown(&file, Some(user), Some(group)).map_err(|errno| error(errno.into()))?;
        }
        fchmod(&file, Mode::from(mode)).map_err(|errno| error(errno.into()))
    }

    fn hard_link(&self, target: &Path, parent: &OwnedFd, name: &Path) -> io::Result<()> {
        let target = relative(target).ok_or(io::ErrorKind::InvalidInput)?;
        let folder = open_directory(&self.root, target.parent().unwrap_or(Path::new("")))?;
        let source = target.file_name().unwrap_or_default();

        remove(parent, name)?;
        Ok(linkat(&folder, source, parent, name, AtFlags::empty())?)
    }

    fn set_owner(&self, parent: &OwnedFd, name: &Path, owner: (u32, u32)) -> io::Result<()> {
        let Some((user, group)) = (self.owners)(owner.0, owner.1) else {
            return Ok(());
        };
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        Ok(chownat(parent, name, Some(user), Some(group), flags)?)
    }
}

/// Opens a directory below the root; links are followed as in a chroot.
fn open_directory(root: &OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    openat2(root, path, flags, Mode::empty(), resolve)
}

/// Opens a directory of which there is only an `O_PATH` descriptor, for calls that need a real one.
fn reopen(folder: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(openat(folder, ".", flags, Mode::empty())?)
}

/// Applies `.wh.NAME`, or `.wh..wh..opq`, which hides everything that lower layers have put into a directory.
fn whiteout(
    parent: &OwnedFd,
    parent_path: &Path,
    hidden: &[u8],
    created: &HashSet<PathBuf>,
) -> io::Result<()> {
    match hidden {
        b".wh..opq" => {
            for child in children(&reopen(parent)?)? {
                if !created.contains(&parent_path.join(&child)) {
                    remove(parent, &child)?;
                }
            }
            Ok(())
        }
        b"" | b"." | b".." => Err(io::ErrorKind::InvalidInput.into()),
        // `.wh..wh.plnk` and the like are notes of aufs.
        _ if hidden.starts_with(b".wh.") => Ok(()),
        _ => remove(parent, Path::new(OsStr::from_bytes(hidden))),
    }
}

/// Returns the path of an entry relative to the root.
pub(super) fn inside(entry: &Entry<'_, impl Read>) -> Result<PathBuf, UnpackError> {
    let path = entry.path().map_err(UnpackError::Archive)?;
    relative(&path).ok_or_else(|| UnpackError::Path(path.to_string_lossy().into_owned()))
}

/// Drops a leading `/` and `.`; `None` for a path with `..`.
pub(super) fn relative(path: &Path) -> Option<PathBuf> {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => result.push(part),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(result)
}

/// Recognizes gzip (RFC 1952) and zstd (RFC 8878) by their magic numbers; anything else is taken as plain tar.
pub(super) fn decompress<'r>(compressed: impl Read + 'r) -> io::Result<Box<dyn Read + 'r>> {
    let mut reader = BufReader::new(compressed);
    let start = io::BufRead::fill_buf(&mut reader)?;
    let start: [u8; 4] = start
        .get(..4)
        .and_then(|bytes| bytes.try_into().ok())
        .unwrap_or_default();

    Ok(match start {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::stream::read::Decoder::with_buffer(reader)?),
        _ => Box::new(reader),
    })
}

fn entry_error(path: &Path, source: io::Error) -> UnpackError {
    UnpackError::Entry {
        path: path.to_string_lossy().chars().take(300).collect(),
        source,
    }
}
