//! Moves a deployment from stage to stage, and rolls it back.

use std::time::Duration;

use super::config::{Cleanup, Strategy};
use super::hooks::{self, HookResult};
use super::scheduler::{
    Action, Deployment, Note, OnFailure, Outcome, Phase, Rollback, Scheduler, Task, Time,
};
use super::status::{Stage, Status};

impl Scheduler {
    /// Moves the deployment on, if it can. Returns whether it may be able to move again.
    pub(super) fn advance(&mut self, now: Time, actions: &mut Vec<Action>) -> bool {
        let Some(deployment) = self.current() else {
            return false;
        };

        // A rollback has no stages and no hooks.
        if deployment.status == Status::RollbackInProgress {
            self.finish_rollback(now, actions);
            return false;
        }

        match self.check_hooks(now) {
            HookResult::Waiting => return false,
            HookResult::Failed => {
                let reason = "A lifecycle hook ended the service deployment.";
                self.fail(reason, OnFailure::RollBack, now, actions);
                return true;
            }
            HookResult::TimedOut => {
                let reason = "A lifecycle hook timed out.";
                self.fail(reason, OnFailure::RollBack, now, actions);
                return true;
            }
            HookResult::Continue => {}
        }

        self.shift_traffic(now);
        if !self.is_stage_done(now) {
            return false;
        }

        self.enter_next_stage(now, actions);
        true
    }

    /// Creates the hooks of the stage and returns their result.
    fn check_hooks(&mut self, now: Time) -> HookResult {
        let (timing, first) = (self.timing, self.next_hook);
        let has_source = self.has_source();
        let Some(deployment) = self.current_mut() else {
            return HookResult::Waiting;
        };

        // Hooks are created once per stage, and their timeouts begin then.
        if deployment.has_hooks {
            return hooks::check(&mut deployment.hooks, now);
        }

        deployment.has_hooks = true;
        // The reconciliation stage is only for services that have another revision (DeploymentLifecycleHook).
        if deployment.stage != Stage::Reconcile || has_source {
            let all = hooks::hooks_of(&deployment.config, deployment.stage, first, timing, now);
            deployment.hooks = all;
        }

        let count = deployment.hooks.len() as u64;
        let result = hooks::check(&mut deployment.hooks, now);
        self.next_hook += count;
        result
    }

    /// Shifts the traffic of the stage, once.
    fn shift_traffic(&mut self, now: Time) {
        let has_source = self.has_source();
        let Some(deployment) = self.current_mut() else {
            return;
        };

        if deployment.effect_at.is_some() {
            return;
        }

        // Waits of the stage begin here: after its hooks, not before.
        deployment.effect_at = Some(now);
        match deployment.stage {
            Stage::TestTrafficShift => deployment.test_weight = 100.0,
            Stage::ProductionTrafficShift if has_source => {
                let weight = deployment.production_weight;
                deployment.production_weight = deployment.config.strategy.next_weight(weight);
            }
            // The first revision gets everything at once.
            Stage::ProductionTrafficShift => deployment.production_weight = 100.0,
            _ => {}
        }
    }

    fn is_stage_done(&self, now: Time) -> bool {
        let Some(deployment) = self.current() else {
            return false;
        };

        let since = deployment.effect_at.unwrap_or(now);
        let has_waited = |wait: Duration| now >= since + self.timing.scale(wait);

        match deployment.stage {
            // Tasks of a deployment that this one replaces must be gone before traffic moves.
            Stage::Reconcile => self.count_others(deployment) == 0,
            Stage::ScaleUp => {
                self.count_healthy(deployment.target) >= self.healthy_goal(deployment)
            }
            // There is no step bake time after the last step (LinearConfiguration in the API reference).
            Stage::ProductionTrafficShift if deployment.production_weight < 100.0 => {
                has_waited(deployment.config.strategy.step_bake())
            }
            // Both revisions bake, so the first one does not.
            Stage::BakeTime => !self.has_source() || has_waited(deployment.config.bake),
            Stage::CleanUp => self.is_clean(deployment),
            _ => true,
        }
    }

    /// Returns how many tasks of the target must be healthy before the next stage.
    fn healthy_goal(&self, deployment: &Deployment) -> u32 {
        let percent = deployment
            .config
            .early_success
            .map_or(100, |early| early.healthy_percent);
        (u64::from(self.desired) * u64::from(percent)).div_ceil(100) as u32
    }

    fn is_clean(&self, deployment: &Deployment) -> bool {
        let early = deployment.config.early_success;
        let defers = early.is_some_and(|early| early.cleanup == Cleanup::Deferred);
        let is_gone = |task: &Task| task.revision == deployment.target;
        // DEFERRED: the tasks are removed after the deployment (sourceServiceRevisionCleanup).
        defers || self.tasks.values().all(is_gone)
    }

    fn enter_next_stage(&mut self, now: Time, actions: &mut Vec<Action>) {
        let Some(deployment) = self.current_mut() else {
            return;
        };
        let Some(next) = next_stage(deployment) else {
            self.complete(now, actions);
            return;
        };

        (deployment.stage, deployment.updated_at) = (next, now);
        (deployment.effect_at, deployment.has_hooks) = (None, false);
        deployment.hooks.clear();
    }

