//! Questions and signals.

use std::cell::RefCell;
use std::io::{IsTerminal as _, stdin};

use clap::Args;
use tokio::sync::oneshot;

use crate::commands::remote::Signals;
use crate::error::CliError;
use crate::ui::Ui;

/// Whether changes are made, and whether they are confirmed.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct StackArguments {
    /// Show what would change, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask before a stack is changed.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// Why a verb ends early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// An exit code: of a signal, or of an answer.
    Code(u8),
    Error(CliError),
}

impl Stop {
    /// Returns the exit code, or the error.
    pub(crate) fn flatten(outcome: Result<u8, Self>) -> Result<u8, CliError> {
        match outcome {
            Ok(code) | Err(Self::Code(code)) => Ok(code),
            Err(Self::Error(error)) => Err(error),
        }
    }
}

impl From<CliError> for Stop {
    fn from(error: CliError) -> Self {
        Self::Error(error)
    }
}

/// The signals of a verb.
pub(super) struct Session {
    signals: RefCell<Signals>,
}

impl Session {
    pub(super) fn new() -> Result<Self, CliError> {
        Ok(Self {
            signals: RefCell::new(Signals::new()?),
        })
    }

    /// Waits for the work, or for a signal, which ends the verb with a message.
    #[expect(
        clippy::await_holding_refcell_ref,
        reason = "only one wait at a time uses the signals"
    )]
    pub(super) async fn interruptible<T>(
        &self,
        work: impl Future<Output = Result<T, ecs_client::Error>>,
        on_signal: &str,
        ui: &Ui,
    ) -> Result<T, Stop> {
        let mut signals = self.signals.borrow_mut();
        tokio::select! {
            outcome = work => outcome.map_err(|error| Stop::Error(error.into())),
            code = signals.next() => {
                ui.message(&format!("interrupted; {on_signal}"));
                Err(Stop::Code(code))
            }
        }
    }

    /// Asks on the terminal, unless `--yes` is given.
    #[expect(
        clippy::await_holding_refcell_ref,
        reason = "only one wait at a time uses the signals"
    )]
    pub(super) async fn confirm(
        &self,
        question: &str,
        arguments: StackArguments,
        ui: &Ui,
    ) -> Result<(), Stop> {
        if arguments.yes {
            return Ok(());
        }
        if !stdin().is_terminal() {
            let message = "there is no terminal to ask on; pass `--yes` to make these changes";
            return Err(CliError::Usage(message.to_owned()).into());
        }

        let mut signals = self.signals.borrow_mut();
        let answer = ask(question, ui);
        let is_yes = tokio::select! {
            answer = answer => answer.unwrap_or(false),
            code = signals.next() => {
                ui.message("\ninterrupted; nothing was changed");
                return Err(Stop::Code(code));
            }
        };
        if is_yes {
            return Ok(());
        }
        ui.message("nothing was changed");
        Err(Stop::Code(NOT_CONFIRMED))
    }
}

/// Asks on the terminal. The thread that reads may outlive the answer, so that it ends with the process.
fn ask(question: &str, ui: &Ui) -> oneshot::Receiver<bool> {
    ui.ask(&format!("{question} [y/N] "));
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = stdin().read_line(&mut line);
        let _ = sender.send(is_yes(&line));
    });
    receiver
}

fn is_yes(line: &str) -> bool {
    matches!(line.trim().to_lowercase().as_str(), "y" | "yes")
}

const NOT_CONFIRMED: u8 = 1;

#[cfg(test)]
mod tests {
    use super::is_yes;

    #[test]
    fn only_a_clear_yes_is_one() {
        assert!(is_yes("y\n") && is_yes(" Yes "));
        assert!(!is_yes("") && !is_yes("\n") && !is_yes("n\n") && !is_yes("what?"));
    }
}
