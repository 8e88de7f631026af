//! Tasks: what was asked for, and what the runner has reported.
//!
//! | file | is |
//! |---|---|
//! | `launch` | what a task is started from, by RunTask or a service |
//! | `run` | RunTask: its checks, and its idempotency tokens |
//! | `overrides` | applies the overrides of a call to a definition |
//! | `providers` | chooses capacity providers |
//! | `find` | DescribeTasks and ListTasks |
//! | `stop` | StopTask and ExecuteCommand |
//! | `protection` | GetTaskProtection and UpdateTaskProtection |
//! | `progress` | updates a task from the record of its process |
//! | `document` | a task as DescribeTasks returns it |

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use task_definition::TaskDefinition;

use crate::arn::{random_id, random_uuid};
use crate::state::State;

mod document;
mod find;
mod launch;
mod overrides;
mod progress;
mod protection;
mod providers;
mod run;
mod stop;

pub(crate) use document::to_json;
pub(crate) use find::{describe, list, list_container_instances};
pub(crate) use launch::Launch;
pub(crate) use progress::{apply_exit, apply_record};
pub(crate) use protection::{get_protection, update_protection};
pub(crate) use run::{no_capacity, no_instances, run};
pub(crate) use stop::{execute_command, stop};

/// All tasks by id, those that stopped within the last hour too, and the tokens of RunTask.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    pub(crate) by_id: BTreeMap<String, Task>,
    /// The number of tasks so far, which numbers them.
    count: u64,
    /// The second byte of the addresses, random for each emulator so that two of them rarely use the same.
    network: u8,
    tokens: BTreeMap<String, run::UsedToken>,
}

/// A task.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) id: String,
    /// Its place in the order of all tasks.
    pub(crate) number: u64,
    pub(crate) launch: Launch,
    /// The definition with the overrides.
    pub(crate) definition: Arc<TaskDefinition>,
    /// The address of this host on which its ports are published.
    pub(crate) address: Ipv4Addr,
    pub(crate) status: TaskStatus,
    pub(crate) health: String,
    pub(crate) containers: Vec<Container>,
    /// Why it stops; its desired status is STOPPED from then on.
    pub(crate) stop: Option<Stop>,
    pub(crate) times: Times,
    /// Counts its changes.
    pub(crate) version: u64,
    pub(crate) protected_until: Option<SystemTime>,
    attachment_id: String,
}

/// A container of a task.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub(crate) name: String,
    image: String,
    cpu: u32,
    memory: Option<u32>,
    id: String,
    pub(crate) status: String,
    pub(crate) health: String,
    pub(crate) exit_code: Option<i64>,
    reason: Option<String>,
    runtime_id: Option<String>,
    /// As the run directory has them: `bindIP`, `containerPort`, `hostPort`, `protocol`.
    bindings: Vec<Value>,
}

/// The last status of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TaskStatus {
    /// No process has been started for it.
    Provisioning,
    Pending,
    Running,
    Stopping,
    /// Its containers have stopped, its process has not ended.
    Deprovisioning,
    Stopped,
}

impl TaskStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Stopping => "STOPPING",
            Self::Deprovisioning => "DEPROVISIONING",
            Self::Stopped => "STOPPED",
        }
    }
}

/// Why a task stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stop {
    /// `UserInitiated`, `EssentialContainerExited` …
    pub(crate) code: String,
    pub(crate) reason: String,
}

/// The times of a task.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) created: SystemTime,
    /// When its process was started, which is when images are pulled.
    pub(crate) pull_started: Option<SystemTime>,
    /// When its containers were created.
    pub(crate) pull_stopped: Option<SystemTime>,
    pub(crate) started: Option<SystemTime>,
    pub(crate) stopping: Option<SystemTime>,
    pub(crate) execution_stopped: Option<SystemTime>,
    pub(crate) stopped: Option<SystemTime>,
}

impl Task {
    /// Returns whether its desired status is RUNNING.
    pub(crate) fn is_wanted(&self) -> bool {
        self.stop.is_none()
    }

    /// Returns the address of this host at which a mapped port of a container answers, once it is published.
    pub(crate) fn host_address(&self, container: &str, port: u16) -> Option<SocketAddr> {
        let container = self.containers.iter().find(|own| own.name == container)?;
        let is_port = |binding: &&Value| binding["containerPort"] == port;
        let binding = container.bindings.iter().find(is_port)?;
        let address = binding["bindIP"].as_str()?.parse().ok()?;
        let host_port = u16::try_from(binding["hostPort"].as_u64()?).ok()?;
        Some(SocketAddr::new(address, host_port))
    }

    /// Returns the id of the task's run directory, for `assemble logs`.
    pub(crate) fn run_name(&self) -> String {
        let family: String = self.definition.family.chars().take(100).collect();
        format!("{family}-{}", &self.id[..12])
    }
}

impl Container {
    fn new(definition: &task_definition::ContainerDefinition) -> Self {
        Self {
            name: definition.name.clone(),
            image: definition.image.clone(),
            cpu: definition.cpu.unwrap_or_default(),
            memory: definition.memory,
            id: random_uuid(),
            status: "PENDING".to_owned(),
            health: "UNKNOWN".to_owned(),
            exit_code: None,
            reason: None,
            runtime_id: None,
            bindings: Vec::new(),
        }
    }
}

