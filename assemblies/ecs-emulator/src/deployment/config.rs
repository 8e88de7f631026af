//! The deployment configuration of a service.

use std::time::Duration;

use super::status::Stage;

/// A parsed and checked `deploymentConfiguration`. Times are those of AWS, before scaling.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DeploymentConfig {
    pub(crate) strategy: Strategy,
    pub(crate) minimum_healthy_percent: u32,
    pub(crate) maximum_percent: u32,
    pub(crate) breaker: BreakerConfig,
    pub(crate) alarms: AlarmConfig,
    /// How long both revisions run after the last traffic shift.
    pub(crate) bake: Duration,
    pub(crate) hooks: Vec<Hook>,
    pub(crate) early_success: Option<EarlySuccess>,
}

impl DeploymentConfig {
    /// Returns whether the source revision keeps its tasks until the end.
    pub(crate) fn keeps_source(&self) -> bool {
        self.strategy != Strategy::Rolling
    }
}

impl Default for DeploymentConfig {
    fn default() -> Self {
        Self {
            strategy: Strategy::Rolling,
            minimum_healthy_percent: 100,
            maximum_percent: 200,
            breaker: BreakerConfig::default(),
            alarms: AlarmConfig::default(),
            bake: Duration::ZERO,
            hooks: Vec::new(),
            early_success: None,
        }
    }
}

/// How traffic moves to a new revision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Strategy {
    /// Tasks are replaced in batches.
    Rolling,
    /// All traffic is shifted at once.
    BlueGreen,
    /// Traffic is shifted in equal steps.
    Linear { step_percent: f64, bake: Duration },
    /// A small share is shifted first, then the rest.
    Canary { percent: f64, bake: Duration },
}

impl Strategy {
    /// Returns the share of production traffic after the next step, in percent.
    pub(crate) fn next_weight(self, weight: f64) -> f64 {
        match self {
            // Steps are multiples of 0.1; without rounding ten of them would end at 99.99….
            Self::Linear { step_percent, .. } => {
                (((weight + step_percent) * 10.0).round() / 10.0).min(100.0)
            }
            Self::Canary { percent, .. } if weight < percent => percent,
            Self::Rolling | Self::BlueGreen | Self::Canary { .. } => 100.0,
        }
    }

    /// Returns the time between two steps.
    pub(crate) fn step_bake(self) -> Duration {
        match self {
            Self::Rolling | Self::BlueGreen => Duration::ZERO,
            Self::Linear { bake, .. } | Self::Canary { bake, .. } => bake,
        }
    }
}

/// The deployment circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BreakerConfig {
    pub(crate) is_enabled: bool,
    pub(crate) rolls_back: bool,
    /// Whether a task that becomes healthy resets the count of failures.
    pub(crate) resets_on_healthy: bool,
    pub(crate) threshold: Threshold,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            is_enabled: false,
            rolls_back: false,
            resets_on_healthy: true,
            threshold: Threshold::BoundedPercent(50),
        }
    }
}

/// The number of failed tasks that ends a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threshold {
    Count(u32),
    /// Percent of the desired count, at least 3 and at most 200.
    BoundedPercent(u32),
    UnboundedPercent(u32),
}

/// CloudWatch alarms that end a deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AlarmConfig {
    pub(crate) is_enabled: bool,
    pub(crate) rolls_back: bool,
    pub(crate) names: Vec<String>,
}

/// A lifecycle hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hook {
    /// The function to invoke; a hook without one pauses.
    pub(crate) function: Option<String>,
    pub(crate) stages: Vec<Stage>,
    pub(crate) timeout: Duration,
    pub(crate) timeout_action: TimeoutAction,
}

/// The answer to a hook, or the action when there was none in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeoutAction {
    Continue,
    Rollback,
}

impl TimeoutAction {
    /// Returns the value in the API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Continue => "CONTINUE",
            Self::Rollback => "ROLLBACK",
        }
    }
}

/// When a rolling deployment succeeds before all its tasks are healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EarlySuccess {
    pub(crate) healthy_percent: u32,
    pub(crate) cleanup: Cleanup,
}

/// Whether a deployment waits for the tasks of the source revisions to be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cleanup {
    Blocking,
    Deferred,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_steps_end_at_exactly_100_percent() {
        let strategy = Strategy::Linear {
            step_percent: 33.3,
            bake: Duration::ZERO,
        };
        let steps: Vec<f64> = std::iter::successors(Some(0.0), |weight| {
            (*weight < 100.0).then(|| strategy.next_weight(*weight))
        })
        .collect();
        assert_eq!(steps, [0.0, 33.3, 66.6, 99.9, 100.0]);
    }

    #[test]
    fn a_canary_has_two_steps() {
        let strategy = Strategy::Canary {
            percent: 5.0,
            bake: Duration::ZERO,
        };
        let weights = [0.0, 5.0].into_iter();
        let steps: Vec<f64> = weights.map(|weight| strategy.next_weight(weight)).collect();
        assert_eq!(steps, [5.0, 100.0]);
    }
}
