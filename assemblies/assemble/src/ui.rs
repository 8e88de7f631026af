//! Output: results to stdout, messages to stderr, colour only on terminals.

use std::env;
use std::io::{IsTerminal, Write, stderr, stdout};
use std::sync::atomic::{AtomicBool, Ordering};

use diagnostics::{Color, Finding, Location, SuppressedFinding};

use crate::error::CliError;

/// Writes results and messages.
#[derive(Debug, Clone)]
pub(crate) struct Ui {
    quiet: bool,
    color_out: Color,
    color_err: Color,
}

/// Whether the last line of the terminal is a status line, which is redrawn in place.
pub(crate) static STATUS_LINE: AtomicBool = AtomicBool::new(false);

impl Ui {
    /// Checks the terminals and `NO_COLOR` once.
    pub(crate) fn new(quiet: bool) -> Self {
        // https://no-color.org: any value that is not empty disables colour.
        let allowed = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let color = |terminal: bool| {
            if allowed && terminal {
                Color::Yes
            } else {
                Color::No
            }
        };

        Self {
            quiet,
            color_out: color(stdout().is_terminal()),
            color_err: color(stderr().is_terminal()),
        }
    }

    /// Prints results. A closed pipe is not an error: the reader has seen enough.
    #[expect(clippy::unused_self, reason = "all output goes through `Ui`")]
    pub(crate) fn data(&self, text: &str) {
        let _ = stdout().write_all(text.as_bytes());
    }

    /// Prints a message, unless `--quiet` is given.
    pub(crate) fn message(&self, line: &str) {
        if !self.quiet {
            // Clear the status line before a message; its owner redraws it with the next event.
            let clear = if STATUS_LINE.swap(false, Ordering::Relaxed) {
                "\r\x1b[2K"
            } else {
                ""
            };
            print_line(&format!("{clear}{line}"));
        }
    }

    /// Prints a question, even with `--quiet`. The answer follows on the same line.
    #[cfg(feature = "aws")]
    #[expect(clippy::unused_self, reason = "all output goes through `Ui`")]
    pub(crate) fn ask(&self, question: &str) {
        let _ = stderr().write_all(question.as_bytes());
    }

    /// Returns whether only results and errors are printed.
    #[cfg_attr(
        not(any(feature = "up", feature = "lock")),
        expect(dead_code, reason = "only commands with a status line ask")
    )]
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Returns the colour setting of stderr.
    #[cfg(feature = "aws")]
    pub(crate) fn color_of_messages(&self) -> Color {
        self.color_err
    }

    /// Returns the colour setting of stdout.
    pub(crate) fn color(&self) -> Color {
        self.color_out
    }

    /// Prints the values that are missing in all findings, ready to be pasted into a file of values.
    pub(crate) fn print_missing_values(&self, findings: &[Finding]) {
        let missing = assembly::rules::missing_values(findings);
        if missing.len() > 1 {
            let lines = missing.iter().map(|name| format!("  {name}: \n"));
            let lines: String = lines.collect();
            self.message(&format!(
                "missing values, for assemblies/values/:\n{}",
                lines.trim_end()
            ));
        }
    }

    /// Prints an error, after its findings if it has any.
    pub(crate) fn error(&self, error: &CliError) {
        if let CliError::Findings(findings) = error {
            for finding in findings {
                let _ = writeln!(stderr(), "{}\n", finding.render(self.color_err).trim_end());
            }
        }
        // Errors are printed even with `--quiet`.
        let _ = writeln!(stderr(), "assemble: {error}");
    }

    /// Prints suppressed findings of rules that protect the task (M22, M23), even with `--quiet`.
    #[expect(clippy::unused_self, reason = "all output goes through `Ui`")]
    pub(crate) fn print_suppressed_guards(&self, suppressed: &[SuppressedFinding]) {
        let guards = suppressed
            .iter()
            .filter(|suppressed| assembly::rules::is_security_rule(suppressed.finding.rule));
        for SuppressedFinding {
            finding,
            level_override,
        } in guards
        {
            let location = source_location(&level_override.location);
            let location = location.map(|(file, line, _)| format!(" ({file}:{line})"));
            let _ = writeln!(
                stderr(),
                "{} is suppressed: {}; reason: {}{}",
                finding.rule,
                finding.message,
                level_override.reason,
                location.unwrap_or_default()
            );
        }
    }
}

/// Writes a line to stderr in one call, so that output of other processes cannot split it.
pub(crate) fn print_line(line: &str) {
    let _ = stderr().write_all(format!("{line}\n").as_bytes());
}

/// Returns the file, line and column that a location goes back to.
pub(crate) fn source_location(location: &Location) -> Option<(&str, usize, usize)> {
    match location {
        Location::Text {
            file, line, column, ..
        } => Some((file, *line, *column)),
        Location::Derived { from, .. } => source_location(from.as_deref()?),
        Location::Pointer(_) => None,
    }
}
