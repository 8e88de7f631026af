//! The run directory: records events for `ps`, `logs`, `stop` and other programs.
//!
//! `events.jsonl` has every event except output lines, which are in `<container>.log`;
//! `task.json` is the current response of DescribeTasks; `ready` exists once the task is RUNNING, and
//! HEALTHY if an essential container has a health check.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use task_definition::TaskDefinition;
use task_runner::machine::{Health, TaskStatus};
use task_runner::{EventKind, RunnerEvent};

use super::json::{TaskRecord, TimeFormat};
use super::replicas::SERVICE;
use crate::EventSink;

/// Records events and passes them on to another sink. A full disk affects only the files.
pub(super) struct RunDir {
    sink: Box<dyn EventSink>,
    record: TaskRecord,
    folder: PathBuf,
    events: Option<File>,
    healthy: HealthCriterion,
    bindings: BTreeMap<String, Vec<Value>>,
}

/// When a task counts as healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HealthCriterion {
    /// When its health status is HEALTHY.
    HealthStatus,
    /// When it is RUNNING: no essential container has a health check.
    Running,
}

impl HealthCriterion {
    /// Determines the criterion from the definition.
    pub(super) fn from_definition(definition: &TaskDefinition) -> Self {
        // ECS derives a task's health from its essential containers only.
        let mut all = definition.container_definitions.iter();
        if all.any(|container| container.is_essential() && container.health_check.is_some()) {
            Self::HealthStatus
        } else {
            Self::Running
        }
    }

    /// Returns whether the task is healthy with this event.
    pub(super) fn is_reached(self, what: &EventKind) -> bool {
        let EventKind::Task { status, health } = what else {
            return false;
        };
        *status == TaskStatus::Running && (self == Self::Running || *health == Health::Healthy)
    }
}

impl RunDir {
    /// Creates the record of a task that has not started.
    pub(super) fn new(
        definition: &TaskDefinition,
        record: TaskRecord,
        folder: &Path,
        bindings: &[Binding],
        sink: Box<dyn EventSink>,
    ) -> Self {
        // An earlier run with this name may have been a service.
        let _ = fs::remove_file(folder.join(SERVICE));
        let run_dir = Self {
            sink,
            record,
            folder: folder.to_owned(),
            events: File::create(folder.join("events.jsonl")).ok(),
            healthy: HealthCriterion::from_definition(definition),
            bindings: by_container(definition, bindings),
        };

        run_dir.write();
        run_dir
    }

    /// Replaces `task.json` atomically, for concurrent readers.
    fn write(&self) {
        let mut task = self.record.task(TimeFormat::Seconds);
        for container in task["containers"].as_array_mut().into_iter().flatten() {
            let name = container["name"].as_str().unwrap_or_default();
            if let Some(bindings) = self.bindings.get(name) {
                container["networkBindings"] = bindings.clone().into();
            }
        }
        let text = format!("{:#}\n", json!({ "tasks": [task], "failures": [] }));
        let beside = self.folder.join("task.json.new");
        let _ = fs::write(&beside, text).and_then(|()| fs::rename(&beside, self.folder.join(TASK)));
    }
}

impl EventSink for RunDir {
    fn event(&mut self, event: &RunnerEvent) {
        self.sink.event(event);
        // The runner writes output to the log files itself.
        if matches!(event.kind, EventKind::Log { .. }) {
            return;
        }

        self.record.update(event);
        if let Some(events) = &mut self.events {
            let _ = writeln!(events, "{}", self.record.to_json(event));
        }

        // Written before the marker: a caller that sees `ready` reads a task that is RUNNING.
        self.write();
        if self.healthy.is_reached(&event.kind) {
            let _ = fs::write(self.folder.join(READY), "");
        }
    }

    fn idle(&mut self) {
        self.sink.idle();
    }
}

/// A published port.
#[derive(Debug, Clone, Copy)]
pub(super) struct Binding {
    /// The address on the host.
    pub(super) host: SocketAddr,
    /// The port in the task.
    pub(super) container_port: u16,
}

impl Binding {
    /// Converts to the API's `NetworkBinding`.
    pub(super) fn to_json(self) -> Value {
        json!({ "bindIP": self.host.ip(), "containerPort": self.container_port, "hostPort": self.host.port(),
            "protocol": "tcp" })
    }
}

/// Groups the bindings by the container that maps the port.
fn by_container(definition: &TaskDefinition, bindings: &[Binding]) -> BTreeMap<String, Vec<Value>> {
    let mut all = BTreeMap::<String, Vec<Value>>::new();
    for container in &definition.container_definitions {
        let has = |port: u16| {
            container
                .port_mappings
                .iter()
                .any(|mapping| mapping.container_port == Some(port.into()))
        };

        let own = bindings
            .iter()
            .filter(|binding| has(binding.container_port))
            .copied()
            .map(Binding::to_json);
        all.insert(container.name.clone(), own.collect());
    }

    all
}

/// The response of DescribeTasks.
pub const TASK: &str = "task.json";
/// The end of the task's protection, if the process that started the task has a part in it.
pub(crate) const PROTECTION: &str = "protection";
/// Exists once the task is healthy.
pub(crate) const READY: &str = "ready";
