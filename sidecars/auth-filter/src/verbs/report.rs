//! What a verb says: lines of a check, its outcome and what it found.

use std::fmt;
use std::io::{self, Write};

/// Checks in the order they were made.
#[derive(Debug, Default)]
pub(super) struct Report {
    lines: Vec<(String, Outcome, String)>,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Yes,
    No,
}

impl Report {
    pub(super) fn yes(&mut self, check: &str, found: impl fmt::Display) {
        self.lines
            .push((check.into(), Outcome::Yes, found.to_string()));
    }

    pub(super) fn no(&mut self, check: &str, found: impl fmt::Display) {
        self.lines
            .push((check.into(), Outcome::No, found.to_string()));
    }

    pub(super) fn holds(&self) -> bool {
        self.lines
            .iter()
            .all(|(_, outcome, _)| *outcome == Outcome::Yes)
    }

    pub(super) fn exit_code(&self) -> u8 {
        u8::from(!self.holds())
    }

    /// The report is data, so it goes to stdout.
    pub(super) fn print(&self) -> io::Result<()> {
        write!(io::stdout().lock(), "{self}")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (check, outcome, found) in &self.lines {
            let outcome = if *outcome == Outcome::Yes {
                "yes"
            } else {
                "no"
            };
            writeln!(
                f,
                "{}",
                format!("{check:<11} {outcome:<4} {found}").trim_end()
            )?;
        }

        Ok(())
    }
}