    fn complete(&mut self, now: Time, actions: &mut Vec<Action>) {
        let Some(deployment) = self.current_mut() else {
            return;
        };

        deployment.end(Status::Successful, now);
        // A rolling deployment has no traffic steps, but ends with all traffic too.
        (deployment.production_weight, deployment.test_weight) = (100.0, 100.0);

        let revision = deployment.target;
        self.stable = Some(revision);
        actions.push(Action::Report(Note::Completed { revision }));
        actions.push(Action::Publish {
            revision,
            outcome: Outcome::Completed,
            reason: "completed".to_owned(),
        });
    }

    /// Ends the deployment in progress as failed; it is rolled back if that is wanted and possible.
    pub(super) fn fail(
        &mut self,
        reason: &str,
        on_failure: OnFailure,
        now: Time,
        actions: &mut Vec<Action>,
    ) {
        let Some(deployment) = self.current_mut() else {
            return;
        };

        // It fails once: a rollback that is under way goes on.
        if deployment.status != Status::InProgress {
            return;
        }

        let number = deployment.number;
        deployment.reason = Some(reason.to_owned());
        deployment.updated_at = now;
        deployment.hooks.clear();
        // The source revision gets all traffic at once.
        (deployment.production_weight, deployment.test_weight) = (0.0, 0.0);
        actions.push(Action::Report(Note::Failed { deployment: number }));
        actions.push(Action::Publish {
            revision: deployment.target,
            outcome: Outcome::Failed,
            reason: reason.to_owned(),
        });

        // Without a completed deployment there is nothing to go back to; then no more tasks are started.
        let source = deployment
            .source
            .filter(|_| on_failure == OnFailure::RollBack);
        let Some(revision) = source else {
            deployment.end(Status::Stopped, now);
            deployment.stopped_at = Some(now);
            return;
        };

        deployment.status = Status::RollbackInProgress;
        deployment.rollback = Some(Rollback {
            reason: reason.to_owned(),
            started_at: now,
            revision,
        });

        actions.push(Action::Report(Note::RollingBack { revision }));
    }

    fn finish_rollback(&mut self, now: Time, actions: &mut Vec<Action>) {
        let (Some(stable), desired) = (self.stable, self.desired) else {
            return;
        };

        // The old revision may have lost tasks meanwhile.
        let is_back = self.count_healthy(stable) >= desired;
        let is_clean = self.tasks.values().all(|task| task.revision == stable);
        let Some(deployment) = self.current_mut().filter(|_| is_back && is_clean) else {
            return;
        };

        deployment.end(Status::RollbackSuccessful, now);
        actions.push(Action::Report(Note::Completed { revision: stable }));
        actions.push(Action::Publish {
            revision: stable,
            outcome: Outcome::Completed,
            reason: "rolled back".to_owned(),
        });
    }

    /// Returns whether the deployment replaces another revision.
    pub(super) fn has_source(&self) -> bool {
        self.current()
            .is_some_and(|deployment| deployment.source.is_some())
    }

    pub(super) fn count_healthy(&self, revision: u64) -> u32 {
        let is_healthy = |task: &&Task| task.revision == revision && task.phase == Phase::Healthy;
        self.tasks.values().filter(is_healthy).count() as u32
    }

    /// Counts the tasks of revisions that are neither the source nor the target, e.g. of a deployment that this one
    /// replaces.
    fn count_others(&self, deployment: &Deployment) -> usize {
        // A rolling deployment replaces tasks of all revisions in its batches.
        if deployment.config.strategy == Strategy::Rolling {
            return 0;
        }
        let is_other =
            |revision: u64| revision != deployment.target && Some(revision) != deployment.source;
        self.tasks
            .values()
            .filter(|task| is_other(task.revision))
            .count()
    }
}

/// Returns the stage after the current one, or `None` after the last.
fn next_stage(deployment: &Deployment) -> Option<Stage> {
    let is_rolling = deployment.config.strategy == Strategy::Rolling;
    Some(match deployment.stage {
        Stage::Reconcile => Stage::PreScaleUp,
        Stage::PreScaleUp => Stage::ScaleUp,
        Stage::ScaleUp => Stage::PostScaleUp,
        Stage::PostScaleUp if is_rolling => Stage::BakeTime,
        Stage::PostScaleUp => Stage::TestTrafficShift,
        Stage::TestTrafficShift => Stage::PostTestTrafficShift,
        Stage::PostTestTrafficShift => Stage::PreProductionTrafficShift,
        Stage::PreProductionTrafficShift => Stage::ProductionTrafficShift,
        // Each step of the shift has its hooks.
        Stage::ProductionTrafficShift if deployment.production_weight < 100.0 => {
            Stage::PreProductionTrafficShift
        }
        Stage::ProductionTrafficShift => Stage::PostProductionTrafficShift,
        Stage::PostProductionTrafficShift => Stage::BakeTime,
        Stage::BakeTime => Stage::CleanUp,
        Stage::CleanUp => return None,
    })
}
