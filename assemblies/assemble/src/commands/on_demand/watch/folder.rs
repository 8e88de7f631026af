//! Finds new files of a directory, once they are complete.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use aws_lc_rs::digest::{Context, SHA256};

use crate::error::CliError;

/// A directory that replaces a bucket.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// The files at the last poll.
    known: BTreeMap<PathBuf, FileState>,
}

/// A complete new file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewFile {
    /// Its path below the directory, with `/` as separator.
    pub(super) key: String,
    /// Size in bytes.
    pub(super) size: u64,
    /// The first half of its content's SHA-256; S3's ETags are opaque too.
    pub(super) etag: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileState {
    size: u64,
    changed: Option<SystemTime>,
    is_reported: bool,
}

impl Folder {
    /// Opens a directory. Existing files are skipped, unless they are asked for.
    pub(super) fn open(root: &Path, with_existing: bool) -> Result<Self, CliError> {
        let failure = |source| CliError::File {
            act: "watch",
            path: root.to_owned(),
            source,
        };
        let root = root.canonicalize().map_err(failure)?;

        // Fail now, not at the first poll, if the directory cannot be listed.
        fs::read_dir(&root).map_err(failure)?;
        let mut folder = Self {
            root,
            known: BTreeMap::new(),
        };

        if !with_existing {
            folder.known = folder.scan();
            folder
                .known
                .values_mut()
                .for_each(|file| file.is_reported = true);
        }

        Ok(folder)
    }

    /// Returns the canonical path of the directory.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns whether every known file has been reported.
    pub(super) fn is_settled(&self) -> bool {
        self.known.values().all(|file| file.is_reported)
    }

    /// Returns the files that are new or changed, and have been the same at two polls.
    pub(super) fn poll(&mut self) -> Vec<NewFile> {
        let mut now = self.scan();
        let mut new_files = Vec::new();
        for (path, state) in &mut now {
            let Some(before) = self.known.get(path) else {
                continue;
            };
            // Still being written, or replaced since: wait for the next poll.
            if (before.size, before.changed) != (state.size, state.changed) {
                continue;
            }

            state.is_reported = true;
            if !before.is_reported {
                new_files.extend(self.read_file(path));
            }
        }

        self.known = now;
        new_files
    }

    fn read_file(&self, path: &Path) -> Option<NewFile> {
        // A file deleted meanwhile is skipped.
        let (size, etag) = checksum(path).ok()?;
        let key = path.strip_prefix(&self.root).ok()?.to_string_lossy();
        Some(NewFile {
            key: key.into_owned(),
            size,
            etag,
        })
    }

    fn scan(&self) -> BTreeMap<PathBuf, FileState> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let hidden = entry.file_name().to_string_lossy().starts_with('.');
                let Ok(file) = entry.metadata().map(|file| (file.is_dir(), file)) else {
                    continue;
                };

                match file {
                    // Editors and copy tools write incomplete files under hidden names.
                    _ if hidden => {}
                    (true, _) => folders.push(entry.path()),
                    (false, file) if file.is_file() => {
                        let state = FileState {
                            size: file.len(),
                            changed: file.modified().ok(),
                            is_reported: false,
                        };
                        found.insert(entry.path(), state);
                    }
                    _ => {}
                }
            }
        }

        found
    }
}

/// Returns a file's size and checksum. Reads it in chunks, since videos are large.
fn checksum(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let (mut context, mut size) = (Context::new(&SHA256), 0);
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        context.update(&buffer[..read]);
        size += u64::try_from(read).unwrap_or_default();
    }

    let digest = context.finish();
    let mut etag = String::new();
    for byte in digest.as_ref().iter().take(16) {
        let _ = write!(etag, "{byte:02x}");
    }

    Ok((size, etag))
}

const CHUNK_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_a_file_once_after_it_stops_growing() {
        let location = tempfile::tempdir().unwrap();
        fs::write(location.path().join("old"), "old").unwrap();
        let mut folder = Folder::open(location.path(), false).unwrap();
        fs::create_dir(location.path().join("video")).unwrap();

        // A key is the path as it is, with spaces and other characters that a URL would escape.
        let file = location.path().join("video/a b+ü.mp4");
        fs::write(&file, "half").unwrap();
        assert_eq!(folder.poll(), []);
        fs::write(&file, "the whole").unwrap();
        // It changed between two polls, so it may still be growing.
        assert_eq!(folder.poll(), []);
        assert!(!folder.is_settled());

        let files = folder.poll();
        assert_eq!(
            (files[0].key.as_str(), files[0].size),
            ("video/a b+ü.mp4", 9)
        );
        assert_eq!(folder.poll(), []);
        assert!(folder.is_settled());
        fs::write(&file, "another").unwrap();
        assert_eq!(folder.poll(), []);
        let again = folder.poll();

        assert_eq!(again[0].key, files[0].key);
        assert_ne!(again[0].etag, files[0].etag);
    }

    #[test]
    fn reports_existing_files_if_asked_but_never_hidden_ones() {
        let location = tempfile::tempdir().unwrap();
        fs::write(location.path().join("old"), "old").unwrap();
        fs::write(location.path().join(".part"), "half").unwrap();
        let mut folder = Folder::open(location.path(), true).unwrap();
        assert_eq!(folder.poll(), []);
        let files = folder.poll();
        assert_eq!(
            files
                .iter()
                .map(|file| file.key.as_str())
                .collect::<Vec<_>>(),
            ["old"]
        );
    }
}
