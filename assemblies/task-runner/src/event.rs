//! The events the runner emits, and the commands it accepts.

use std::time::Duration;

use crate::machine::{ExitCode, Health, StopCode, TaskStatus};

/// An event of a running task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerEvent {
    /// Time since the start of the task.
    pub at: Duration,
    /// The container it concerns, or `None` for the task itself.
    pub container: Option<String>,
    /// The kind of event, with its details.
    pub kind: EventKind,
}

/// The kinds of events of a running task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// A container's process started.
    Started {
        /// Its process id on this host.
        pid: u32,
        /// 1 for the first run, one more after each restart.
        run: u32,
        /// The containers it waited for, as `name CONDITION`.
        after: Vec<String>,
    },
    /// A container's health, or its count of failures, changed.
    Health {
        /// The health as ECS reports it.
        health: Health,
        /// Consecutive counted failures.
        streak: u32,
        /// The exit code of the last probe; -1 if it timed out, was killed or could not start.
        code: ExitCode,
        /// The output of the last probe.
        output: String,
    },
    /// A container stopped as requested and is being started again.
    Replacing,
    /// A container exited and its restart policy restarts it.
    Restarting {
        /// The exit code of the run that ended.
        code: ExitCode,
    },
    /// A container was sent SIGTERM.
    Stopping {
        /// How long it may take to stop before it is killed.
        limit: Duration,
    },
    /// A container is being killed.
    Killing,
    /// A container has ended, or never started.
    Stopped {
        /// Its exit code, if known.
        code: Option<ExitCode>,
        /// The reason as ECS reports it, if the code alone does not say it.
        reason: Option<String>,
    },
    /// A container wrote a line.
    Log {
        /// The stream it was written to.
        stream: Stream,
        /// The line without its line terminator; at most 16 KiB.
        line: String,
    },
    /// Something behaves differently on Fargate, or would fail there.
    Warning(String),
    /// The task is being stopped.
    TaskStopping {
        /// The ECS stop code.
        code: StopCode,
        /// The `stoppedReason` as ECS words it.
        reason: String,
    },
    /// The task's status or health changed.
    Task {
        /// `PENDING`, `RUNNING` or `STOPPED`.
        status: TaskStatus,
        /// The combined health of the essential containers.
        health: Health,
    },
}

/// The output stream of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Commands that a running task accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// Stops this container in order and starts it again, because its program has changed.
    Replace {
        /// The container's name; ignored unless it is running.
        container: String,
    },
    /// Stops the task in order, as `StopTask` does.
    Stop {
        /// The stop code to report.
        code: StopCode,
        /// The `stoppedReason` to report.
        reason: String,
    },
    /// Kills all containers immediately.
    Kill {
        /// The `stoppedReason` to report, unless the task is already stopping.
        reason: String,
    },
}

/// The outcome of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskReport {
    /// The ECS stop code; `None` if the task ended without an essential container exiting.
    pub stop_code: Option<StopCode>,
    /// The `stoppedReason` as ECS words it.
    pub stopped_reason: String,
    /// The container that caused the stop, if one did.
    pub cause: Option<String>,
    /// True if the task reached `RUNNING`.
    pub was_running: bool,
    /// The containers, in definition order.
    pub containers: Vec<ContainerReport>,
    /// Events dropped because the receiver was too slow; the log files contain every line.
    pub dropped_events: u64,
}

/// The outcome of one container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerReport {
    /// Its name.
    pub name: String,
    /// True if the task stops when this container ends.
    pub essential: bool,
    /// Its exit code; `None` if it never ran or the code could not be determined.
    pub exit_code: Option<ExitCode>,
    /// The reason as ECS reports it, if the code alone does not say it.
    pub reason: Option<String>,
    /// When it first started, since the start of the task.
    pub started_at: Option<Duration>,
    /// When it was asked to stop, since the start of the task.
    pub stop_requested_at: Option<Duration>,
    /// True if it was killed.
    pub killed: bool,
    /// When it ended, since the start of the task.
    pub stopped_at: Duration,
    /// How long it may take to stop before it is killed.
    pub stop_timeout: Duration,
    /// How often its restart policy restarted it.
    pub restarts: u32,
    /// The largest resident memory of its processes that was sampled, in bytes.
    pub peak_memory: u64,
    /// The CPU time of its processes, over all runs.
    pub cpu_time: Duration,
    /// Its last lines on stderr, or on stdout if it wrote nothing to stderr.
    pub last_lines: Vec<String>,
}

impl TaskReport {
    /// Returns the exit code for a program that runs the task.
    ///
    /// This is the code of the essential container that ended. After a requested stop it is 0 if every container
    /// exited 0 or by the requested SIGTERM, otherwise the first other exit code.
    pub fn exit_code(&self) -> ExitCode {
        if let Some(name) = &self.cause {
            let cause = self
                .containers
                .iter()
                .find(|container| container.name == *name);
            return cause.and_then(|container| container.exit_code).unwrap_or(1);
        }

        let failed = |container: &&ContainerReport| !container.is_success();
        self.containers
            .iter()
            .find(failed)
            .and_then(|container| container.exit_code)
            .unwrap_or(0)
    }
}

impl ContainerReport {
    /// True if it exited 0, by the SIGTERM it was sent, or early without being essential, or if it never ran.
    fn is_success(&self) -> bool {
        let requested = self.stop_requested_at.is_some() && self.exit_code == Some(143);
        let harmless = !self.essential && self.stop_requested_at.is_none() && !self.killed;
        requested || harmless || matches!(self.exit_code, Some(0) | None)
    }
}
