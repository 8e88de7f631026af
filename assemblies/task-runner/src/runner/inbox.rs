//! Translates process events, probe results and commands into events of the machine.

use std::mem;
use std::time::Duration;

use super::Runner;
use crate::Control;
use crate::machine::{Event, ExitCode, Outcome, StopCode};
use crate::probe::ProbeResult;
use crate::process::ProcessEvent;

/// A message from a spawned task to the runner.
pub(super) enum Message {
    Process(usize, ProcessEvent),
    Probed {
        container: usize,
        run: u32,
        began: Duration,
        result: ProbeResult,
    },
}

impl Runner {
    /// Translates a command. `None`, a closed channel, stops the task.
    pub(super) fn control_event(&self, control: Option<Control>) -> Event {
        match control {
            Some(Control::Stop { code, reason }) => Event::StopRequested { code, reason },
            Some(Control::Kill { reason }) => Event::KillRequested { reason },
            Some(Control::Replace { container }) => {
                let mut containers = self.containers.iter();
                let at = containers.position(|managed| managed.definition.name == container);
                // An unknown name changes nothing: the caller's view may be out of date.
                at.map_or(Event::Tick, |container| Event::ReplaceRequested {
                    container,
                })
            }
            None => Event::StopRequested {
                code: StopCode::UserInitiated,
                reason: "Task stopped: its control channel was closed".into(),
            },
        }
    }

    /// Translates a message from a process or a probe.
    pub(super) fn message_event(&mut self, message: Message) -> Event {
        match message {
            Message::Process(
                container,
                ProcessEvent::Started {
                    pid,
                    lacks_pid_namespace,
                    output_gate,
                },
            ) => {
                if lacks_pid_namespace {
                    self.warn_no_pid_namespace();
                }

                let managed = &mut self.containers[container];
                (managed.pid, managed.output_gate) = (Some(pid), Some(output_gate));
                // The time of the previous run; the counter starts at zero again.
                managed.report.cpu_time += mem::take(&mut managed.current_cpu_time);
                Event::Spawned { container }
            }
            Message::Process(container, ProcessEvent::Failed { reason }) => {
                Event::SpawnFailed { container, reason }
            }
            Message::Process(container, ProcessEvent::Exited { code }) => {
                self.exit_event(container, code)
            }
            Message::Probed {
                container,
                run,
                began,
                result,
            } => {
                let managed = &mut self.containers[container];
                (managed.probe_output, managed.probe_code) = (result.output, result.code);
                let outcome = if result.passed {
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

    /// Distinguishes an out-of-memory kill by the kernel from any other SIGKILL.
    fn exit_event(&mut self, container: usize, code: Option<ExitCode>) -> Event {
        let managed = &mut self.containers[container];
        if let Some(cgroups) = &self.plan.cgroups {
            // The counter is cumulative over all runs of the container.
            let kills = cgroups.oom_kills(&managed.definition.name);
            let has_increased = kills > mem::replace(&mut managed.oom_kills, kills);
            // The kernel may kill a child only: that is not the exit of the container.
            managed.out_of_memory |= has_increased && code == Some(137);
        }

        (managed.commands, managed.probe, managed.pid) = (None, None, None);
        Event::Exited {
            container,
            code,
            out_of_memory: mem::take(&mut managed.out_of_memory),
        }
    }
}
