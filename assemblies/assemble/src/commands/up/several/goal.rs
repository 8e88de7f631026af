//! What somebody wants of the tasks together, and by when.

use std::future::pending;

use tokio::time::{Instant, sleep_until};

use crate::commands::up::Arguments;
use crate::commands::up::life::SMOKE;

/// What is wanted.
#[derive(Debug)]
pub(super) struct Goal {
    trial: bool,
    waited_for: bool,
    end: Option<Instant>,
    missed: bool,
}

impl Goal {
    /// As the command line says it; the time runs from now on.
    pub(super) fn new(arguments: &Arguments) -> Self {
        let trial = arguments.until_ready || arguments.until_healthy;
        let limit = arguments.timeout.or(trial.then_some(SMOKE));
        Self {
            trial,
            waited_for: trial || arguments.wait,
            end: limit.map(|limit| Instant::now() + limit),
            missed: false,
        }
    }

    /// That all are ready is all that anybody wants to know.
    pub(super) fn is_a_trial(&self) -> bool {
        self.trial
    }

    /// Somebody waits until all are ready.
    pub(super) fn is_waited_for(&self) -> bool {
        self.waited_for
    }

    /// Comes when the time is over.
    pub(super) async fn late(&self) {
        match self.end {
            Some(end) => sleep_until(end).await,
            None => pending().await,
        }
    }

    /// The time was over.
    pub(super) fn miss(&mut self) {
        self.missed = true;
    }

    /// The exit code, where this one says how the tasks ended.
    pub(super) fn code(&self, ended: u8) -> u8 {
        if self.missed && ended != super::KILLED {
            LATE
        } else {
            ended
        }
    }
}

const LATE: u8 = 124;
