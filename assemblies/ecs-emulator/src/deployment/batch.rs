//! The batches of a rolling deployment.

/// The tasks of a service, without those that are being stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Tasks of the revision that the service moves to, without unhealthy ones.
    pub(super) target: u32,
    /// Those of them that are healthy.
    pub(super) target_healthy: u32,
    /// Healthy tasks of other revisions.
    pub(super) other_healthy: u32,
    /// Tasks of all revisions that are not healthy and not wanted: unhealthy ones, and pending ones of other
    /// revisions.
    pub(super) useless: u32,
}

/// How many tasks to start and to stop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Batch {
    /// Tasks of the target revision to start.
    pub(super) start: u32,
    /// Tasks to stop which are of no use.
    pub(super) stop_useless: u32,
    /// Healthy tasks of other revisions to stop.
    pub(super) stop_other: u32,
    /// Tasks of the target revision to stop.
    pub(super) stop_target: u32,
    /// Whether neither limit allows any progress.
    pub(super) is_stuck: bool,
}

/// The limits of a service, in tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    desired: u32,
    minimum_healthy: u32,
    maximum: u32,
}

impl Limits {
    /// Creates the limits. `minimumHealthyPercent` is rounded up, `maximumPercent` down (DeploymentConfiguration in
    /// the API reference).
    pub(super) fn new(desired: u32, minimum_healthy_percent: u32, maximum_percent: u32) -> Self {
        let product = |percent: u32| u64::from(desired) * u64::from(percent);
        Self {
            desired,
            minimum_healthy: product(minimum_healthy_percent).div_ceil(100) as u32,
            maximum: (product(maximum_percent) / 100) as u32,
        }
    }

    /// Returns the next batch.
    pub(super) fn batch(self, counts: Counts) -> Batch {
        let missing = self.desired.saturating_sub(counts.target);
        let total = counts.target + counts.other_healthy + counts.useless;
        let room = self.maximum.saturating_sub(total);
        let start = missing.min(room);

        // Tasks start first where there is room for them; an unhealthy task is replaced before it is stopped.
        let blocked = missing - start;
        let is_replaced = counts.target_healthy >= self.desired;
        let stop_useless = if is_replaced {
            counts.useless
        } else {
            counts.useless.min(blocked)
        };

        let healthy = counts.target_healthy + counts.other_healthy;
        // Each healthy task beyond the desired count replaces an old one.
        let surplus = healthy.saturating_sub(self.desired);
        // Without room, old tasks make way for new ones as long as enough stay.
        let above_minimum = healthy.saturating_sub(self.minimum_healthy);
        let wanted = surplus.max(blocked.saturating_sub(stop_useless).min(above_minimum));
        let stop_other = wanted.min(counts.other_healthy);
        let stop_target = counts.target.saturating_sub(self.desired);

        let stops = stop_useless + stop_other + stop_target;
        // Tasks that are not healthy yet may still become so, which makes room.
        let may_change = counts.target > counts.target_healthy;
        Batch {
            start,
            stop_useless,
            stop_other,
            stop_target,
            is_stuck: missing > 0 && start == 0 && stops == 0 && !may_change,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what to start, and what to stop of the other revisions.
    fn batch(percents: (u32, u32), desired: u32, counts: Counts) -> (u32, u32) {
        let batch = Limits::new(desired, percents.0, percents.1).batch(counts);
        (batch.start, batch.stop_other)
    }

    fn old(other_healthy: u32) -> Counts {
        Counts {
            other_healthy,
            ..Counts::default()
        }
    }

    #[test]
    fn starts_all_first_with_the_default_limits() {
        assert_eq!(batch((100, 200), 4, old(4)), (4, 0));
    }

    #[test]
    fn stops_an_old_task_for_each_healthy_new_one() {
        let counts = Counts {
            target: 4,
            target_healthy: 3,
            other_healthy: 4,
            useless: 0,
        };
        assert_eq!(batch((100, 200), 4, counts), (0, 3));
    }

    #[test]
    fn stops_first_without_room() {
        assert_eq!(batch((50, 100), 4, old(4)), (0, 2));
        assert_eq!(batch((0, 100), 4, old(4)), (0, 4));
    }

    #[test]
    fn rounds_the_minimum_up_and_the_maximum_down() {
        // 50 % of 3 are 1.5: 2 must stay; 150 % of 3 are 4.5: one more may start.
        assert_eq!(batch((50, 150), 3, old(3)), (1, 1));
    }

    #[test]
    fn recognizes_limits_that_allow_nothing() {
        assert!(Limits::new(4, 100, 100).batch(old(4)).is_stuck);
        assert!(Limits::new(1, 51, 150).batch(old(1)).is_stuck);
        assert!(!Limits::new(4, 100, 200).batch(old(4)).is_stuck);
    }

    #[test]
    fn replaces_an_unhealthy_task_before_it_is_stopped() {
        let limits = Limits::new(2, 100, 200);
        let counts = Counts {
            target: 1,
            target_healthy: 1,
            other_healthy: 0,
            useless: 1,
        };

        let batch = limits.batch(counts);
        assert_eq!((batch.start, batch.stop_useless), (1, 0));

        let counts = Counts {
            target: 2,
            target_healthy: 2,
            ..counts
        };

        assert_eq!(limits.batch(counts).stop_useless, 1);
    }

    #[test]
    fn stops_an_unhealthy_task_at_once_without_room() {
        let counts = Counts {
            useless: 1,
            ..Counts::default()
        };
        assert_eq!(Limits::new(1, 100, 100).batch(counts).stop_useless, 1);
    }
}
