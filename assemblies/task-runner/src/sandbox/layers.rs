//! The folders of a run that lie on the files of images.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A folder of the run for one container's overlay.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Layers(pub(super) PathBuf);

impl Layers {
    /// That of a container.
    pub(crate) fn of(run: &Path, container: &str) -> Self {
        Self(run.join("images").join(container))
    }

    /// What is written, the kernel's own, and where both are seen together.
    pub(crate) fn folders(&self) -> [PathBuf; 3] {
        ["changes", "work", "root"].map(|name| self.0.join(name))
    }

    /// Deletes all of a run's; the kernel leaves a folder that nobody may look into.
    pub(crate) fn forget(run: &Path) {
        let images = run.join("images");
        for one in fs::read_dir(&images).into_iter().flatten().flatten() {
            let closed = one.path().join("work/work");
            let _ = fs::set_permissions(closed, Permissions::from_mode(0o700));
        }
        let _ = fs::remove_dir_all(images);
    }
}
