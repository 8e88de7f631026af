//! The loop around the machine: what it wants is done, what happens is told to it.

use std::mem;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use task_definition::ContainerDefinition;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::journal::{Journal, Together};
use crate::launch::Launch;
use crate::machine::{
    Action, Change, Condition, Event, Health, Outcome, State, Stop, TaskStatus, Verdict, step,
};
use crate::memory::Processes;
use crate::probe::{Answer, ask};
use crate::process::{News, Order, tend};
use crate::sandbox::Layers;
use crate::system::{LOOK, hears_sigterm};
use crate::{ContainerReport, Control, Finished, Program, RunError, RunPlan, RunnerEvent, What};

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
    let listener = Listener {
        events,
        begun: Instant::now(),
        unheard: Arc::default(),
    };
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

/// What the runner keeps of one container.
struct Member {
    definition: ContainerDefinition,
    program: Program,
    journal: Arc<Journal>,
    report: ContainerReport,
    orders: Option<mpsc::Sender<Order>>,
    /// Dropped, it ends the probe that is under way.
    probe: Option<oneshot::Sender<()>>,
    pid: Option<u32>,
    /// When the run that is under way began.
    up_since: Option<Duration>,
    /// Dropped, once its start has been told, it lets its output be read.
    told: Option<oneshot::Sender<()>>,
    said: String,
    stuck_told: bool,
    /// It holds too much and is being killed for it.
    out_of_memory: bool,
    /// How many of its processes the kernel has killed for that, where it keeps the limits.
    killed_by_kernel: u64,
    /// The processor time of the run that is under way.
    spent_now: Duration,
}

/// What the tasks of the runner send to it.
enum Message {
    News(usize, News),
    Probed {
        container: usize,
        run: u32,
        began: Duration,
        answer: Answer,
    },
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

