//! What a local run needs to know about the project.

use std::path::{Path, PathBuf};

/// A project's directory, and the issuer of its development tokens.
#[derive(Debug, Clone)]
pub struct Project {
    root: PathBuf,
    issuer: String,
}

impl Project {
    /// Describes a project. `.assemble/` below `root` holds run directories, images, volumes and development keys;
    /// `issuer` is the one that `assemble dev-token` uses by default.
    pub fn new(root: PathBuf, issuer: String) -> Self {
        Self { root, issuer }
    }

    /// Returns the project's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the issuer of development tokens.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }
}
