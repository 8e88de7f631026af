//! One replica: another `assemble up` process with its own name and ports.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::process::{Child, Command};

use crate::control_socket::{ControlCommand, send};
use crate::role::{Role, add_options};
use crate::run_dir::{READY, TASK};

/// One replica.
pub(super) struct Replica {
    pub(super) number: u8,
    pub(super) name: String,
    pub(super) folder: PathBuf,
    pub(super) state: ReplicaState,
    /// Consecutive exits before it was ready.
    pub(super) failures: u32,
    child: Option<Child>,
    start_at: Instant,
    /// Whether it has been active since it was started.
    was_ready: bool,
    /// The threads that copy its output, of this and of earlier processes.
    output_threads: Vec<JoinHandle<()>>,
}

/// The state of a replica in the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReplicaState {
    /// Not running, or not ready yet.
    Starting,
    /// Gets connections.
    Active,
    /// Gets no new connections and is about to exit.
    Stopping,
}

/// What happened to a replica since the last poll.
pub(super) enum ReplicaEvent {
    Nothing,
    /// It is to be started now.
    Due,
    /// It is RUNNING, and HEALTHY if it has a health check; with its published ports.
    Ready(BTreeMap<u16, u16>),
    /// It is being stopped.
    Stopping,
    /// Its health checks have failed.
    Unhealthy,
    Exited {
        code: i32,
        /// Whether its task was created.
        started: bool,
    },
}

impl Replica {
    /// Creates a replica that is not running.
    pub(super) fn new(number: u8, name: String, folder: PathBuf) -> Self {
        Self {
            number,
            name,
            folder,
            state: ReplicaState::Starting,
            failures: 0,
            child: None,
            start_at: Instant::now(),
            was_ready: false,
            output_threads: Vec::new(),
        }
    }

    /// Starts the process; its published ports are chosen by the kernel. Its stdout is copied to `results`, if there
    /// is one, and inherited otherwise.
    pub(super) fn start(
        &mut self,
        container_ports: &[u16],
        results: Option<Box<dyn Write + Send>>,
    ) -> io::Result<()> {
        for file in [READY, TASK, PASSED] {
            let _ = fs::remove_file(self.folder.join(file));
        }

        let mut command = Command::new(env::current_exe()?);
        let mut options = vec![
            format!("--{}={}", Role::REPLICA, self.number),
            format!("--name={}", self.name),
        ];
        options.extend(
            container_ports
                .iter()
                .map(|port| format!("--publish=0:{port}")),
        );
        let arguments = replica_arguments(env::args_os().skip(1));
        command.args(add_options(arguments, options));

        // Ctrl-C goes to the service only. A replica notices the end of the service by the end of its stdin.
        command.stdin(Stdio::piped()).process_group(0);

        if let Some(results) = results {
            let (reader, writer) = io::pipe()?;
            command.stdout(writer);
            self.output_threads.retain(|thread| !thread.is_finished());
            self.output_threads
                .push(thread::spawn(move || copy_lines(reader, results)));
        }

        (self.state, self.was_ready) = (ReplicaState::Starting, false);
        self.child = Some(command.spawn()?);
        Ok(())
    }

    /// Returns what happened since the last poll.
    pub(super) fn poll(&mut self) -> io::Result<ReplicaEvent> {
        let Some(child) = &mut self.child else {
            let due = self.start_at <= Instant::now();
            return Ok(if due {
                ReplicaEvent::Due
            } else {
                ReplicaEvent::Nothing
            });
        };

        if let Some(status) = child.try_wait()? {
            (self.child, self.state) = (None, ReplicaState::Starting);
            let started = self.folder.join(TASK).exists();
            let code = status.code().unwrap_or(1);
            return Ok(ReplicaEvent::Exited { code, started });
        }

        if self.state == ReplicaState::Stopping {
            return Ok(ReplicaEvent::Nothing);
        }
        // Written by the child, so it may not exist yet.
        let Some(task) = self.task() else {
            return Ok(ReplicaEvent::Nothing);
        };

        if task["desiredStatus"] == "STOPPED" {
            self.state = ReplicaState::Stopping;
            return Ok(ReplicaEvent::Stopping);
        }

        if task["healthStatus"] == "UNHEALTHY" {
            return Ok(ReplicaEvent::Unhealthy);
        }
        if self.state == ReplicaState::Active || !self.folder.join(READY).exists() {
            return Ok(ReplicaEvent::Nothing);
        }

        (self.state, self.was_ready) = (ReplicaState::Active, true);
        Ok(ReplicaEvent::Ready(ports(&task)))
    }

