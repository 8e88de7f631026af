//! What the caller passes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::FaultRules;

/// The settings of an emulator.
#[derive(Debug, Clone)]
pub struct Config {
    /// The project's directory. `.assemble/emulator/` below it has keys, events and task definitions.
    pub root: PathBuf,
    /// The region in ARNs, and the one that clients sign for.
    pub region: String,
    /// The account in ARNs: twelve digits.
    pub account: String,
    /// The number of tasks that may run at the same time; RunTask answers with a capacity failure beyond it.
    pub max_tasks: usize,
    /// The program that runs a task: `assemble`.
    pub executable: PathBuf,
    /// Options of `up` for every task.
    pub options: Vec<OsString>,
    /// Options of `up` for tasks that have a task role.
    pub role_options: Vec<OsString>,
    /// Options of `up` for tasks that have a container of this name.
    pub container_options: Vec<ContainerOption>,
    /// The file of events; `None` is `.assemble/emulator/events.jsonl`.
    pub events: Option<PathBuf>,
    /// Faults to answer with.
    pub faults: FaultRules,
    /// How services run.
    pub services: ServiceOptions,
}

/// How services run.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceOptions {
    /// Divides the waits of ECS: bake times, timeouts of hooks, pauses between attempts, and the 40 seconds after
    /// which a task without health check counts as healthy.
    pub time_scale: f64,
    /// Ports of listeners by target group: `NAME`, or `NAME:test` for test traffic. The others are free ports.
    pub listen: BTreeMap<String, u16>,
    /// How long a task that is stopped may keep open connections.
    pub deregistration_delay: Duration,
}

impl Default for ServiceOptions {
    fn default() -> Self {
        Self {
            time_scale: 1.0,
            listen: BTreeMap::new(),
            deregistration_delay: Duration::from_secs(30),
        }
    }
}

/// An option of `up` that names a container, such as `--program=app=FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerOption {
    /// The container.
    pub container: String,
    /// The whole argument.
    pub argument: OsString,
}

impl Config {
    /// Creates the configuration of a project, with the defaults of `assemble emulate`.
    pub fn new(root: PathBuf, executable: PathBuf) -> Self {
        Self {
            root,
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
            max_tasks: MAX_TASKS,
            executable,
            options: Vec::new(),
            role_options: Vec::new(),
            container_options: Vec::new(),
            events: None,
            faults: FaultRules::default(),
            services: ServiceOptions::default(),
        }
    }
}

/// The default of [`Config::max_tasks`].
const MAX_TASKS: usize = 200;
