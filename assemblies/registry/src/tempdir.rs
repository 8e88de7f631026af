//! Folders that are removed with their content.

use std::env;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The folder.
#[derive(Debug)]
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    /// Creates a folder for this user only in the directory for temporary files.
    pub(crate) fn new() -> (PathBuf, io::Result<Self>) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("assemble-{}-{number}", std::process::id());
        let path = env::temp_dir().join(name);
        // Fails if it exists, so it is nobody else's.
        let created = DirBuilder::new().mode(0o700).create(&path);
        (path.clone(), created.map(|()| Self(path)))
    }

    /// Returns the path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
