//! Lists the files of an image without unpacking it.

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::io::{self, Read};
use std::ops::Bound::{Excluded, Unbounded};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use tar::{Archive, Entry, EntryType};

use super::descriptor::ImageManifest;
use super::header_limit::{HeaderLimit, MAX_HEADER_BYTES, bytes_until_next};
use super::read::Layout;
use super::unpack::{UnpackError, UnpackLimits, decompress, inside, relative};
use crate::store::UnpackImageError;

/// The files of an image: those of all layers, with whiteouts applied.
#[derive(Clone, Debug, Default)]
pub struct FileList {
    entries: BTreeMap<PathBuf, FileEntry>,
    users: String,
}

/// A file, directory or link of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// What it is.
    pub kind: FileKind,
    /// The permission bits.
    pub mode: u32,
    /// The user and group.
    pub owner: (u64, u64),
}

/// The kind of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link and its target.
    Link(PathBuf),
}

impl FileList {
    /// Reads the entries of all layers, lowest first. Each layer is verified against its digest.
    pub fn read(
        layout: &Layout,
        manifest: &ImageManifest,
        limits: UnpackLimits,
    ) -> Result<Self, UnpackImageError> {
        let mut list = Self::default();
        let mut budget = limits;
        for descriptor in &manifest.layers {
            let mut reader = layout.reader(descriptor)?;
            list.add_layer(&mut reader, &mut budget, limits)
                .map_err(|source| UnpackImageError::Layer {
                    layer: descriptor.digest.clone(),
                    source,
                })?;
            reader.finish()?;
        }
        Ok(list)
    }

    /// Returns the entry at a path after its links are followed, as in a chroot.
    pub fn get(&self, path: &Path) -> Option<&FileEntry> {
        self.entries.get(&self.resolve(path)?)
    }

    /// Returns whether a path leads to a file that any user may execute.
    pub fn is_program(&self, path: &Path) -> bool {
        self.get(path)
            .is_some_and(|entry| entry.kind == FileKind::File && entry.mode & 0o111 != 0)
    }

