//! The deployment circuit breaker.

use super::config::{BreakerConfig, Threshold};

/// What the circuit breaker has counted in one deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BreakerState {
    config: BreakerConfig,
    failures: u32,
    is_triggered: bool,
}

impl BreakerState {
    /// Creates the state of a new deployment.
    pub(crate) fn new(config: BreakerConfig) -> Self {
        Self {
            config,
            failures: 0,
            is_triggered: false,
        }
    }

    /// Counts a failed task. Returns whether this ends the deployment.
    pub(crate) fn record_failure(&mut self, desired: u32) -> bool {
        self.failures = self.failures.saturating_add(1);
        let trips = self.config.is_enabled
            && !self.is_triggered
            && self.failures >= self.threshold(desired);
        self.is_triggered |= trips;
        trips
    }

    /// Records that a task has become healthy.
    pub(crate) fn record_healthy(&mut self) {
        if self.config.resets_on_healthy && !self.is_triggered {
            self.failures = 0;
        }
    }

    /// Returns the number of failures that ends a deployment.
    ///
    /// Source: "How the Amazon ECS deployment circuit breaker detects failures", and ThresholdConfiguration of the
    /// API reference. Without a bound the result is at least 1, since no failure is no reason to fail.
    pub(crate) fn threshold(&self, desired: u32) -> u32 {
        let percent = |value: u32| (u64::from(desired) * u64::from(value)).div_ceil(100);
        match self.config.threshold {
            Threshold::Count(count) => count,
            Threshold::BoundedPercent(value) => percent(value).clamp(3, 200) as u32,
            Threshold::UnboundedPercent(value) => percent(value).clamp(1, u32::MAX.into()) as u32,
        }
    }

    /// Returns the failures since the start, or since a task became healthy.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Returns whether a failure of the deployment rolls it back.
    pub(crate) fn rolls_back(&self) -> bool {
        self.config.rolls_back
    }

    /// Returns the status in the API.
    pub(crate) fn status(&self, has_ended: bool) -> &'static str {
        match (self.config.is_enabled, self.is_triggered) {
            (false, _) => "DISABLED",
            (true, true) => "TRIGGERED",
            (true, false) if has_ended => "MONITORING_COMPLETE",
            (true, false) => "MONITORING",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker(threshold: Threshold) -> BreakerState {
        BreakerState::new(BreakerConfig {
            is_enabled: true,
            threshold,
            ..BreakerConfig::default()
        })
    }

    #[test]
    fn the_default_threshold_is_half_of_the_desired_count_between_3_and_200() {
        let breaker = breaker(Threshold::BoundedPercent(50));
        let thresholds = [0, 1, 6, 7, 25, 400, 1000].map(|desired| breaker.threshold(desired));
        assert_eq!(thresholds, [3, 3, 3, 4, 13, 200, 200]);
    }

    #[test]
    fn other_thresholds_have_no_bounds() {
        assert_eq!(breaker(Threshold::Count(1)).threshold(50), 1);
        assert_eq!(breaker(Threshold::UnboundedPercent(10)).threshold(10), 1);
        assert_eq!(
            breaker(Threshold::UnboundedPercent(100)).threshold(900),
            900
        );
        assert_eq!(breaker(Threshold::UnboundedPercent(50)).threshold(0), 1);
    }

    #[test]
    fn trips_once_at_the_threshold() {
        let mut breaker = breaker(Threshold::Count(2));
        assert!(!breaker.record_failure(1));
        assert!(breaker.record_failure(1));
        assert!(!breaker.record_failure(1));
        assert_eq!(breaker.status(true), "TRIGGERED");
    }

    #[test]
    fn a_healthy_task_resets_the_count() {
        let mut breaker = breaker(Threshold::Count(2));
        breaker.record_failure(1);
        breaker.record_healthy();
        assert!(!breaker.record_failure(1));
        assert_eq!(breaker.failures(), 1);
    }

    #[test]
    fn counts_on_without_reset() {
        let mut breaker = BreakerState::new(BreakerConfig {
            is_enabled: true,
            resets_on_healthy: false,
            threshold: Threshold::Count(2),
            ..BreakerConfig::default()
        });
        breaker.record_failure(1);
        breaker.record_healthy();
        assert!(breaker.record_failure(1));
    }

    #[test]
    fn a_disabled_breaker_only_counts() {
        let mut breaker = BreakerState::new(BreakerConfig::default());
        assert!((0..500).all(|_| !breaker.record_failure(1)));
        assert_eq!(
            (breaker.failures(), breaker.status(false)),
            (500, "DISABLED")
        );
    }
}
