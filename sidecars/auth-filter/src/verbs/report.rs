//! The output of a verb: one line per check with its outcome and details.

use std::fmt;
use std::io::{self, Write};

/// Checks in the order in which they ran.
#[derive(Debug, Default)]
pub(super) struct Report {
    lines: Vec<(String, Outcome, String)>,
}

/// The outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Pass,
    Fail,
}

impl Report {
    pub(super) fn pass(&mut self, check: &str, found: impl fmt::Display) {
        self.lines
            .push((check.into(), Outcome::Pass, found.to_string()));
    }

    pub(super) fn fail(&mut self, check: &str, found: impl fmt::Display) {
        self.lines
            .push((check.into(), Outcome::Fail, found.to_string()));
    }

    pub(super) fn is_success(&self) -> bool {
        self.lines
            .iter()
            .all(|(_, outcome, _)| *outcome == Outcome::Pass)
    }

    pub(super) fn exit_code(&self) -> u8 {
        u8::from(!self.is_success())
    }

    /// Prints the report to stdout: it is the verb's data.
    pub(super) fn print(&self) -> io::Result<()> {
        write!(io::stdout().lock(), "{self}")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (check, outcome, found) in &self.lines {
            let outcome = if *outcome == Outcome::Pass {
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
