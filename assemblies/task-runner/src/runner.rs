//! The loop around the machine: performs its actions and reports events to it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use crate::container_log::CombinedLog;
use crate::launch::Launch;
use crate::machine::{Action, Event, Health, State, Stop, TaskStatus, step};
use crate::probe::run_command;
use crate::process::{ProcessCommand, supervise};
use crate::sandbox::Overlay;
use crate::system::POLL_INTERVAL;
use crate::{Control, RunError, RunPlan, RunnerEvent, TaskReport};

mod container;
mod event_sender;
mod inbox;
mod limits;
mod publish;
mod warnings;

use container::ManagedContainer;
use event_sender::EventSender;
use inbox::Message;
use warnings::HANG_WARNING_DELAY;

/// Runs a task until all its containers have ended.
///
/// Events go to `events`. If the receiver falls behind, lines of output are dropped first; the task never
/// waits for it. The task ends by itself, by [`Control`], or when the sender of controls is dropped, which
/// stops it in order.
pub async fn run(
    plan: RunPlan,
    events: mpsc::Sender<RunnerEvent>,
    control: mpsc::Receiver<Control>,
) -> Result<TaskReport, RunError> {
    let state = State::new(plan.spec()?);
    plan.make_folders()?;
    let (post, inbox) = mpsc::channel(INBOX_QUEUE);
    let event_sender = EventSender::new(events);
    let logs = |source| RunError::Logs {
        folder: plan.folder.clone(),
        source,
    };
    let combined_log = CombinedLog::open(&plan.folder).map_err(logs)?;
    let containers = (plan.definition.container_definitions.iter())
        .map(|definition| ManagedContainer::new(definition, &plan, &combined_log, &event_sender))
        .collect::<Result<_, _>>()?;

    let runner = Runner {
        state,
        containers,
        event_sender,
        plan,
        post,
        tasks: JoinSet::new(),
        stop: None,
        was_running: false,
        health: Health::Unknown,
        hang_warned: false,
        namespace_warned: false,
    };

    let folder = runner.plan.folder.clone();
    let report = runner.run(inbox, control).await;

    // As on Fargate, the writable layer of a container does not outlive the task.
    remove_overlays(&folder);
    Ok(report)
}

/// Deletes the writable layers of a run, which a killed runner leaves behind.
pub fn remove_overlays(folder: &Path) {
    Overlay::remove_all(folder);
}

struct Runner {
    plan: RunPlan,
    state: State,
    containers: Vec<ManagedContainer>,
    event_sender: EventSender,
    post: mpsc::Sender<Message>,
    tasks: JoinSet<()>,
    stop: Option<Stop>,
    was_running: bool,
    health: Health,
    hang_warned: bool,
    namespace_warned: bool,
}

impl Runner {
    async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Message>,
        mut control: mpsc::Receiver<Control>,
    ) -> TaskReport {
        let mut event = Event::Tick;
        let mut is_controlled = true;
        let mut polls = interval(POLL_INTERVAL);
        // Samples measure time themselves; catching up on missed ones would only cost CPU.
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);

        loop {
            let deadline = self.step(event);
            if self.state.status() == TaskStatus::Stopped {
                break;
            }

            // Without a deadline any wake-up is as good: it only sends a tick.
            let far_future = Duration::from_hours(1);
            let wake = self.event_sender.started_at + deadline.unwrap_or(far_future);
            event = tokio::select! {
                                    Some(message) = inbox.recv() => self.message_event(message),
                                    command = control.recv(), if is_controlled => {
                                        // A closed channel is always ready; polling it again would spin.
                                        is_controlled = command.is_some();
                                        self.control_event(command)
            }
                            () = sleep_until(wake) => Event::Tick,
                                    _ = polls.tick() => {
                                self.check_memory();
                                Event::Tick
                            }
                                    // Reaps finished tasks, so that the set does not grow with every probe.
                                    Some(_) = self.tasks.join_next() => Event::Tick,
                        };
        }

        // Only probes are left, and the stop has already cancelled them.
        while self.tasks.join_next().await.is_some() {}
        self.finish()
    }

    fn step(&mut self, event: Event) -> Option<Duration> {
        let now = self.event_sender.started_at.elapsed();
        let (state, actions, mut deadline) = step(self.state.clone(), event, now);
        self.state = state;
        for action in actions {
            self.act(action, now);
        }

        // Starts are published by now: their output may be read, so that no line precedes its start.
        self.containers
            .iter_mut()
            .for_each(|container| container.output_gate = None);
        self.publish_health();
        self.warn_stuck(now);
        if self.state.status() == TaskStatus::Pending && !self.hang_warned {
            // Wakes up for the warning, even if the machine waits for nothing.
            deadline = Some(
                deadline
                    .unwrap_or(HANG_WARNING_DELAY)
                    .min(HANG_WARNING_DELAY),
            );
        }

        deadline
    }

    fn act(&mut self, action: Action, now: Duration) {
        match action {
            Action::Spawn { container } => self.spawn(container),
            Action::Terminate { container } => {
                self.warn_without_handler(container, now);
                self.containers[container].send_command(ProcessCommand::Terminate);
            }
            Action::Kill { container } => {
                self.containers[container].send_command(ProcessCommand::Kill);
            }
            Action::Probe {
                container,
                run,
                timeout,
            } => {
                self.probe(container, run, timeout, now);
            }
            Action::Publish(change) => self.publish(change, now),
        }
    }

    fn spawn(&mut self, container: usize) {
        let managed = &mut self.containers[container];
        let (commands, received) = mpsc::channel(COMMAND_QUEUE);
        managed.commands = Some(commands);
        let launch = Launch::container(&self.plan, &managed.definition, &managed.program);
        let (container_log, post) = (Arc::clone(&managed.container_log), self.post.clone());
        self.tasks.spawn(async move {
            // The send fails only after the runner has ended, and it outlives every container.
            let report =
                |event| async { drop(post.send(Message::Process(container, event)).await) };
            supervise(launch, container_log, received, report).await;
        });
    }

    fn probe(&mut self, container: usize, run: u32, limit: Duration, began: Duration) {
        let managed = &mut self.containers[container];
        let Some(check) = &managed.definition.health_check else {
            return;
        };
        // Dropping `cancel` when the container stops or restarts ends the probe.
        let (cancel, cancelled) = oneshot::channel::<()>();

        managed.probe = Some(cancel);
        let launch = Launch::command(
            &self.plan,
            &managed.definition,
            &managed.program,
            &check.command,
            managed.pid,
        );

        let post = self.post.clone();
        self.tasks.spawn(async move {
            let result = run_command(&launch, limit, async { drop(cancelled.await) }).await;
            let _ = post
                .send(Message::Probed {
                    container,
                    run,
                    began,
                    result,
                })
                .await;
        });
    }

    fn finish(self) -> TaskReport {
        let (stop, containers) = (self.stop, self.containers);
        let cause = stop.as_ref().and_then(|stop| stop.cause);
        TaskReport {
            cause: cause.map(|index| containers[index].definition.name.clone()),
            stop_code: stop.as_ref().map(|stop| stop.code),
            stopped_reason: stop.map_or_else(String::new, |stop| stop.reason),
            was_running: self.was_running,
            containers: containers
                .into_iter()
                .map(ManagedContainer::into_report)
                .collect(),
            dropped_events: self.event_sender.dropped_events(),
        }
    }
}

const INBOX_QUEUE: usize = 64;
/// A run receives at most one terminate and one kill.
const COMMAND_QUEUE: usize = 4;
