//! What makes the command give up, and the exit code it then has.

use std::path::PathBuf;

use task_definition::Finding;

/// Why a verb could not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A file could not be read or written.
    #[error("cannot {act} `{}`: {source}", path.display())]
    File {
        /// `read`, `write`, `list`.
        act: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What was asked for does not make sense.
    #[error("{0}")]
    Usage(String),
    /// The input has findings; they say it all.
    #[error("{} found", count(.0.len()))]
    Findings(Vec<Finding>),
    /// Several files could not be read.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\nassemble: "))]
    Several(Vec<Self>),
    /// A program that is to be run is not there, or cannot be run.
    #[cfg_attr(
        not(feature = "up"),
        expect(dead_code, reason = "only `up` runs programs")
    )]
    #[error("{words}")]
    Program {
        /// Which, and what to do.
        words: String,
        /// A shell's number for it: 126 for one that is no program, 127 for none.
        code: u8,
    },
    /// The remote side said no.
    #[cfg_attr(
        not(any(feature = "aws", feature = "lock")),
        expect(dead_code, reason = "only AWS and registries refuse")
    )]
    #[error("{0}")]
    Refused(String),
}

impl Failure {
    /// All of them as one, if there are any.
    pub(crate) fn all(mut failures: Vec<Self>) -> Result<(), Self> {
        match failures.len() {
            0 => Ok(()),
            1 => Err(failures.remove(0)),
            _ => Err(Self::Several(failures)),
        }
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Findings(_) => 1,
            Self::File { .. } | Self::Usage(_) | Self::Several(_) => 2,
            Self::Refused(_) => 3,
            Self::Program { code, .. } => *code,
        }
    }
}

/// `1 finding`, `2 findings`.
pub(crate) fn count(findings: usize) -> String {
    match findings {
        1 => "1 finding".to_owned(),
        many => format!("{many} findings"),
    }
}
