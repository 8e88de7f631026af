//! Where words go: data to stdout, talk to stderr, colour only to people.

use std::env;
use std::io::{IsTerminal, Write, stderr, stdout};
use std::sync::atomic::{AtomicBool, Ordering};

use task_definition::{Color, Finding, Place, Silenced};

use crate::failure::Failure;

/// The two ways out of the program.
#[derive(Debug, Clone)]
pub(crate) struct Talk {
    quiet: bool,
    color_out: Color,
    color_err: Color,
}

/// Whether the last line of the terminal is one that changes.
pub(crate) static STATUS_LINE: AtomicBool = AtomicBool::new(false);

impl Talk {
    /// Looks at the terminal and at `NO_COLOR` once.
    pub(crate) fn new(quiet: bool) -> Self {
        let wanted = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let color = |terminal: bool| {
            if wanted && terminal {
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

    /// Prints data. A reader who has gone away is no failure.
    #[expect(clippy::unused_self, reason = "data and talk leave by the same door")]
    pub(crate) fn data(&self, text: &str) {
        let _ = stdout().write_all(text.as_bytes());
    }

    /// Says a line, unless asked to be quiet.
    pub(crate) fn say(&self, line: &str) {
        if !self.quiet {
            // A line at the bottom of the terminal makes room; it comes back by itself.
            let room = if STATUS_LINE.swap(false, Ordering::Relaxed) {
                "\r\x1b[2K"
            } else {
                ""
            };
            say_line(&format!("{room}{line}"));
        }
    }

    /// Whether only data and failures are wanted.
    #[cfg_attr(not(feature = "up"), expect(dead_code, reason = "only `up` asks"))]
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// The colour of stdout.
    pub(crate) fn color(&self) -> Color {
        self.color_out
    }

    /// Says which values are missing in all of the findings, ready to be pasted into a file of values.
    pub(crate) fn missing(&self, findings: &[Finding]) {
        let missing = assembly::rules::missing_values(findings);
        if missing.len() > 1 {
            let lines = missing.iter().map(|name| format!("  {name}: \n"));
            let lines: String = lines.collect();
            self.say(&format!(
                "missing values, for assemblies/values/:\n{}",
                lines.trim_end()
            ));
        }
    }

    /// Says a failure, with its findings if it has any.
    pub(crate) fn failure(&self, failure: &Failure) {
        if let Failure::Findings(findings) = failure {
            for finding in findings {
                let _ = writeln!(stderr(), "{}\n", finding.render(self.color_err).trim_end());
            }
        }
        let _ = writeln!(stderr(), "assemble: {failure}");
    }

    /// Says that something which keeps strangers out is silenced, even when asked to be quiet.
    #[expect(clippy::unused_self, reason = "all talk leaves by the same door")]
    pub(crate) fn guards(&self, silenced: &[Silenced]) {
        let guards = silenced
            .iter()
            .filter(|one| assembly::rules::guards(one.finding.rule));
        for Silenced { finding, ruling } in guards {
            let place = written(&ruling.place);
            let place = place.map(|(file, line, _)| format!(" ({file}:{line})"));
            let _ = writeln!(
                stderr(),
                "{} is silenced: {}; because: {}{}",
                finding.rule,
                finding.message,
                ruling.reason,
                place.unwrap_or_default()
            );
        }
    }
}

/// Writes a line to stderr in one piece: others may speak to the same terminal.
pub(crate) fn say_line(line: &str) {
    let _ = stderr().write_all(format!("{line}\n").as_bytes());
}

/// The written line that a place goes back to.
pub(crate) fn written(place: &Place) -> Option<(&str, usize, usize)> {
    match place {
        Place::Text {
            file, line, column, ..
        } => Some((file, *line, *column)),
        Place::Derived { from, .. } => written(from.as_deref()?),
        Place::Pointer(_) => None,
    }
}
