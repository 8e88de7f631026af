//! What comes in, in the machine's words: the news of runs and probes, and somebody's wishes.

use std::mem;
use std::time::Duration;

use super::Runner;
use crate::Control;
use crate::machine::{Event, ExitCode, Outcome, StopCode};
use crate::probe::Answer;
use crate::process::News;

/// What the tasks of the runner send to it.
pub(super) enum Message {
    News(usize, News),
    Probed {
        container: usize,
        run: u32,
        began: Duration,
        answer: Answer,
    },
}

impl Runner {
    /// What somebody's wish is to the machine.
    pub(super) fn asked(&self, control: Option<Control>) -> Event {
        match control {
            Some(Control::Stop { code, reason }) => Event::StopRequested { code, reason },
            Some(Control::Kill { reason }) => Event::KillRequested { reason },
            Some(Control::Replace { container }) => {
                let mut members = self.members.iter();
                let at = members.position(|one| one.definition.name == container);
                at.map_or(Event::Tick, |container| Event::ReplaceRequested {
                    container,
                })
            }
            None => Event::StopRequested {
                code: StopCode::UserInitiated,
                reason: "Task stopped: nobody holds its controls".into(),
            },
        }
    }

    /// What a message is to the machine.
    pub(super) fn event(&mut self, message: Message) -> Event {
        match message {
            Message::News(container, News::Started { pid, refused, told }) => {
                if refused {
                    self.tell_refusal();
                }

                let member = &mut self.members[container];
                (member.pid, member.told) = (Some(pid), Some(told));
                member.report.processor_time += mem::take(&mut member.spent_now);
                Event::Spawned { container }
            }
            Message::News(container, News::Failed { reason }) => {
                Event::SpawnFailed { container, reason }
            }
            Message::News(container, News::Exited { code }) => self.exited(container, code),
            Message::Probed {
                container,
                run,
                began,
                answer,
            } => {
                let member = &mut self.members[container];
                (member.said, member.probe_code) = (answer.output, answer.code);
                let outcome = if answer.passed {
                    Outcome::Passed
                } else {
                    Outcome::Failed
                };

                Event::Probed {
                    container,
                    run,
                    began,
                    outcome,
                }
            }
        }
    }

    /// A run that the kernel has killed for its memory is told from one that somebody has killed.
    fn exited(&mut self, container: usize, code: Option<ExitCode>) -> Event {
        let member = &mut self.members[container];
        if let Some(groups) = &self.plan.groups {
            let killed = groups.killed(&member.definition.name);
            let more = killed > mem::replace(&mut member.killed_by_kernel, killed);
            member.out_of_memory |= more && code == Some(137);
        }

        (member.orders, member.probe, member.pid) = (None, None, None);
        Event::Exited {
            container,
            code,
            out_of_memory: mem::take(&mut member.out_of_memory),
        }
    }
}
