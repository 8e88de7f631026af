//! New files of a folder, once they do not grow any more.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use aws_lc_rs::digest::{Context, SHA256};

use crate::failure::Failure;

/// A folder that stands for a bucket.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    /// What was there at the last look.
    seen: BTreeMap<PathBuf, Look>,
}

/// A file that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct New {
    /// Its path below the folder, with `/`.
    pub(super) key: String,
    /// Bytes.
    pub(super) size: u64,
    /// The first half of the SHA-256 of what is in it: S3's own are opaque too.
    pub(super) etag: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    size: u64,
    changed: Option<SystemTime>,
    is_told: bool,
}

impl Folder {
    /// Files that are there already are no news, unless they are wanted.
    pub(super) fn open(root: &Path, with_existing: bool) -> Result<Self, Failure> {
        let failure = |source| Failure::File {
            act: "watch",
            path: root.to_owned(),
            source,
        };
        let root = root.canonicalize().map_err(failure)?;

        fs::read_dir(&root).map_err(failure)?;
        let mut folder = Self {
            root,
            seen: BTreeMap::new(),
        };

        if !with_existing {
            folder.seen = folder.look();
            folder.seen.values_mut().for_each(|one| one.is_told = true);
        }

        Ok(folder)
    }

    /// The folder, without links.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether every file that was seen has been told of.
    pub(super) fn is_settled(&self) -> bool {
        self.seen.values().all(|one| one.is_told)
    }

    /// Files that are new or changed, and have been the same at two looks.
    pub(super) fn news(&mut self) -> Vec<New> {
        let mut now = self.look();
        let mut news = Vec::new();
        for (path, look) in &mut now {
            let Some(before) = self.seen.get(path) else {
                continue;
            };
            if (before.size, before.changed) != (look.size, look.changed) {
                continue;
            }

            look.is_told = true;
            if !before.is_told {
                news.extend(self.complete(path));
            }
        }

        self.seen = now;
        news
    }

    fn complete(&self, path: &Path) -> Option<New> {
        // One that has gone meanwhile is no news.
        let (size, etag) = sum(path).ok()?;
        let key = path.strip_prefix(&self.root).ok()?.to_string_lossy();
        Some(New {
            key: key.into_owned(),
            size,
            etag,
        })
    }

    fn look(&self) -> BTreeMap<PathBuf, Look> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let hidden = entry.file_name().to_string_lossy().starts_with('.');
                let Ok(file) = entry.metadata().map(|file| (file.is_dir(), file)) else {
                    continue;
                };

                match file {
                    _ if hidden => {}
                    (true, _) => folders.push(entry.path()),
                    (false, file) if file.is_file() => {
                        let look = Look {
                            size: file.len(),
                            changed: file.modified().ok(),
                            is_told: false,
                        };
                        found.insert(entry.path(), look);
                    }
                    _ => {}
                }
            }
        }

        found
    }
}

/// The size of a file and the sum of what is in it, read piece by piece: films are large.
fn sum(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let (mut context, mut size) = (Context::new(&SHA256), 0);
    let mut piece = vec![0; PIECE];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            break;
        }
        context.update(&piece[..read]);
        size += u64::try_from(read).unwrap_or_default();
    }

    let sum = context.finish();
    let mut etag = String::new();
    for byte in sum.as_ref().iter().take(16) {
        let _ = write!(etag, "{byte:02x}");
    }

    Ok((size, etag))
}

const PIECE: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_news_once_when_it_does_not_grow_any_more() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("old"), "old").unwrap();
        let mut folder = Folder::open(place.path(), false).unwrap();
        fs::create_dir(place.path().join("video")).unwrap();

        let file = place.path().join("video/a b+ü.mp4");
        fs::write(&file, "half").unwrap();
        assert_eq!(folder.news(), []);
        fs::write(&file, "the whole").unwrap();
        assert_eq!(folder.news(), []);
        assert!(!folder.is_settled());

        let news = folder.news();
        assert_eq!((news[0].key.as_str(), news[0].size), ("video/a b+ü.mp4", 9));
        assert_eq!(folder.news(), []);
        assert!(folder.is_settled());
        fs::write(&file, "another").unwrap();
        assert_eq!(folder.news(), []);
        let again = folder.news();

        assert_eq!(again[0].key, news[0].key);
        assert_ne!(again[0].etag, news[0].etag);
    }

    #[test]
    fn existing_files_are_news_where_they_are_wanted_and_hidden_ones_never() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("old"), "old").unwrap();
        fs::write(place.path().join(".part"), "half").unwrap();
        let mut folder = Folder::open(place.path(), true).unwrap();
        assert_eq!(folder.news(), []);
        let news = folder.news();
        assert_eq!(
            news.iter().map(|one| one.key.as_str()).collect::<Vec<_>>(),
            ["old"]
        );
    }
}
