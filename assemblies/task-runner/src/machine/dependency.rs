//! When a container may start, and when it never will.

use super::{Action, Change, Condition, Member, Need, Phase, State, TaskStatus, UNRESOLVED};
use std::time::Duration;

/// What a container's dependencies say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All conditions hold.
    Ready,
    /// This one does not hold yet.
    Waits(Need),
    /// One can never hold; the sentence says which and why.
    Never(String),
}

impl State {
    /// Whether a waiting container may start now; conditions are looked at in the order written.
    pub fn verdict(&self, container: usize, now: Duration) -> Verdict {
        let needs = self
            .spec
            .containers
            .get(container)
            .map_or(&[][..], |c| &c.depends_on);

        for need in needs {
            if let Some(why) = self.impossible(*need, now) {
                return Verdict::Never(why);
            }
            if !self.holds(*need) {
                return Verdict::Waits(*need);
            }
        }

        Verdict::Ready
    }

    /// Ends one container that can never start, or else starts all that can: the end of an
    /// essential one is the end of the task, and nothing more may start.
    pub(super) fn advance_start(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let waiting = (0..self.members.len()).filter(|one| self.members[*one].waits());
        let verdicts: Vec<_> = waiting.map(|one| (one, self.verdict(one, now))).collect();
        for (container, verdict) in &verdicts {
            if let Verdict::Never(why) = verdict {
                let reason = format!("CannotStartContainerError: dependency graph: {why}");
                return self.end(*container, Some(UNRESOLVED), Some(reason), actions);
            }
        }

        for (container, verdict) in verdicts {
            if verdict == Verdict::Ready {
                self.members[container].phase = Phase::Starting;
                actions.push(Action::Publish(Change::Starting { container }));
                actions.push(Action::Spawn { container });
            }
        }
    }

    /// When a `startTimeout` that somebody waits under will be over.
    pub(super) fn start_deadlines(&self) -> impl Iterator<Item = Duration> + '_ {
        let waiting = (self.spec.containers.iter().zip(&self.members))
            .filter(|(_, member)| self.stop.is_none() && member.phase == Phase::Waiting);
        waiting.flat_map(move |(spec, _)| {
            let mut blocked = false;
            let reached = spec.depends_on.iter().take_while(move |need| {
                let first = !blocked;
                blocked |= !self.holds(**need);
                first
            });
            reached.filter_map(|need| self.timeout(*need))
        })
    }

    fn holds(&self, need: Need) -> bool {
        let on = &self.members[need.on];
        match need.condition {
            Condition::Start => on.known() >= TaskStatus::Running,
            Condition::Complete => on.phase == Phase::Stopped && on.exit.is_some(),
            Condition::Success => on.phase == Phase::Stopped && on.exit == Some(0),
            Condition::Healthy => on.phase != Phase::Stopped && on.probes.healthy(),
        }
    }

    fn impossible(&self, need: Need, now: Duration) -> Option<String> {
        let (spec, on) = (&self.spec.containers[need.on], &self.members[need.on]);
        let (name, condition) = (&spec.name, need.condition);
        if on.phase == Phase::Stopped {
            return match (on.first_run, condition, on.exit) {
                (None, ..) => Some(format!("dependency `{name}` did not start and never will")),
                (_, Condition::Success, Some(0)) => None,
                (_, Condition::Success, Some(code)) => Some(format!(
                    "dependency `{name}` had to succeed and exited {code}"
                )),
                (_, Condition::Success, None) => Some(format!(
                    "dependency `{name}` had to succeed and its exit code is unknown"
                )),
                _ => None,
            };
        }

        // The agent looks at the clock before it looks at the condition: a dependency that is
        // healthy by now has timed out all the same while the dependent waits for another one.
        let over = self.timeout(need).is_some_and(|at| now >= at);
        let limit = spec.start_timeout.unwrap_or_default().as_secs_f32();
        over.then(|| {
            format!(
                "dependency `{name}` has timed out: not {} {limit} s after its start",
                condition.word()
            )
        })
    }

    /// The timeout belongs to the dependency and counts from its own start.
    fn timeout(&self, need: Need) -> Option<Duration> {
        let (spec, on) = (&self.spec.containers[need.on], &self.members[need.on]);
        let counts = need.condition != Condition::Start && on.phase != Phase::Stopped;
        counts.then_some(())?;
        Some(on.first_run? + spec.start_timeout?)
    }

    /// A container that waits for the health of one that has ended: on Fargate it waits for ever.
    pub fn waits_for_ever(&self, container: usize, now: Duration) -> Option<Need> {
        let waiting = self.members.get(container).is_some_and(Member::waits);
        match self.verdict(container, now) {
            Verdict::Waits(need) if waiting && self.members[need.on].phase == Phase::Stopped => {
                Some(need)
            }
            _ => None,
        }
    }
}

impl Member {
    fn waits(&self) -> bool {
        self.phase == Phase::Waiting
    }
}
