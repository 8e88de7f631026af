//! The error of reading an image.

use std::path::PathBuf;

use crate::client::SetupError;
use crate::error::Error;
use crate::layout::LayoutError;
use crate::store::UnpackImageError;

/// An error of reading an image.
#[derive(Debug, thiserror::Error)]
pub enum ReadImageError {
    /// There is no such file or folder.
    #[error("`{}` does not exist; check the path", .0.display())]
    NoFile(PathBuf),
    /// Reading or verifying a layout or an archive failed.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The registry refused, or the download failed.
    #[error("{error}{}", hint.as_deref().unwrap_or_default())]
    Pull {
        /// The error.
        error: Box<Error>,
        /// What else the text may have meant.
        hint: Option<String>,
    },
    /// A layer could not be unpacked or listed.
    #[error(transparent)]
    Unpack(#[from] UnpackImageError),
    /// The logins or the certificates of this host could not be read.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

impl ReadImageError {
    /// Returns whether the cause is on this machine, and not the answer of a registry.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Pull { error, .. } => error.kind.is_local(),
            _ => true,
        }
    }
}