    /// What somebody's wish is to the machine.
    fn asked(&self, control: Option<Control>) -> Event {
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
                code: crate::machine::StopCode::UserInitiated,
                reason: "Task stopped: nobody holds its controls".into(),
            },
        }
    }

    /// What a message is to the machine.
    fn event(&mut self, message: Message) -> Event {
        match message {
            Message::News(container, News::Started { pid, refused, told }) => {
                if refused && !mem::replace(&mut self.refusal_told, true) {
                    self.listener
                        .hear(None, What::Warning(NO_NAMESPACE.to_owned()));
                }
                let member = &mut self.members[container];
                (member.pid, member.told) = (Some(pid), Some(told));
                member.report.processor_time += mem::take(&mut member.spent_now);
                Event::Spawned { container }
            }
            Message::News(container, News::Failed { reason }) => {
                Event::SpawnFailed { container, reason }
            }
            Message::News(container, News::Exited { code }) => {
                let groups = self.plan.groups.as_ref();
                let member = &mut self.members[container];
                if let Some(groups) = groups {
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
            Message::Probed {
                container,
                run,
                began,
                answer,
            } => {
                self.members[container].said = answer.output;
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

    fn publish(&mut self, change: Change, now: Duration) {
        let (container, what) = match change {
            Change::Starting { .. } => return,
            Change::Running { container, run } => {
                let member = &mut self.members[container];
                member.report.started.get_or_insert(now);
                member.up_since = Some(now);
                let after = if run == 1 {
                    member.dependencies()
                } else {
                    Vec::new()
                };
                (
                    container,
                    What::Started {
                        pid: member.pid.unwrap_or_default(),
                        run,
                        after,
                    },
                )
            }
            Change::Health {
                container,
                health,
                streak,
            } => {
                let output = self.members[container].said.clone();
                (
                    container,
                    What::Health {
                        health,
                        streak,
                        output,
                    },
                )
            }
            Change::Replacing { container } => {
                let report = &mut self.members[container].report;
                (report.asked, report.killed) = (None, false);
                (container, What::Replacing)
            }
            Change::Restarting { container, code } => {
                self.members[container].report.restarts += 1;
                (container, What::Restarting { code })
            }
            Change::Stopping { container, kill_at } => {
                let member = &mut self.members[container];
                member.probe = None;
                member.report.asked = Some(now);
                (
                    container,
                    What::Stopping {
                        limit: kill_at.saturating_sub(now),
                    },
                )
            }
            Change::Killing { container } => {
                let report = &mut self.members[container].report;
                report.asked.get_or_insert(now);
                report.killed = true;
                (container, What::Killing)
            }
            Change::Stopped {
                container,
                code,
                reason,
            } => {
                let report = &mut self.members[container].report;
                (report.code, report.reason) = (code, reason.clone());
                report.stopped = now;
                (container, What::Stopped { code, reason })
            }
            Change::TaskStopping(stop) => {
                // The last good moment: a brief life may not have been looked at yet.
                self.look_at_memory();
                let what = What::TaskStopping {
                    code: stop.code,
                    reason: stop.reason.clone(),
                };
                self.stop = Some(stop);
                return self.listener.hear(None, what);
            }
            Change::Task(status) => {
                self.was_running |= status == TaskStatus::Running;
                self.health = self.state.health();
                return self.listener.hear(
                    None,
                    What::Task {
                        status,
                        health: self.health,
                    },
                );
            }
        };
        self.listener
            .hear(Some(&self.members[container].definition.name), what);
    }

    /// Kills whoever holds more than its hard limit, or, where the task holds more than its own, whoever holds
    /// most. The quick look may only say that all is well; the slow one decides.
    fn look_at_memory(&mut self) {
        let processes = Processes::look();
        let mut held = Vec::new();
        for (index, member) in self.members.iter_mut().enumerate() {
            let Some(pid) = member.pid else { continue };
            let pids = processes.of(pid);
            let resident = processes.resident(&pids);
            let report = &mut member.report;
            report.peak_memory = report.peak_memory.max(resident);
            let spent = processes.processor_time(&pids);
            member.spent_now = spent.max(member.spent_now);
            held.push((index, pids, resident));
        }
        // Where the kernel keeps the limits, nobody comes to be over one.
        if self.plan.groups.is_some() {
            return;
        }
        let mut over = Vec::new();
        for (index, pids, resident) in &held {
            let limit = self.members[*index].definition.memory.map(mebibytes);
            if limit.is_some_and(|limit| *resident > limit && processes.proportional(pids) > limit)
            {
                over.push(*index);
            }
        }
        let all: u64 = held.iter().map(|(_, _, resident)| resident).sum();
        let limit = self.plan.definition.memory.as_deref();
        let limit = limit.and_then(|text| text.parse().ok()).map(mebibytes);
        if over.is_empty() && limit.is_some_and(|limit| all > limit) {
            let exact = held
                .iter()
                .map(|(index, pids, _)| (processes.proportional(pids), *index));
            let exact: Vec<(u64, usize)> = exact.collect();
            let all: u64 = exact.iter().map(|(bytes, _)| bytes).sum();
            let most = exact
                .iter()
                .max()
                .filter(|_| limit.is_some_and(|limit| all > limit));
            over.extend(most.map(|(_, index)| *index));
        }
        for index in over {
            let member = &mut self.members[index];
            if !mem::replace(&mut member.out_of_memory, true) {
                member.tell(Order::Kill);
            }
        }
    }

    /// The task's health follows from its containers' and has no change of its own.
    fn tell_health(&mut self) {
        let (status, health) = (self.state.status(), self.state.health());
        if health != self.health && status != TaskStatus::Stopped {
            self.health = health;
            self.listener.hear(None, What::Task { status, health });
        }
    }

    /// Says who waits for something that cannot come, or has waited long without a limit.
    fn tell_stuck(&mut self, now: Duration) {
        let late = now >= HANG && !self.hang_told;
        for index in 0..self.members.len() {
            let pending = self
                .state
                .view(index)
                .is_some_and(|v| v.status == TaskStatus::Pending);
            if !pending || self.members[index].stuck_told {
                continue;
            }
            let stuck = self.state.waits_for_ever(index, now).is_some();
            let Verdict::Waits(need) = self.state.verdict(index, now) else {
                continue;
            };
            let on = &self.state.spec().containers[need.on];
            let text = if stuck {
                format!("waits for `{}` to be healthy, which has ended", on.name)
            } else if late && need.condition != Condition::Start && on.start_timeout.is_none() {
                format!("still waits for `{}` {}", on.name, need.condition.word())
            } else {
                continue;
            };
            let end = "on Fargate the task would hang for hours (containers-roadmap#2379); give it a startTimeout";
            self.listener.hear(
                Some(&self.members[index].definition.name),
                What::Warning(format!("{text}: {end}")),
            );
            self.members[index].stuck_told = true;
        }
        self.hang_told |= late;
    }

    /// As PID 1, which it is on Fargate, a process without a handler does not hear SIGTERM.
    fn warn_without_handler(&self, container: usize, now: Duration) {
        let member = &self.members[container];
        if member
            .up_since
            .is_none_or(|since| now.saturating_sub(since) < SETTLED)
        {
            return;
        }
        let Some(false) = member.pid.and_then(hears_sigterm) else {
            return;
        };
        let image = member.program.image.as_ref();
        if image.is_some_and(|image| image.stop_signal.is_some()) {
            return;
        }
        let has_init = member.definition.linux_parameters.as_ref();
        if has_init.and_then(|linux| linux.init_process_enabled) == Some(true) {
            return;
        }
        let text = format!(
            "has no handler for SIGTERM: as PID 1, which it is on Fargate, it does not hear the signal, and is \
             killed after {} s with exit code 137",
            member.report.stop_timeout.as_secs()
        );
        self.listener
            .hear(Some(&member.definition.name), What::Warning(text));
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
            unheard: self.listener.unheard.load(Ordering::Relaxed),
        }
    }
}

impl Member {
    fn new(
        definition: &ContainerDefinition,
        plan: &RunPlan,
        together: &Arc<Together>,
        listener: &Listener,
    ) -> Result<Self, RunError> {
        let name = definition.name.clone();
        let (ear, called) = (listener.clone(), name.clone());
        let listen = move |stream, line| ear.hear(Some(&called), What::Log { stream, line });
        let journal =
            Journal::open(&plan.folder, &name, Arc::clone(together), listen).map_err(|source| {
                RunError::Logs {
                    folder: plan.folder.clone(),
                    source,
                }
            })?;
        let Some(program) = plan.programs.get(&name).cloned() else {
            return Err(RunError::Programs(vec![name]));
        };
        let limit = Duration::from_secs(u64::from(definition.stop_timeout.unwrap_or(30)));
        let report = ContainerReport {
            essential: definition.is_essential(),
            stop_timeout: limit,
            name,
            ..ContainerReport::default()
        };
        Ok(Self {
            definition: definition.clone(),
            program,
            journal: Arc::new(journal),
            report,
            orders: None,
            probe: None,
            pid: None,
            up_since: None,
            told: None,
            said: String::new(),
            stuck_told: false,
            out_of_memory: false,
            killed_by_kernel: 0,
            spent_now: Duration::ZERO,
        })
    }

    /// A run that has just ended takes no more orders.
    fn tell(&self, order: Order) {
        if let Some(orders) = &self.orders {
            let _ = orders.try_send(order);
        }
    }

    fn dependencies(&self) -> Vec<String> {
        let all = self.definition.depends_on.iter();
        all.map(|one| format!("{} {}", one.container_name, one.condition.word()))
            .collect()
    }

    fn into_report(mut self) -> ContainerReport {
        self.report.last_lines = self.journal.last_lines();
        self.report.processor_time += self.spent_now;
        self.report
    }
}

/// The way to whoever watches.
#[derive(Clone)]
struct Listener {
    events: mpsc::Sender<RunnerEvent>,
    begun: Instant,
    unheard: Arc<AtomicU64>,
}

impl Listener {
    /// Never waits: output gives way first, so that there is room for what matters.
    fn hear(&self, container: Option<&str>, what: What) {
        let room = if matches!(what, What::Log { .. }) {
            self.events.max_capacity() / 4
        } else {
            0
        };
        let event = RunnerEvent {
            at: self.begun.elapsed(),
            container: container.map(Into::into),
            what,
        };
        if self.events.capacity() <= room || self.events.try_send(event).is_err() {
            self.unheard.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn mebibytes(count: u32) -> u64 {
    u64::from(count) * 1024 * 1024
}

const NO_NAMESPACE: &str = "this machine gives out no PID namespaces: a program without a handler for \
                            SIGTERM ends here at once, but not on Fargate, where it is PID 1";

const INBOX: usize = 64;
/// One terminate and one kill is all a run is ever told.
const ORDERS: usize = 4;
/// Younger than this a process may not have come to its handler yet: nothing is known about it.
const SETTLED: Duration = Duration::from_secs(1);
/// After this long a wait without a limit deserves a word.
const HANG: Duration = Duration::from_secs(30);
