//! A task of fixtures, and everything that was heard of it.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "these are the tests' own hands: what goes wrong here is a failed test"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use task_runner::machine::StopCode;
use task_runner::sandbox::{Isolation, Sandbox};
use task_runner::{
    Control, EventKind, Program, RunError, RunPlan, RunnerEvent, Secrets, TaskReport, run,
};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) const LIMIT: Duration = Duration::from_secs(30);
pub(crate) const FIXTURE: &str = env!("CARGO_BIN_EXE_runner-fixture");

/// A container that behaves as the words say, with more fields of its own.
pub(crate) fn container(name: &str, words: &[&str], more: Value) -> Value {
    let mut container = json!({
        "name": name, "image": "fixture", "entryPoint": ["/runner-fixture"], "command": words,
    });
    container
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    container
}

/// A place of its own, where this machine gives out any.
pub(crate) fn sandbox() -> Option<Arc<Sandbox>> {
    let shape = Isolation {
        network: true,
        shared_pid_namespace: false,
    };
    let opened = Sandbox::open(FIXTURE.as_ref(), shape);
    opened
        .inspect_err(|why| eprintln!("without a sandbox: {why}"))
        .ok()
        .map(Arc::new)
}

/// The control groups that a runner has at this moment, by their paths.
pub(crate) fn cgroups_of(runner: u32) -> Vec<String> {
    let name = format!("assemble-{runner}-");
    let mut folders = vec![std::path::PathBuf::from("/sys/fs/cgroup")];
    let mut found = Vec::new();

    while let Some(folder) = folders.pop() {
        let below = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        for path in below.map(|entry| entry.path()).filter(|path| path.is_dir()) {
            if path
                .file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with(&name)
            {
                found.push(path.display().to_string());
            } else if !path.is_symlink() {
                folders.push(path);
            }
        }
    }

    found
}

pub(crate) fn plan(folder: &Path, containers: Vec<Value>) -> RunPlan {
    let definition = json!({ "family": "test", "containerDefinitions": containers });
    let definition: task_definition::TaskDefinition = serde_json::from_value(definition).unwrap();
    let program = Program {
        binary: FIXTURE.into(),
        arguments: vec![],
        folder: folder.to_owned(),
        image: None,
    };

    let names = definition
        .container_definitions
        .iter()
        .map(|container| container.name.clone());

    RunPlan {
        programs: names.map(|name| (name, program.clone())).collect(),
        definition,
        environment: [].into(),
        defaults: [].into(),
        secrets: Secrets::default(),
        folder: folder.to_owned(),
        init: FIXTURE.into(),
        fast_health: 1,
        sandbox: sandbox(),
        groups: None,
        kept: [].into(),
        hosts: None,
        volumes: [].into(),
    }
}

/// A task that runs, until it is told to stop.
pub(crate) struct Running {
    pub(crate) folder: TempDir,
    pub(crate) sandbox: Option<Arc<Sandbox>>,
    pub(crate) control: mpsc::Sender<Control>,
    pub(crate) events_seen: Vec<RunnerEvent>,
    events: mpsc::Receiver<RunnerEvent>,
    task: JoinHandle<Result<TaskReport, RunError>>,
}

impl Running {
    pub(crate) fn new(containers: Vec<Value>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(folder.path(), containers);
        Self::of(folder, plan)
    }

    /// A task with so many MiB for all.
    pub(crate) fn with_memory(memory: &str, containers: Vec<Value>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut plan = plan(folder.path(), containers);
        plan.definition.memory = Some(memory.to_owned());
        Self::of(folder, plan)
    }

    pub(crate) fn of(folder: TempDir, plan: RunPlan) -> Self {
        let (sender, events) = mpsc::channel(4096);
        let (control, controlled) = mpsc::channel(4);
        let sandbox = plan.sandbox.clone();
        let task = tokio::spawn(run(plan, sender, controlled));

        Self {
            folder,
            sandbox,
            control,
            events_seen: Vec::new(),
            events,
            task,
        }
    }

