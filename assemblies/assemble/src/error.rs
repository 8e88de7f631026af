//! The error type of all verbs, and their exit codes.

use std::path::PathBuf;

use diagnostics::Finding;

/// An error that ends a verb.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// A file could not be read or written.
    #[error("cannot {act} `{}`: {source}", path.display())]
    File {
        /// `read`, `write`, `list` …
        act: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// Invalid arguments or input.
    #[error("{0}")]
    Usage(String),
    /// The input has findings, which are printed before this message.
    #[error("{}", format_findings(.0.len()))]
    Findings(Vec<Finding>),
    /// Several files could not be read.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\nassemble: "))]
    Several(Vec<Self>),
    /// A program to run is missing, or cannot be executed.
    #[cfg_attr(
        not(feature = "up"),
        expect(dead_code, reason = "only `up` runs programs")
    )]
    #[error("{message}")]
    Program {
        /// Which program, and what to do.
        message: String,
        /// The exit code a shell uses: 126 for a file that cannot be executed, 127 for a missing one.
        code: u8,
    },
    /// The remote side refused the request.
    #[cfg_attr(
        not(any(feature = "aws", feature = "lock")),
        expect(dead_code, reason = "only AWS and registries refuse")
    )]
    #[error("{0}")]
    Refused(String),
}

#[cfg(feature = "up")]
impl From<local::Error> for CliError {
    fn from(error: local::Error) -> Self {
        match error {
            local::Error::File { act, path, source } => Self::File { act, path, source },
            local::Error::Usage(message) => Self::Usage(message),
            local::Error::Program { message, code } => Self::Program { message, code },
        }
    }
}

impl CliError {
    /// Returns all errors as one, or `Ok` if there are none.
    pub(crate) fn all(mut failures: Vec<Self>) -> Result<(), Self> {
        match failures.len() {
            0 => Ok(()),
            1 => Err(failures.remove(0)),
            _ => Err(Self::Several(failures)),
        }
    }

    /// Returns the exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Findings(_) => 1,
            Self::File { .. } | Self::Usage(_) | Self::Several(_) => 2,
            Self::Refused(_) => 3,
            Self::Program { code, .. } => *code,
        }
    }
}

/// Formats a number of findings: `1 finding`, `2 findings`.
pub(crate) fn format_findings(findings: usize) -> String {
    match findings {
        1 => "1 finding".to_owned(),
        count => format!("{count} findings"),
    }
}
