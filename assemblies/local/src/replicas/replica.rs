//! One replica: another `assemble up` process with its own name and ports.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::control_socket::ControlCommand;
use crate::role::{Role, add_options};
use crate::task_process::{ProcessExit, ProcessOutput, TaskProcess};

/// One replica.
pub(super) struct Replica {
    pub(super) number: u8,
    pub(super) name: String,
    pub(super) folder: PathBuf,
    pub(super) state: ReplicaState,
    /// Consecutive exits before it was ready.
    pub(super) failures: u32,
    process: Option<TaskProcess>,
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
            process: None,
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
        let mut options = vec![
            format!("--{}={}", Role::REPLICA, self.number),
            format!("--name={}", self.name),
        ];
        options.extend(
            container_ports
                .iter()
                .map(|port| format!("--publish=0:{port}")),
        );
        let arguments = add_options(replica_arguments(env::args_os().skip(1)), options);
        let output = results.map_or(ProcessOutput::Inherit, ProcessOutput::Lines);
        let mut process =
            TaskProcess::start(&env::current_exe()?, arguments, &self.folder, output)?;

        self.output_threads.retain(|thread| !thread.is_finished());
        self.output_threads.extend(process.take_output());
        (self.state, self.was_ready) = (ReplicaState::Starting, false);
        self.process = Some(process);
        Ok(())
    }

    /// Returns what happened since the last poll.
    pub(super) fn poll(&mut self) -> io::Result<ReplicaEvent> {
        let Some(process) = &mut self.process else {
            let due = self.start_at <= Instant::now();
            return Ok(if due {
                ReplicaEvent::Due
            } else {
                ReplicaEvent::Nothing
            });
        };

        if let Some(ProcessExit { code, started }) = process.try_wait()? {
            (self.process, self.state) = (None, ReplicaState::Starting);
            return Ok(ReplicaEvent::Exited { code, started });
        }

        if self.state == ReplicaState::Stopping {
            return Ok(ReplicaEvent::Nothing);
        }
        // Written by the child, so it may not exist yet.
        let Some(task) = process.task() else {
            return Ok(ReplicaEvent::Nothing);
        };

        if task["desiredStatus"] == "STOPPED" {
            self.state = ReplicaState::Stopping;
            return Ok(ReplicaEvent::Stopping);
        }

        if task["healthStatus"] == "UNHEALTHY" {
            return Ok(ReplicaEvent::Unhealthy);
        }
        if self.state == ReplicaState::Active || !process.is_ready() {
            return Ok(ReplicaEvent::Nothing);
        }

        (self.state, self.was_ready) = (ReplicaState::Active, true);
        Ok(ReplicaEvent::Ready(ports(&task)))
    }

    /// Stops a replica that is UNHEALTHY. Returns whether it received the command.
    pub(super) fn stop_unhealthy(&mut self) -> bool {
        let process = self.process.as_mut();
        let is_sent = process.is_some_and(|process| process.send(ControlCommand::Unhealthy));
        if is_sent {
            self.state = ReplicaState::Stopping;
        }
        is_sent
    }

    /// Sends a command, if the replica is running.
    pub(super) fn send(&mut self, command: ControlCommand) {
        if let Some(process) = &mut self.process {
            process.send(command);
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
        self.process.is_none()
    }

    /// Returns whether all containers of the replica have been ready.
    pub(super) fn has_passed(&self) -> bool {
        self.process.as_ref().is_some_and(TaskProcess::has_passed)
    }

    /// Waits until the output of an exited replica has been copied.
    pub(super) fn join_output(&mut self) {
        for thread in self.output_threads.drain(..) {
            let _ = thread.join();
        }
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
