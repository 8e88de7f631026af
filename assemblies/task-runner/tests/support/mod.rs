//! Runs tasks of fixture containers and records their events.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "test helpers fail the test that calls them"
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

/// Returns a container definition that runs the fixture with these arguments, with more fields.
pub(crate) fn container(name: &str, arguments: &[&str], more: Value) -> Value {
    let mut container = json!({
        "name": name, "image": "fixture", "entryPoint": ["/runner-fixture"], "command": arguments,
    });
    container
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    container
}

/// Returns a sandbox, if this host grants the namespaces.
pub(crate) fn sandbox() -> Option<Arc<Sandbox>> {
    let isolation = Isolation {
        network: true,
        shared_pid_namespace: false,
    };
    let opened = Sandbox::open(FIXTURE.as_ref(), isolation);
    opened
        .inspect_err(|error| eprintln!("without a sandbox: {error}"))
        .ok()
        .map(Arc::new)
}

/// Returns the paths of the cgroups of a runner.
pub(crate) fn cgroups_of(runner: u32) -> Vec<String> {
    // The name contains the pid of the runner, see `cgroups.rs` of the library.
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
            // A version 1 hierarchy links its controllers: `cpu -> cpu,cpuacct`.
            } else if !path.is_symlink() {
                folders.push(path);
            }
        }
    }

    found
}

/// Returns a plan in which every container runs the fixture.
pub(crate) fn plan(folder: &Path, containers: Vec<Value>) -> RunPlan {
    let definition = json!({ "family": "test", "containerDefinitions": containers });
    let definition: task_definition::TaskDefinition = serde_json::from_value(definition).unwrap();
    let program = Program {
        binary: FIXTURE.into(),
        arguments: vec![],
        called_as: vec![],
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
        cgroups: None,
        writable_paths: [].into(),
        hosts: None,
        volumes: [].into(),
    }
}

/// A running task and the events received from it.
pub(crate) struct RunningTask {
    pub(crate) folder: TempDir,
    pub(crate) sandbox: Option<Arc<Sandbox>>,
    pub(crate) control: mpsc::Sender<Control>,
    pub(crate) events_seen: Vec<RunnerEvent>,
    events: mpsc::Receiver<RunnerEvent>,
    task: JoinHandle<Result<TaskReport, RunError>>,
}

impl RunningTask {
    pub(crate) fn new(containers: Vec<Value>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(folder.path(), containers);
        Self::from_plan(folder, plan)
    }

    /// Runs a task with a memory limit in MiB.
    pub(crate) fn with_memory(memory: &str, containers: Vec<Value>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut plan = plan(folder.path(), containers);
        plan.definition.memory = Some(memory.to_owned());
        Self::from_plan(folder, plan)
    }

    /// Runs a plan in a folder, which exists as long as the task.
    pub(crate) fn from_plan(folder: TempDir, plan: RunPlan) -> Self {
        // Large enough that no event of a test is dropped.
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

    /// Receives events until one matches; panics at the time limit or the end of the task.
    pub(crate) async fn wait_for(&mut self, matches: impl Fn(&RunnerEvent) -> bool) -> RunnerEvent {
        loop {
            let next = timeout(LIMIT, self.events.recv()).await;
            let Ok(Some(event)) = next else {
                panic!("not received; events so far: {:#?}", self.events_seen)
            };
            self.events_seen.push(event.clone());
            if matches(&event) {
                return event;
            }
        }
    }

    /// Waits until a container prints a line with this beginning, and returns the line.
    pub(crate) async fn wait_for_line(&mut self, container: &str, beginning: &str) -> String {
        let event = self
            .wait_for(|event| is_line(event, container, beginning))
            .await;
        match event.kind {
            EventKind::Log { line, .. } => line,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until each container has printed `ready`, in any order.
    pub(crate) async fn wait_until_ready(&mut self, containers: &[&str]) {
        for name in containers {
            if !self
                .events_seen
                .iter()
                .any(|event| is_line(event, name, "ready"))
            {
                self.wait_for_line(name, "ready").await;
            }
        }
    }

    /// Returns the first process of a container that has started.
    pub(crate) fn pid(&self, container: &str) -> u32 {
        let pid = self.events_seen.iter().find_map(|event| match event.kind {
            EventKind::Started { pid, .. } if event.container.as_deref() == Some(container) => {
                Some(pid)
            }
            _ => None,
        });
        pid.expect("the container has started")
    }

    /// Waits until a container has ended.
    pub(crate) async fn wait_until_stopped(&mut self, container: &str) {
        let has_stopped = |event: &RunnerEvent| {
            event.container.as_deref() == Some(container)
                && matches!(event.kind, EventKind::Stopped { .. })
        };
        // Its end may have been received while waiting for another event.
        if !self.events_seen.iter().any(has_stopped) {
            self.wait_for(has_stopped).await;
        }
    }

    pub(crate) async fn stop(&self) {
        let stop = Control::Stop {
            code: StopCode::UserInitiated,
            reason: "Task stopped by user".into(),
        };
        self.control.send(stop).await.unwrap();
    }

    /// Waits for the end of the task and returns its report and all events.
    pub(crate) async fn end(mut self) -> (TaskReport, Vec<RunnerEvent>) {
        let receive = async {
            while let Some(event) = self.events.recv().await {
                self.events_seen.push(event);
            }
        };
        timeout(LIMIT, receive)
            .await
            .expect("the task ends in time");
        (self.task.await.unwrap().unwrap(), self.events_seen)
    }
}

/// Returns true if an event is a line of a container with this beginning.
pub(crate) fn is_line(event: &RunnerEvent, container: &str, beginning: &str) -> bool {
    event.container.as_deref() == Some(container)
        && matches!(&event.kind, EventKind::Log { line, .. } if line.starts_with(beginning))
}

/// Formats the starts and stops among the events.
pub(crate) fn lifecycle(events: &[RunnerEvent]) -> Vec<String> {
    let format = |event: &RunnerEvent| {
        let name = event.container.as_deref().unwrap_or("task");
        Some(match &event.kind {
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

    events.iter().filter_map(format).collect()
}

pub(crate) fn exit_code(report: &TaskReport, name: &str) -> Option<i32> {
    let mut containers = report.containers.iter();
    containers
        .find(|container| container.name == name)
        .unwrap()
        .exit_code
}

/// Returns true if a process exists and is not a zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Returns the host pid of a process that `neighbor`'s PID namespace numbers `inner`.
pub(crate) fn host_pid(neighbor: u32, inner: u32) -> u32 {
    let namespace = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let wanted = namespace(neighbor);
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let mut pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_it = |pid: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        // One number per nested namespace, the innermost last.
        let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        let own = line.and_then(|line| line.split_whitespace().last()?.parse().ok());
        own == Some(inner) && namespace(*pid) == wanted
    };

    pids.find(is_it).unwrap()
}

/// Waits until a process has ended.
pub(crate) async fn wait_until_gone(pid: u32) {
    let gone = async {
        while is_alive(pid) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, gone)
        .await
        .unwrap_or_else(|_| panic!("{pid} is still there"));
}