impl Tasks {
    /// Returns the number of tasks that run or are about to.
    pub(crate) fn alive(&self) -> usize {
        let is_alive = |task: &&Task| task.status != TaskStatus::Stopped;
        self.by_id.values().filter(is_alive).count()
    }

    /// Returns the tasks of a cluster that are RUNNING, and those that are not yet.
    pub(crate) fn count_in(&self, cluster: &str) -> (usize, usize) {
        let own = || {
            self.by_id
                .values()
                .filter(|task| task.launch.cluster == cluster)
        };
        let running = own()
            .filter(|task| task.status == TaskStatus::Running)
            .count();
        let pending = own()
            .filter(|task| task.status < TaskStatus::Running)
            .count();
        (running, pending)
    }

    /// Forgets tasks that stopped more than an hour ago, as ECS does, and the oldest of too many.
    pub(crate) fn forget_old(&mut self, now: SystemTime) {
        let is_recent = |task: &Task| {
            let stopped = task
                .times
                .stopped
                .filter(|_| task.status == TaskStatus::Stopped);
            stopped.is_none_or(|stopped| stopped + REMEMBERED > now)
        };

        self.by_id.retain(|_, task| is_recent(task));
        self.tokens.retain(|_, token| token.at + TOKEN_VALID > now);
        while self.tokens.len() > MAX_TASKS {
            let oldest = self.tokens.iter().min_by_key(|(_, token)| token.at);
            let Some(oldest) = oldest.map(|(name, _)| name.clone()) else {
                break;
            };
            self.tokens.remove(&oldest);
        }

        // A caller that starts tasks faster than an hour forgets them would fill the memory.
        let excess = self.by_id.len().saturating_sub(MAX_TASKS);
        let mut stopped: Vec<(u64, String)> = (self.by_id.values())
            .filter(|task| excess > 0 && task.status == TaskStatus::Stopped)
            .map(|task| (task.number, task.id.clone()))
            .collect();
        stopped.sort();
        for (_, id) in stopped.into_iter().take(excess) {
            self.by_id.remove(&id);
        }
    }

    /// Returns an address for the task with this number: 127.N.x.y, without the network's first and last address.
    fn address(&mut self, number: u64) -> Ipv4Addr {
        if self.network == 0 {
            self.network = fastrand::u8(16..=254);
        }
        let [.., third, fourth] = (1 + number % 65_534).to_be_bytes();
        Ipv4Addr::new(127, self.network, third, fourth)
    }
}

impl State {
    /// Adds a task, which the runner starts. Returns its id.
    pub(crate) fn launch(&mut self, launch: Launch, now: SystemTime) -> String {
        let tasks = &mut self.tasks;
        let number = tasks.count;
        tasks.count += 1;
        let definition = Arc::new(overrides::apply(&launch.definition, &launch.overrides));

        let task = Task {
            id: random_id(),
            number,
            address: tasks.address(number),
            status: TaskStatus::Provisioning,
            health: "UNKNOWN".to_owned(),
            containers: definition
                .container_definitions
                .iter()
                .map(Container::new)
                .collect(),
            definition,
            launch,
            stop: None,
            times: Times {
                created: now,
                pull_started: None,
                pull_stopped: None,
                started: None,
                stopping: None,
                execution_stopped: None,
                stopped: None,
            },
            version: 1,
            protected_until: None,
            attachment_id: random_uuid(),
        };

        let id = task.id.clone();
        tasks.by_id.insert(id.clone(), task);
        self.record_change(&id, now);
        id
    }

    /// Sets the desired status of a task to STOPPED; the runner stops it. Only the first reason counts.
    pub(crate) fn request_stop(&mut self, id: &str, stop: Stop, now: SystemTime) {
        let Some(task) = self.tasks.by_id.get_mut(id) else {
            return;
        };
        // A later call must not replace the reason, nor the time.
        if task.stop.is_some() {
            return;
        }
        task.stop = Some(stop);
        task.times.stopping = Some(now);
        task.version += 1;
        self.record_change(id, now);
    }

    /// Writes the state of a task to the events.
    pub(crate) fn record_change(&mut self, id: &str, now: SystemTime) {
        let Some(task) = self.tasks.by_id.get(id) else {
            return;
        };
        let detail = to_json(
            task,
            &self.owner,
            crate::time::TimeFormat::Rfc3339,
            document::Tags::Include,
        );
        let arn = document::arn(task, &self.owner);
        self.events
            .push(&self.owner, "ECS Task State Change", &[arn], detail, now);
    }
}

/// ECS returns stopped tasks for about an hour.
const REMEMBERED: Duration = Duration::from_hours(1);
/// A token of RunTask is valid for a day.
const TOKEN_VALID: Duration = Duration::from_hours(24);
/// The number of tasks that are kept, stopped ones included, and of tokens.
const MAX_TASKS: usize = 5000;
