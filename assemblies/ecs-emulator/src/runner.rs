//! Runs the tasks: a thread that starts, polls and stops a process for each.
//!
//! It is a separate thread, since reading run directories and sending commands block.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use local::{ControlCommand, ProcessExit, ProcessOutput, Project, TaskIdentity, TaskProcess};
use serde_json::Value;

use crate::Config;
use crate::emulator::Shared;
use crate::event_log::EventLog;
use crate::state::State;
use crate::tasks::{Task, TaskStatus, apply_exit, apply_record};

mod failure;
mod options;
mod protection;

use failure::read_failure;
use options::options_for;

/// A message to the runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// An operation may have changed tasks.
    Changed,
    /// Stop all tasks, and end once none is left.
    StopAll,
    /// Kill all tasks, and end.
    KillAll,
}

/// The thread's own state.
pub(crate) struct Runner {
    pub(crate) shared: Arc<Shared>,
    pub(crate) config: Config,
    pub(crate) project: Project,
    pub(crate) events: EventLog,
    pub(crate) signals: Receiver<Signal>,
    processes: BTreeMap<String, Running>,
    /// When everything was asked to stop.
    stopping_since: Option<Instant>,
}

/// The process of a task.
struct Running {
    process: TaskProcess,
    folder: PathBuf,
    /// The record that was applied last.
    record: Option<Value>,
    is_stop_sent: bool,
    /// Whether a service runs it, so that it can be protected.
    is_of_service: bool,
    /// The protection that the task and the state agree on.
    protected_until: Option<SystemTime>,
}

impl Runner {
    pub(crate) fn new(
        shared: Arc<Shared>,
        config: Config,
        project: Project,
        events: EventLog,
        signals: Receiver<Signal>,
    ) -> Self {
        Self {
            shared,
            config,
            project,
            events,
            signals,
            processes: BTreeMap::new(),
            stopping_since: None,
        }
    }

    /// Runs until all tasks have ended after [`Signal::StopAll`]. Must be called in a runtime, which owns the processes.
    pub(crate) fn run(mut self) {
        loop {
            self.tick();
            if self.stopping_since.is_some() && self.processes.is_empty() {
                break;
            }
            let pause = if self.processes.is_empty() {
                IDLE_INTERVAL
            } else {
                // With many tasks each may be noticed a little later: reading all records takes time.
                POLL_INTERVAL + POLL_INTERVAL_PER_TASK * self.processes.len() as u32
            };
            match self.signals.recv_timeout(pause) {
                Ok(Signal::Changed) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Signal::StopAll) => self.stop_all(),
                // The server is gone.
                Ok(Signal::KillAll) | Err(RecvTimeoutError::Disconnected) => {
                    self.stop_all();
                    self.processes
                        .values_mut()
                        .for_each(|running| running.process.kill());
                }
            }
        }
        self.write_events();
    }

    fn tick(&mut self) {
        // Starts come first: a caller waits for them.
        self.start_queued();
        self.send_stops();
        self.poll();
        if self
            .stopping_since
            .is_some_and(|since| since.elapsed() > STOP_LIMIT)
        {
            self.processes
                .values_mut()
                .for_each(|running| running.process.kill());
        }

        let now = SystemTime::now();
        self.shared.state().tasks.forget_old(now);
        self.write_events();
    }

    fn write_events(&mut self) {
        // Taken under the lock and written without it: a slow disk must not delay calls.
        let events = self.shared.state().events.take();
        if !events.is_empty() {
            self.events.write(&events);
        }
    }

    /// Requests the stop of every task.
    fn stop_all(&mut self) {
        self.stopping_since.get_or_insert_with(Instant::now);
        let now = SystemTime::now();
        let mut state = self.shared.state();
        let ids: Vec<String> = state.tasks.by_id.keys().cloned().collect();
        for id in ids {
            let stop = crate::tasks::Stop::new("TerminationNotice", "the emulator was stopped");
            state.request_stop(&id, stop, now);
        }
    }

    /// Starts tasks in the order of their calls, a few at the same time: many programs that start together are all
    /// slow.
    fn start_queued(&mut self) {
        // A process counts as starting until it has written its first record.
        let starting = self
            .processes
            .values()
            .filter(|running| running.record.is_none())
            .count();
        let free = max_starting().saturating_sub(starting);
        for task in self.take_queued(free) {
            let id = task.id.clone();
            match start(&task, &self.config, &self.project) {
                Ok(running) => {
                    self.processes.insert(id, running);
                }
                Err(why) => self.end(
                    &id,
                    NOT_STARTED,
                    Some(&format!("cannot start the task: {why}")),
                ),
            }
        }
    }

    /// Returns the next tasks to start, which become PENDING. Tasks that were stopped before are ended.
    fn take_queued(&self, free: usize) -> Vec<Task> {
        let now = SystemTime::now();
        let mut state = self.shared.state();
        let is_queued = |task: &&mut Task| task.status == TaskStatus::Provisioning;
        // In the order of the calls.
        let mut queued: Vec<&mut Task> = state.tasks.by_id.values_mut().filter(is_queued).collect();
        queued.sort_by_key(|task| task.number);

        let (mut taken, mut changed) = (Vec::new(), Vec::new());
        for task in queued {
            // Stopped before it was started.
            if !task.is_wanted() {
                apply_exit(task, 0, None, now);
                changed.push(task.id.clone());
            } else if taken.len() < free {
                task.status = TaskStatus::Pending;
                task.times.pull_started = Some(now);
                task.version += 1;
                taken.push(task.clone());
                changed.push(task.id.clone());
            }
        }
        for id in changed {
            state.record_change(&id, now);
        }
        taken
    }

    /// Passes the stops of callers on to the processes.
    fn send_stops(&mut self) {
        let stopping: Vec<String> = {
            let state = self.shared.state();
            let waiting = self
                .processes
                .iter()
                .filter(|(_, running)| !running.is_stop_sent);
            let is_stopped = |id: &&String| {
                state
                    .tasks
                    .by_id
                    .get(*id)
                    .is_none_or(|task| !task.is_wanted())
            };
            waiting
                .map(|(id, _)| id)
                .filter(is_stopped)
                .cloned()
                .collect()
        };

        for id in stopping {
            if let Some(running) = self.processes.get_mut(&id) {
                // Without a lock: the process may take up to two seconds to answer.
                running.process.send(ControlCommand::Stop);
                running.is_stop_sent = true;
            }
        }
    }

    /// Reads what the processes have recorded, and ends the tasks of those that have exited.
    fn poll(&mut self) {
        let mut exits = Vec::new();
        for (id, running) in &mut self.processes {
            // Before the record is read: a process that has exited changes it no more.
            let exit = running.process.try_wait();
            let record = running.process.task();
            // An unchanged record is not applied again, so that the lock is taken rarely.
            if record.is_some() && record != running.record {
                running.record = record;
                update(&mut self.shared.state(), id, running.record.as_ref());
            }
            // At most one interval late, which is less than the delay of a deployment.
            running.exchange_protection(id, &self.shared);
            match exit {
                Ok(None) => {}
                Ok(Some(exit)) => exits.push((id.clone(), exit)),
                Err(_) => exits.push((
                    id.clone(),
                    ProcessExit {
                        code: NOT_STARTED,
                        started: false,
                    },
                )),
            }
        }

        for (id, exit) in exits {
            let folder = self.processes.remove(&id).map(|running| running.folder);
            let failure = folder
                .filter(|_| !exit.started)
                .map(|folder| read_failure(&folder));
            self.end(&id, exit.code, failure.as_deref());
            // Only now: the last record of the task has been read.
            local::remove_old_runs(&self.project, KEPT_RUNS);
        }
    }

    fn end(&self, id: &str, code: i32, failure: Option<&str>) {
        let now = SystemTime::now();
        let mut state = self.shared.state();
        if let Some(task) = state.tasks.by_id.get_mut(id) {
            apply_exit(task, code, failure, now);
        }
        state.record_change(id, now);
    }
}

