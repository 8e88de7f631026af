//! What goes differently on Fargate, or would go wrong there: a word about it, once.

use std::mem;
use std::time::Duration;

use super::Runner;
use super::member::Member;
use crate::What;
use crate::machine::{Condition, TaskStatus, Verdict};
use crate::system::hears_sigterm;

impl Runner {
    /// Without a namespace for each, nobody is PID 1.
    pub(super) fn tell_refusal(&mut self) {
        if !mem::replace(&mut self.refusal_told, true) {
            self.listener
                .hear(None, What::Warning(NO_NAMESPACE.to_owned()));
        }
    }

    /// Says who waits for something that cannot come, or has waited long without a limit.
    pub(super) fn tell_stuck(&mut self, now: Duration) {
        for index in 0..self.members.len() {
            if self.members[index].stuck_told {
                continue;
            }
            let Some(text) = self.stuck(index, now) else {
                continue;
            };
            let end = "on Fargate the task would hang for hours (containers-roadmap#2379); give it a startTimeout";

            self.listener.hear(
                Some(self.members[index].name()),
                What::Warning(format!("{text}: {end}")),
            );
            self.members[index].stuck_told = true;
        }

        self.hang_told |= now >= HANG;
    }

    fn stuck(&self, index: usize, now: Duration) -> Option<String> {
        let view = self.state.view(index)?;
        if view.status != TaskStatus::Pending {
            return None;
        }

        let Verdict::Waits(need) = self.state.verdict(index, now) else {
            return None;
        };
        let on = &self.state.spec().containers[need.on];

        if self.state.waits_for_ever(index, now).is_some() {
            let name = &on.name;
            return Some(format!("waits for `{name}` to be healthy, which has ended"));
        }

        let is_late = now >= HANG && !self.hang_told;
        let has_limit = need.condition == Condition::Start || on.start_timeout.is_some();
        (is_late && !has_limit)
            .then(|| format!("still waits for `{}` {}", on.name, need.condition.word()))
    }

    /// As PID 1, which it is on Fargate, a process without a handler does not hear SIGTERM.
    pub(super) fn warn_without_handler(&self, container: usize, now: Duration) {
        let member = &self.members[container];
        let has_settled = |since| now.saturating_sub(since) >= SETTLED;
        if !member.up_since.is_some_and(has_settled)
            || member.pid.and_then(hears_sigterm) != Some(false)
            || member.is_told_to_stop_otherwise()
        {
            return;
        }

        let text = format!(
            "has no handler for SIGTERM: as PID 1, which it is on Fargate, it does not hear the signal, and is \
             killed after {} s with exit code 137",
            member.report.stop_timeout.as_secs()
        );
        self.listener.hear(Some(member.name()), What::Warning(text));
    }
}

impl Member {
    /// Its image names another signal, or an init of its own is PID 1.
    fn is_told_to_stop_otherwise(&self) -> bool {
        let image = self.program.image.as_ref();
        let linux = self.definition.linux_parameters.as_ref();
        image.is_some_and(|image| image.stop_signal.is_some())
            || linux.and_then(|linux| linux.init_process_enabled) == Some(true)
    }
}

const NO_NAMESPACE: &str = "this machine gives out no PID namespaces: a program without a handler for \
                            SIGTERM ends here at once, but not on Fargate, where it is PID 1";

/// Younger than this a process may not have come to its handler yet: nothing is known about it.
const SETTLED: Duration = Duration::from_secs(1);
/// After this long a wait without a limit deserves a word.
pub(super) const HANG: Duration = Duration::from_secs(30);
