//! The writable layers of containers that run in images.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The folders of one container's overlay.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Overlay(pub(super) PathBuf);

impl Overlay {
    /// Returns the overlay of a container in a run.
    pub(crate) fn new(run: &Path, container: &str) -> Self {
        Self(run.join("images").join(container))
    }

    /// Returns the upper folder, the work folder and the mount point of the overlay.
    pub(crate) fn folders(&self) -> [PathBuf; 3] {
        ["changes", "work", "root"].map(|name| self.0.join(name))
    }

    /// Deletes the overlays of a run.
    pub(crate) fn remove_all(run: &Path) {
        let images = run.join("images");
        for overlay in fs::read_dir(&images).into_iter().flatten().flatten() {
            // The kernel creates this folder without any permissions, so it cannot be listed for deletion.
            let kernel_folder = overlay.path().join("work/work");
            let _ = fs::set_permissions(kernel_folder, Permissions::from_mode(0o700));
        }
        let _ = fs::remove_dir_all(images);
    }
}