    /// Returns every path with its entry, sorted; links are not followed.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, &FileEntry)> {
        self.entries
            .iter()
            .map(|(path, entry)| (path.as_path(), entry))
    }

    /// Returns the text of `/etc/passwd`, up to 1 MiB.
    pub fn passwd(&self) -> &str {
        &self.users
    }

    /// Follows links, also those of parent directories, at most 40 of them as Linux does (`path_resolution(7)`).
    pub fn resolve(&self, path: &Path) -> Option<PathBuf> {
        let mut pending: Vec<_> = parts(path);
        let (mut resolved, mut links) = (PathBuf::new(), 0);
        while let Some(part) = pending.pop() {
            if part == ".." {
                resolved.pop();
                continue;
            }

            resolved.push(&part);
            if let Some(FileKind::Link(target)) =
                self.entries.get(&resolved).map(|entry| &entry.kind)
            {
                links += 1;
                if links > 40 {
                    return None;
                }
                if target.is_absolute() {
                    resolved.clear();
                } else {
                    resolved.pop();
                }
                pending.extend(parts(target));
            }
        }
        Some(resolved)
    }

    fn add_layer(
        &mut self,
        compressed: impl Read,
        budget: &mut UnpackLimits,
        limits: UnpackLimits,
    ) -> Result<(), UnpackError> {
        let remaining = Cell::new(budget.max_bytes);
        let left = Cell::new(MAX_HEADER_BYTES);
        let content = HeaderLimit {
            content: Budget {
                content: decompress(compressed).map_err(UnpackError::Archive)?,
                remaining: &remaining,
            },
            left: &left,
        };
        // The limit cuts the archive, so any error behind it is that of the limit.
        let failed = |source| match remaining.get() {
            0 => UnpackError::TooLarge(limits.max_bytes),
            _ => UnpackError::Archive(source),
        };
        let mut archive = Archive::new(content);
        let mut layer = Self::default();
        let (mut hidden, mut opaque) = (HashSet::new(), HashSet::new());

        for entry in archive.entries().map_err(failed)? {
            let mut entry = entry.map_err(failed)?;
            left.set(bytes_until_next(&entry));
            budget.max_entries = budget
                .max_entries
                .checked_sub(1)
                .ok_or(UnpackError::TooManyEntries(limits.max_entries))?;
            let path = inside(&entry)?;
            // As bytes: a name need not be text.
            let name = path.file_name().unwrap_or_default().as_bytes();

            match name.strip_prefix(b".wh.") {
                Some(b".wh..opq") => {
                    opaque.insert(path.parent().unwrap_or(Path::new("")).to_owned());
                }
                Some(name) if !name.starts_with(b".wh.") => {
                    hidden.insert(path.with_file_name(OsStr::from_bytes(name)));
                }
                Some(_) => {}
                None => layer.add_entry(&mut entry, path, &self.entries)?,
            }
        }

        drop(archive);
        if remaining.get() == 0 {
            return Err(UnpackError::TooLarge(limits.max_bytes));
        }
        budget.max_bytes = remaining.get();
        self.apply(layer, &hidden, &opaque);
        Ok(())
    }

    fn add_entry(
        &mut self,
        entry: &mut Entry<'_, impl Read>,
        path: PathBuf,
        lower: &BTreeMap<PathBuf, FileEntry>,
    ) -> Result<(), UnpackError> {
        let header = entry.header();
        let id = |id: io::Result<u64>| id.unwrap_or_default();
        let mut listed = FileEntry {
            kind: FileKind::File,
            mode: header.mode().map_err(UnpackError::Archive)? & 0o7777,
            owner: (id(header.uid()), id(header.gid())),
        };
        let target = entry.link_name().map_err(UnpackError::Archive)?;
        let target = target.unwrap_or_default().into_owned();

        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                if path == Path::new("etc/passwd") {
                    self.users.clear();
                    let mut text = Vec::new();
                    let read = entry.take(MAX_PASSWD).read_to_end(&mut text);
                    read.map_err(UnpackError::Archive)?;
                    self.users = String::from_utf8_lossy(&text).into_owned();
                }
            }
            EntryType::Directory => listed.kind = FileKind::Directory,
            EntryType::Symlink => listed.kind = FileKind::Link(target),
            EntryType::Link => {
                // A second name of a file of this layer or of a lower one.
                let target = relative(&target).unwrap_or_default();
                let known = self.entries.get(&target).or_else(|| lower.get(&target));
                listed = known.cloned().unwrap_or(listed);
            }
            _ => return Ok(()),
        }
        self.entries.insert(path, listed);
        Ok(())
    }

    /// Puts a layer over this list.
    fn apply(&mut self, layer: Self, hidden: &HashSet<PathBuf>, opaque: &HashSet<PathBuf>) {
        self.entries.retain(|path, _| {
            let is_hidden = path.ancestors().any(|parent| hidden.contains(parent));
            let is_below_opaque = || path.ancestors().skip(1).any(|up| opaque.contains(up));
            !is_hidden && (opaque.is_empty() || !is_below_opaque())
        });

        for (path, entry) in layer.entries {
            // What a folder contains is sorted right behind it.
            let mut behind = self.entries.range::<Path, _>((Excluded(&*path), Unbounded));
            let has_content = behind
                .next()
                .is_some_and(|(next, _)| next.starts_with(&path));
            if entry.kind != FileKind::Directory && has_content {
                self.entries.retain(|old, _| !old.starts_with(&path));
            }
            self.entries.insert(path, entry);
        }
        if !layer.users.is_empty() {
            self.users = layer.users;
        }
    }
}

/// Reads at most a number of bytes of all layers together.
struct Budget<'b, R> {
    content: R,
    remaining: &'b Cell<u64>,
}

impl<R: Read> Read for Budget<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let remaining = usize::try_from(self.remaining.get()).unwrap_or(usize::MAX);
        let length = buffer.len().min(remaining);
        let count = self.content.read(&mut buffer[..length])?;
        self.remaining.set(self.remaining.get() - count as u64);
        Ok(count)
    }
}

/// Returns the parts of a path, last first.
fn parts(path: &Path) -> Vec<std::ffi::OsString> {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    let mut parts: Vec<_> = parts.collect();
    parts.reverse();
    parts
}

const MAX_PASSWD: u64 = 1 << 20;
