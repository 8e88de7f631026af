//! The loop around the machine: what it wants is done, what happens is told to it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use crate::journal::Together;
use crate::launch::Launch;
use crate::machine::{Action, Event, Health, State, Stop, TaskStatus, step};
use crate::probe::ask;
use crate::process::{Order, tend};
use crate::sandbox::Layers;
use crate::system::LOOK;
use crate::{Control, Finished, RunError, RunPlan, RunnerEvent};

mod inbox;
mod limits;
mod listener;
mod member;
mod publish;
mod warnings;

use inbox::Message;
use listener::Listener;
use member::Member;
use warnings::HANG;

/// Runs a task from its first process to its last.
///
/// Everything that happens is sent to `events`; a listener that falls behind loses lines of output
/// first, and never holds the task up. The task ends by itself, by [`Control`], or, when the sender
/// of controls is dropped, as if it had been told to stop.
pub async fn run(
    plan: RunPlan,
    events: mpsc::Sender<RunnerEvent>,
    control: mpsc::Receiver<Control>,
) -> Result<Finished, RunError> {
    let state = State::new(plan.spec()?);
    plan.make_folders()?;
    let (post, inbox) = mpsc::channel(INBOX);
    let listener = Listener::new(events);
    let logs = |source| RunError::Logs {
        folder: plan.folder.clone(),
        source,
    };
    let together = Together::open(&plan.folder).map_err(logs)?;
    let members = (plan.definition.container_definitions.iter())
        .map(|one| Member::new(one, &plan, &together, &listener))
        .collect::<Result<_, _>>()?;

    let runner = Runner {
        state,
        members,
        listener,
        plan,
        post,
        tasks: JoinSet::new(),
        stop: None,
        was_running: false,
        health: Health::Unknown,
        hang_told: false,
        refusal_told: false,
    };

    let folder = runner.plan.folder.clone();
    let finished = runner.run(inbox, control).await;

    // What a container writes into its image ends with it.
    forget(&folder);
    Ok(finished)
}

/// Deletes what containers wrote into their images; a run that was killed could not do it itself.
pub fn forget(folder: &Path) {
    Layers::forget(folder);
}

struct Runner {
    plan: RunPlan,
    state: State,
    members: Vec<Member>,
    listener: Listener,
    post: mpsc::Sender<Message>,
    tasks: JoinSet<()>,
    stop: Option<Stop>,
    was_running: bool,
    health: Health,
    hang_told: bool,
    refusal_told: bool,
}

impl Runner {
    async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Message>,
        mut control: mpsc::Receiver<Control>,
    ) -> Finished {
        let mut event = Event::Tick;
        let mut controlled = true;
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);

        loop {
            let deadline = self.step(event);
            if self.state.status() == TaskStatus::Stopped {
                break;
            }

            let far_away = Duration::from_hours(1);
            let wake = self.listener.begun + deadline.unwrap_or(far_away);
            event = tokio::select! {
                Some(message) = inbox.recv() => self.event(message),
                told = control.recv(), if controlled => {
                    controlled = told.is_some();
                    self.asked(told)
                }
                () = sleep_until(wake) => Event::Tick,
                _ = looks.tick() => {
                    self.look_at_memory();
                    Event::Tick
                }
                Some(_) = self.tasks.join_next() => Event::Tick,
            };
        }

        // Whatever is left are probes on their way out.
        while self.tasks.join_next().await.is_some() {}
        self.finish()
    }

    fn step(&mut self, event: Event) -> Option<Duration> {
        let now = self.listener.begun.elapsed();
        let (state, actions, mut deadline) = step(self.state.clone(), event, now);
        self.state = state;
        for action in actions {
            self.act(action, now);
        }

        self.members
            .iter_mut()
            .for_each(|member| member.told = None);
        self.tell_health();
        self.tell_stuck(now);
        if self.state.status() == TaskStatus::Pending && !self.hang_told {
            deadline = Some(deadline.unwrap_or(HANG).min(HANG));
        }

        deadline
    }

    fn act(&mut self, action: Action, now: Duration) {
        match action {
            Action::Spawn { container } => self.spawn(container),
            Action::Terminate { container } => {
                self.warn_without_handler(container, now);
                self.members[container].tell(Order::Terminate);
            }
            Action::Kill { container } => self.members[container].tell(Order::Kill),
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
        let member = &mut self.members[container];
        let (orders, taken) = mpsc::channel(ORDERS);
        member.orders = Some(orders);
        let launch = Launch::main(&self.plan, &member.definition, &member.program);
        let (journal, post) = (Arc::clone(&member.journal), self.post.clone());
        self.tasks.spawn(async move {
            // The inbox is read as long as any container lives.
            let tell = |news| async { drop(post.send(Message::News(container, news)).await) };
            tend(launch, journal, taken, tell).await;
        });
    }

    fn probe(&mut self, container: usize, run: u32, limit: Duration, began: Duration) {
        let member = &mut self.members[container];
        let Some(check) = &member.definition.health_check else {
            return;
        };
        let (end, ended) = oneshot::channel::<()>();

        member.probe = Some(end);
        let launch = Launch::beside(
            &self.plan,
            &member.definition,
            &member.program,
            &check.command,
            member.pid,
        );

        let post = self.post.clone();
        self.tasks.spawn(async move {
            let answer = ask(&launch, limit, async { drop(ended.await) }).await;
            let _ = post
                .send(Message::Probed {
                    container,
                    run,
                    began,
                    answer,
                })
                .await;
        });
    }

    fn finish(self) -> Finished {
        let (stop, members) = (self.stop, self.members);
        let guilty = stop.as_ref().and_then(|stop| stop.guilty);
        Finished {
            guilty: guilty.map(|index| members[index].definition.name.clone()),
            stop_code: stop.as_ref().map(|stop| stop.code),
            stopped_reason: stop.map_or_else(String::new, |stop| stop.reason),
            was_running: self.was_running,
            containers: members.into_iter().map(Member::into_report).collect(),
            unheard: self.listener.unheard(),
        }
    }
}

const INBOX: usize = 64;
/// One terminate and one kill is all a run is ever told.
const ORDERS: usize = 4;