fn update(state: &mut State, id: &str, record: Option<&Value>) {
    let now = SystemTime::now();
    let (Some(task), Some(record)) = (state.tasks.by_id.get_mut(id), record) else {
        return;
    };
    if apply_record(task, record, now) {
        state.record_change(id, now);
    }
}

/// Starts the process of a task.
fn start(task: &Task, config: &Config, project: &Project) -> io::Result<Running> {
    let name = task.run_name();
    let folder = local::create_run_folder(&name, project).map_err(io::Error::other)?;
    let definition = folder.join("definition.json");
    // The file that `up` reads is the definition with the overrides, so both run the same.
    fs::write(&definition, task.definition.to_json())?;
    let log = File::create(folder.join(failure::LOG))?;

    // The metadata endpoint in the task reports the same ARNs as the API.
    let identity = TaskIdentity {
        region: config.region.clone(),
        account: config.account.clone(),
        cluster: task.launch.cluster.clone(),
        id: task.id.clone(),
        revision: task.launch.revision,
        address: task.address,
        service: task.launch.service.clone(),
    };

    let options = options_for(config, &task.definition);
    let arguments = local::task_arguments(project, &definition, &name, &identity, &options);
    let process = TaskProcess::start(
        &config.executable,
        arguments,
        &folder,
        ProcessOutput::File(log),
    )?;

    Ok(Running {
        process,
        folder,
        record: None,
        is_stop_sent: false,
        is_of_service: task.launch.service.is_some(),
        protected_until: None,
    })
}

/// Returns the number of tasks that may start at the same time.
fn max_starting() -> usize {
    std::thread::available_parallelism().map_or(4, |cpus| (2 * cpus.get()).max(4))
}

const POLL_INTERVAL: Duration = Duration::from_millis(20);
const POLL_INTERVAL_PER_TASK: Duration = Duration::from_millis(1);
const IDLE_INTERVAL: Duration = Duration::from_millis(500);
/// A container may take 120 s to stop, and the containers of a task stop one after the other.
const STOP_LIMIT: Duration = Duration::from_mins(10);
/// The exit code of `up` when it did not start.
const NOT_STARTED: i32 = 125;
/// The number of directories of ended runs that are kept, for `assemble logs`.
const KEPT_RUNS: usize = 200;
