//! What `--wait`, `--until-ready` and `--timeout` ask of all replicas together.

use std::future::pending;

use tokio::time::{Instant, sleep_until};

use crate::Options;
use crate::session::SMOKE_TEST_TIMEOUT;

/// The condition and the timeout.
#[derive(Debug)]
pub(super) struct WaitCondition {
    is_smoke_test: bool,
    must_become_ready: bool,
    deadline: Option<Instant>,
    is_expired: bool,
}

impl WaitCondition {
    /// Creates the condition from the options; the timeout starts now.
    pub(super) fn new(options: &Options) -> Self {
        let is_smoke_test = options.until_ready || options.until_healthy;
        let limit = options
            .timeout
            .or(is_smoke_test.then_some(SMOKE_TEST_TIMEOUT));
        Self {
            is_smoke_test,
            must_become_ready: is_smoke_test || options.wait,
            deadline: limit.map(|limit| Instant::now() + limit),
            is_expired: false,
        }
    }

    /// Returns whether the run ends once all replicas have been ready.
    pub(super) fn is_smoke_test(&self) -> bool {
        self.is_smoke_test
    }

    /// Returns whether the caller waits until all replicas are ready.
    pub(super) fn must_become_ready(&self) -> bool {
        self.must_become_ready
    }

    /// Waits for the timeout.
    pub(super) async fn wait_until_expired(&self) {
        match self.deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => pending().await,
        }
    }

    /// Records that the timeout has passed.
    pub(super) fn set_expired(&mut self) {
        self.is_expired = true;
    }

    /// Returns the exit code, given the one of the replicas.
    pub(super) fn code(&self, exit_code: u8) -> u8 {
        // A kill wins over a timeout.
        if self.is_expired && exit_code != super::KILLED {
            TIMED_OUT
        } else {
            exit_code
        }
    }
}

/// Exit code of `timeout` of coreutils.
const TIMED_OUT: u8 = 124;
