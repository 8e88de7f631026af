//! Removes what was not used for a long time.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Store;
use crate::layout::remove_tree;

impl Store {
    /// Removes what was not used for the longest time until the store has at most `max_bytes`.
    ///
    /// An unpacked image in use stays, and so does everything that was used within `min_age`. Returns the number of
    /// bytes that were removed. What cannot be removed is left for the next call.
    pub fn clean(&self, max_bytes: u64, min_age: Duration) -> u64 {
        let mut items = self.items();
        items.sort_by_key(|item| item.used);
        let mut excess: u64 = items.iter().map(|item| item.bytes).sum();
        excess = excess.saturating_sub(max_bytes);
        let now = SystemTime::now();
        let mut removed = 0;

        for item in items {
            // A clock that went backwards makes everything young.
            let age = now.duration_since(item.used).unwrap_or_default();
            if removed >= excess || age < min_age {
                break;
            }
            if item.remove() {
                removed += item.bytes;
            }
        }

        removed
    }

    fn items(&self) -> Vec<Item> {
        let files = ["blobs/sha256", "partial", "roots"]
            .into_iter()
            .filter_map(|folder| fs::read_dir(self.root.join(folder)).ok())
            .flatten();
        files
            .filter_map(|entry| Item::new(&entry.ok()?.path()))
            .collect()
    }
}

/// Something that can be removed from the store.
struct Item {
    path: PathBuf,
    used: SystemTime,
    bytes: u64,
}

impl Item {
    fn new(path: &Path) -> Option<Self> {
        let metadata = fs::symlink_metadata(path).ok()?;
        // An unpacked image is represented by its lock file.
        let bytes = match path.extension().and_then(|end| end.to_str()) {
            Some("unpacking") => return None,
            Some("lock") => fs::read_to_string(path).ok()?.trim().parse().ok()?,
            _ if metadata.is_file() => metadata.len(),
            // An archive that was being unpacked when its process was killed.
            _ if is_scratch(path) => folder_bytes(path),
            _ => return None,
        };

        Some(Self {
            path: path.to_owned(),
            used: metadata.modified().ok()?,
            bytes,
        })
    }

    fn remove(&self) -> bool {
        if is_scratch(&self.path) {
            return fs::remove_dir_all(&self.path).is_ok();
        }
        if self.path.extension().is_none_or(|end| end != "lock") {
            return fs::remove_file(&self.path).is_ok();
        }
        let Ok(lock) = File::options().append(true).open(&self.path) else {
            return false;
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => return false,
        }

        // The lock file stays: a process that waits for it must not hold a lock that others cannot see.
        let root = self.path.with_extension("");
        let old = self.path.with_extension("old");
        let renamed = remove_tree(&old).is_ok() && fs::rename(&root, &old).is_ok();
        renamed && lock.set_len(0).is_ok() && remove_tree(&old).is_ok()
    }
}

/// Returns whether a path is a folder of [`Store::scratch`]; unpacked images are folders elsewhere.
fn is_scratch(path: &Path) -> bool {
    let parent = path.parent().and_then(Path::file_name);
    parent.is_some_and(|name| name == "partial") && path.is_dir()
}

/// Returns the size of the files in a folder of an archive, which has two levels below it.
fn folder_bytes(folder: &Path) -> u64 {
    let mut pending = vec![(folder.to_owned(), 0)];
    let mut bytes = 0;
    while let Some((folder, depth)) = pending.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_file() => bytes += metadata.len(),
                Ok(metadata) if metadata.is_dir() && depth < 3 => {
                    pending.push((entry.path(), depth + 1));
                }
                _ => {}
            }
        }
    }
    bytes
}

/// The size at which the least recently used images are removed: 20 GiB, Fargate's default ephemeral storage.
pub(super) const MAX_STORE_BYTES: u64 = 20 << 30;
/// What was used within a day is kept, however large the store is.
pub(super) const MIN_AGE: Duration = Duration::from_hours(24);
