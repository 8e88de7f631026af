//! The error type of the emulator.

use std::io;
use std::path::PathBuf;

/// An error that prevents the emulator from starting, or ends it.
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
    /// The listener is not on a loopback address.
    #[error("the emulator listens on loopback addresses only, not on {0}; bind to 127.0.0.1")]
    NotLoopback(std::net::SocketAddr),
    /// The listener or a thread failed.
    #[error("cannot serve: {0}")]
    Serve(#[from] io::Error),
    /// Another emulator uses the project's directory.
    #[error(
        "an emulator is already running in this project; stop it, or use another directory with `--project`"
    )]
    AlreadyRunning,
    /// The system has no random numbers for keys.
    #[error("cannot create access keys: the system has no random numbers")]
    Random,
    /// The file of fault rules is invalid.
    #[error("`{file}`: {message}")]
    Faults {
        /// The file, as the caller named it.
        file: String,
        /// The problem, and where it is.
        message: String,
    },
}