    /// Listens until something is heard, or fails.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&RunnerEvent) -> bool) -> RunnerEvent {
        loop {
            let next = timeout(LIMIT, self.events.recv()).await;
            let Ok(Some(event)) = next else {
                panic!("not heard; but: {:#?}", self.events_seen)
            };
            self.events_seen.push(event.clone());
            if wanted(&event) {
                return event;
            }
        }
    }

    /// Listens until these have printed a line that begins so.
    pub(crate) async fn until_said(&mut self, container: &str, beginning: &str) -> String {
        let event = self
            .until(|event| is_line(event, container, beginning))
            .await;
        match event.what {
            EventKind::Log { line, .. } => line,
            other => panic!("{other:?}"),
        }
    }

    /// Listens until each has printed `ready`, in whatever order.
    pub(crate) async fn until_ready(&mut self, containers: &[&str]) {
        for name in containers {
            if !self
                .events_seen
                .iter()
                .any(|event| is_line(event, name, "ready"))
            {
                self.until_said(name, "ready").await;
            }
        }
    }

    /// The first process of a container that was heard to start.
    pub(crate) fn pid(&self, container: &str) -> u32 {
        let pid = self.events_seen.iter().find_map(|event| match event.what {
            EventKind::Started { pid, .. } if event.container.as_deref() == Some(container) => {
                Some(pid)
            }
            _ => None,
        });
        pid.expect("it has started")
    }

    /// Listens until one has ended, if it has not been heard to have.
    pub(crate) async fn until_stopped(&mut self, container: &str) {
        let ended = |event: &RunnerEvent| {
            let named = event.container.as_deref() == Some(container);
            named && matches!(event.what, EventKind::Stopped { .. })
        };
        if !self.events_seen.iter().any(ended) {
            self.until(ended).await;
        }
    }

    pub(crate) async fn stop(&self) {
        let stop = Control::Stop {
            code: StopCode::UserInitiated,
            reason: "Task stopped by user".into(),
        };
        self.control.send(stop).await.unwrap();
    }

    /// Listens to the end.
    pub(crate) async fn end(mut self) -> (TaskReport, Vec<RunnerEvent>) {
        let listen = async {
            while let Some(event) = self.events.recv().await {
                self.events_seen.push(event);
            }
        };
        timeout(LIMIT, listen).await.expect("the task ends in time");
        (self.task.await.unwrap().unwrap(), self.events_seen)
    }
}

pub(crate) fn is_line(event: &RunnerEvent, container: &str, beginning: &str) -> bool {
    let named = event.container.as_deref() == Some(container);
    named && matches!(&event.what, EventKind::Log { line, .. } if line.starts_with(beginning))
}

/// The lives and deaths among what was heard, one short word each.
pub(crate) fn lifecycle(events_seen: &[RunnerEvent]) -> Vec<String> {
    let word = |event: &RunnerEvent| {
        let name = event.container.as_deref().unwrap_or("task");
        Some(match &event.what {
            EventKind::Started { .. } => format!("{name} started"),
            EventKind::Stopping { .. } => format!("{name} stopping"),
            EventKind::Killing => format!("{name} killing"),
            EventKind::Restarting { code } => format!("{name} restarting {code}"),
            EventKind::Stopped {
                code: Some(code), ..
            } => format!("{name} stopped {code}"),
            EventKind::Stopped { code: None, .. } => format!("{name} stopped"),
            _ => return None,
        })
    };

    events_seen.iter().filter_map(word).collect()
}

pub(crate) fn code(finished: &TaskReport, container: &str) -> Option<i32> {
    finished
        .containers
        .iter()
        .find(|container| container.name == container)
        .unwrap()
        .code
}

/// Whether a process is there and not just waiting to be buried.
pub(crate) fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// The process that another one, of the same PID namespace, calls so.
pub(crate) fn host_pid(neighbour: u32, name: u32) -> u32 {
    let space = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let wanted = space(neighbour);
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let mut pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_it = |pid: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        let own = line.and_then(|line| line.split_whitespace().last()?.parse().ok());
        own == Some(name) && space(*pid) == wanted
    };

    pids.find(is_it).unwrap()
}

/// Waits until it is gone.
pub(crate) async fn until_gone(pid: u32) {
    let gone = async {
        while alive(pid) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, gone)
        .await
        .unwrap_or_else(|_| panic!("{pid} is still there"));
}
