//! What happens, kept in the run's folder for `ps`, `logs`, `stop` and everybody else.
//!
//! `events.jsonl` has every event but the lines of output, which are in `<container>.log`;
//! `task.json` is what DescribeTasks would say now; `ready` is there once the task is RUNNING, and
//! HEALTHY where an essential container has a check.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use task_definition::TaskDefinition;
use task_runner::machine::{Health, TaskStatus};
use task_runner::{RunnerEvent, What};

use super::json::{Lines, Times};
use super::screen::Show;
use super::several::SERVICE;

/// Keeps everything, and passes it on to whoever shows it. A full disk costs the files only.
pub(super) struct Keep {
    show: Box<dyn Show>,
    lines: Lines,
    folder: PathBuf,
    events: Option<File>,
    healthy: Healthy,
    bindings: BTreeMap<String, Vec<Value>>,
}

/// When a task counts as healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Healthy {
    /// Its checks say so.
    Checked,
    /// No essential container has a check: RUNNING is all there is to know.
    Unchecked,
}

impl Healthy {
    /// Looks at the definition.
    pub(super) fn of(definition: &TaskDefinition) -> Self {
        let mut all = definition.container_definitions.iter();
        if all.any(|one| one.is_essential() && one.health_check.is_some()) {
            Self::Checked
        } else {
            Self::Unchecked
        }
    }

    /// Whether this event says that the task is as well as it can be.
    pub(super) fn reached(self, what: &What) -> bool {
        let What::Task { status, health } = what else {
            return false;
        };
        *status == TaskStatus::Running && (self == Self::Unchecked || *health == Health::Healthy)
    }
}

impl Keep {
    /// Nothing has happened yet.
    pub(super) fn new(
        definition: &TaskDefinition,
        lines: Lines,
        folder: &Path,
        bindings: &[Binding],
        show: Box<dyn Show>,
    ) -> Self {
        // The name may have been a service's before.
        let _ = fs::remove_file(folder.join(SERVICE));
        let keep = Self {
            show,
            lines,
            folder: folder.to_owned(),
            events: File::create(folder.join("events.jsonl")).ok(),
            healthy: Healthy::of(definition),
            bindings: by_container(definition, bindings),
        };

        keep.write();
        keep
    }

    /// In one step for those who read it meanwhile.
    fn write(&self) {
        let mut task = self.lines.task(Times::Seconds);
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

impl Show for Keep {
    fn event(&mut self, event: &RunnerEvent) {
        self.show.event(event);
        if matches!(event.what, What::Log { .. }) {
            return;
        }

        self.lines.note(event);
        if let Some(events) = &mut self.events {
            let _ = writeln!(events, "{}", self.lines.told(event));
        }

        self.write();
        if self.healthy.reached(&event.what) {
            let _ = fs::write(self.folder.join(READY), "");
        }
    }

    fn silence(&mut self) {
        self.show.silence();
    }
}

/// Where a port of the task is on this machine.
#[derive(Debug, Clone, Copy)]
pub(super) struct Binding {
    pub(super) outside: SocketAddr,
    pub(super) inside: u16,
}

impl Binding {
    /// The API's `NetworkBinding`.
    pub(super) fn told(&self) -> Value {
        json!({ "bindIP": self.outside.ip(), "containerPort": self.inside, "hostPort": self.outside.port(),
            "protocol": "tcp" })
    }
}

/// All of them, under the container that has the port.
fn by_container(definition: &TaskDefinition, bindings: &[Binding]) -> BTreeMap<String, Vec<Value>> {
    let mut all = BTreeMap::<String, Vec<Value>>::new();
    for container in &definition.container_definitions {
        let has = |port: u16| {
            container
                .port_mappings
                .iter()
                .any(|one| one.container_port == Some(port.into()))
        };

        let own = bindings.iter().filter(|one| has(one.inside));
        let own = own.map(Binding::told);
        all.insert(container.name.clone(), own.collect());
    }

    all
}

/// What DescribeTasks would say.
pub(crate) const TASK: &str = "task.json";
/// There once the task is as well as it can be.
pub(crate) const READY: &str = "ready";
