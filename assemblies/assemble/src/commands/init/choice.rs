//! Chooses one of several candidates: by flag, the only one, or on the terminal.

use std::io::{self, BufRead as _, IsTerminal as _};

use crate::error::CliError;
use crate::ui::Ui;

/// A candidate: its id, and a few words about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    id: String,
    about: String,
}

impl Candidate {
    pub(super) fn new(id: &str, about: &str) -> Self {
        Self {
            id: id.to_owned(),
            about: about.to_owned(),
        }
    }
}

/// Returns the id that was given, that of the only candidate, or that chosen on the terminal. `create` says what to do
/// if there is none.
pub(super) fn choose(
    what: &str,
    given: Option<&str>,
    candidates: Vec<Candidate>,
    create: &str,
    ui: &Ui,
) -> Result<String, CliError> {
    let list = || {
        let lines = candidates.iter().take(MAX_CANDIDATES);
        let lines = lines.map(|it| format!("{} {}", it.id, it.about).trim_end().to_owned());
        lines.collect::<Vec<_>>().join(", ")
    };

    if let Some(given) = given {
        if candidates.iter().any(|candidate| candidate.id == given) {
            return Ok(given.to_owned());
        }
        return Err(CliError::Usage(format!(
            "there is no {what} `{given}` in this account and region; there are: {}",
            list()
        )));
    }

    match &candidates[..] {
        [] => Err(CliError::Usage(format!(
            "this account and region have no {what}; {create}"
        ))),
        [only] => Ok(only.id.clone()),
        several if io::stdin().is_terminal() => ask(what, several, ui),
        _ => Err(CliError::Usage(format!(
            "there are several; pass `--{what}` with one of: {}",
            list()
        ))),
    }
}

fn ask(what: &str, candidates: &[Candidate], ui: &Ui) -> Result<String, CliError> {
    // On stderr, as every question: stdout is for results.
    for (candidate, number) in candidates.iter().zip(1..) {
        ui.ask(&format!(
            "{number:>3}  {} {}\n",
            candidate.id, candidate.about
        ));
    }

    for _ in 0..ATTEMPTS {
        ui.ask(&format!("{what} [1-{}]: ", candidates.len()));
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line);
        if read.map_err(|error| CliError::Usage(format!("cannot read the answer: {error}")))? == 0 {
            break;
        }

        let answer = line.trim();
        let by_number = answer.parse::<usize>().ok();
        let by_number = by_number.and_then(|number| candidates.get(number.checked_sub(1)?));
        let by_id = candidates.iter().find(|candidate| candidate.id == answer);
        if let Some(chosen) = by_number.or(by_id) {
            return Ok(chosen.id.clone());
        }
    }

    Err(CliError::Usage(format!(
        "no {what} was chosen; pass `--{what}`"
    )))
}

/// The candidates that a message names.
const MAX_CANDIDATES: usize = 20;
/// How often a wrong answer is asked for again.
const ATTEMPTS: usize = 3;
