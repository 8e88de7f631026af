//! The error type of local runs.

use std::io;
use std::path::PathBuf;

/// An error that prevents a run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("cannot {act} `{}`: {source}", path.display())]
    File {
        /// `read`, `write`, `create` …
        act: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Invalid options or input, or a host that does not allow the run.
    #[error("{0}")]
    Usage(String),
    /// A program to run is missing, or cannot be executed.
    #[error("{message}")]
    Program {
        /// Which program, and what to do.
        message: String,
        /// The exit code a shell uses: 126 for a file that cannot be executed, 127 for a missing one.
        code: u8,
    },
}
