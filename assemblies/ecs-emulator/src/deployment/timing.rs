//! The scale of time.

use std::time::Duration;

/// Divides the waits of AWS, so that a deployment of hours can be watched in minutes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Timing {
    divisor: f64,
}

impl Timing {
    /// Creates a scale; a divisor below 1 counts as 1.
    pub(crate) fn new(divisor: f64) -> Self {
        Self {
            divisor: divisor.max(1.0),
        }
    }

    /// Returns the time to wait instead of `wait`.
    pub(crate) fn scale(self, wait: Duration) -> Duration {
        wait.div_f64(self.divisor)
    }
}