    /// Reads the replica's task, as DescribeTasks returns it.
    fn task(&self) -> Option<Value> {
        let text = fs::read(self.folder.join(TASK)).ok()?;
        let mut response: Value = serde_json::from_slice(&text).ok()?;
        Some(response["tasks"][0].take())
    }

    /// Stops a replica that is UNHEALTHY. Returns whether it received the command.
    pub(super) fn stop_unhealthy(&mut self) -> bool {
        let is_sent = send(&self.folder, ControlCommand::Unhealthy).is_ok();
        if is_sent {
            self.state = ReplicaState::Stopping;
        }
        is_sent
    }

    /// Sends a command, if the replica is running.
    pub(super) fn send(&mut self, command: ControlCommand) {
        if self.child.is_some() && send(&self.folder, command).is_err() {
            // It has no socket yet. Closing its stdin stops it as soon as it looks there.
            self.child.as_mut().and_then(|child| child.stdin.take());
        }
    }

    /// Returns the delay before the replacement starts, and schedules it.
    pub(super) fn pause(&mut self) -> Duration {
        // 0, 1, 3, 7 … up to 63 seconds.
        self.failures = if self.was_ready { 0 } else { self.failures + 1 };
        let pause = Duration::from_secs((1 << self.failures.min(6)) - 1);
        self.start_at = Instant::now() + pause;
        pause
    }

    /// Returns whether no process is running.
    pub(super) fn is_gone(&self) -> bool {
        self.child.is_none()
    }

    /// Returns whether all containers of the replica have been ready.
    pub(super) fn has_passed(&self) -> bool {
        self.child.is_some() && self.folder.join(PASSED).exists()
    }

    /// Waits until the output of an exited replica has been copied.
    pub(super) fn join_output(&mut self) {
        for thread in self.output_threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Records that all containers of the task in this run directory are ready.
pub(crate) fn mark_passed(folder: &Path) {
    let _ = fs::write(folder.join(PASSED), "");
}

/// Copies complete lines, each with one write, so that lines of several replicas never mix. A line without an end
/// is dropped.
fn copy_lines(reader: PipeReader, mut results: Box<dyn Write + Send>) {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok() && line.ends_with(b"\n") {
        if results.write_all(&line).is_err() {
            // Stdout is closed; the run directories still have everything.
            return;
        }
        line.clear();
    }
}

/// Returns the host port of each port of the task.
fn ports(task: &Value) -> BTreeMap<u16, u16> {
    let containers = task["containers"].as_array().into_iter().flatten();
    let bindings = containers.filter_map(|container| container["networkBindings"].as_array());
    let port = |binding: &Value, name: &str| u16::try_from(binding[name].as_u64()?).ok();
    let pair = |binding| Some((port(binding, "containerPort")?, port(binding, "hostPort")?));
    bindings.flatten().filter_map(pair).collect()
}

/// Returns the arguments of one replica: all except those for the service.
fn replica_arguments(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let (mut kept, mut arguments) = (Vec::new(), arguments);
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        // `--name x` as two arguments: skip the value too.
        if text == "-p" || SERVICE_OPTIONS.contains(&&*text) {
            arguments.next();
            continue;
        }

        let with_value = |name: &&str| {
            text.strip_prefix(*name)
                .is_some_and(|rest| rest.starts_with('='))
        };
        // `-p80`
        let short = text.starts_with("-p") && !text.starts_with("--");
        let is_for_service =
            SERVICE_OPTIONS.iter().any(with_value) || SERVICE_FLAGS.contains(&&*text);

        if !is_for_service && !short {
            kept.push(argument);
        }
    }

    kept
}

/// `--background` has the name of the service, which a replica must not take.
const SERVICE_OPTIONS: [&str; 5] = [
    "--background",
    "--count",
    "--name",
    "--publish",
    "--timeout",
];
const SERVICE_FLAGS: [&str; 4] = ["--bind-all", "--detach", "-d", "--wait"];
/// Exists once all containers of the replica have been ready.
const PASSED: &str = "passed";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_the_arguments_of_the_service() {
        let line = "up shop --count 3 -p 0:80 -p81:80 --name=x --env A=b --bind-all -d --wait --timeout 3s --json --background=x";
        let kept = replica_arguments(line.split(' ').map(OsString::from));
        assert_eq!(kept, ["up", "shop", "--env", "A=b", "--json"]);
    }
}
