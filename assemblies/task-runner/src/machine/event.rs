//! The interface of the machine: events in, actions and changes out.

use std::fmt;
use std::time::Duration;

/// The exit code of a process as a shell reports it: 128 + n after signal n.
pub type ExitCode = i32;

/// The exit code ECS assigns to a container that never started because of a dependency.
pub const UNRESOLVED: ExitCode = 143;

/// An event the machine reacts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The process of a container is running.
    Spawned {
        /// The index of the container in the spec.
        container: usize,
    },
    /// The process of a container could not be started.
    SpawnFailed {
        /// The index of the container in the spec.
        container: usize,
        /// The reason in the form of ECS: `CannotStartContainerError: …`.
        reason: String,
    },
    /// All processes of a container have ended.
    Exited {
        /// The index of the container in the spec.
        container: usize,
        /// Its exit code, or `None` if it could not be determined.
        code: Option<ExitCode>,
        /// True if it was killed for using too much memory.
        out_of_memory: bool,
    },
    /// A health probe has ended.
    Probed {
        /// The index of the container in the spec.
        container: usize,
        /// The run it belongs to, from [`Action::Probe`].
        run: u32,
        /// When the probe began.
        began: Duration,
        /// Its result.
        outcome: Outcome,
    },
    /// A stop in order was requested.
    StopRequested {
        /// The stop code: user, scheduler, Spot.
        code: StopCode,
        /// The `stoppedReason` to report.
        reason: String,
    },
    /// A restart of this container was requested, because its program has changed.
    ReplaceRequested {
        /// The index of the container in the spec.
        container: usize,
    },
    /// An immediate kill of all containers was requested.
    KillRequested {
        /// The `stoppedReason` to report, unless the task is already stopping.
        reason: String,
    },
    /// No event, but time has passed.
    Tick,
}

/// The result of a health probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It exited 0 in time.
    Passed,
    /// It exited with another code, could not run, or timed out.
    Failed,
}

/// An action the caller performs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start the process; report `Spawned` or `SpawnFailed`.
    Spawn {
        /// The index of the container in the spec.
        container: usize,
    },
    /// Send the stop signal.
    Terminate {
        /// The index of the container in the spec.
        container: usize,
    },
    /// Kill the process and all it started; report `Exited`.
    Kill {
        /// The index of the container in the spec.
        container: usize,
    },
    /// Run the health check once; report `Probed`.
    Probe {
        /// The index of the container in the spec.
        container: usize,
        /// The run to name in `Probed`.
        run: u32,
        /// Kill the probe after this time.
        timeout: Duration,
    },
    /// Report a change to observers.
    Publish(Change),
}

/// A change visible to observers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A container's dependencies hold, and it is being started.
    Starting {
        /// The index of the container in the spec.
        container: usize,
    },
    /// A container runs.
    Running {
        /// The index of the container in the spec.
        container: usize,
        /// 1 for the first run, one more after each restart.
        run: u32,
    },
    /// A container's health or its number of consecutive failures changed.
    Health {
        /// The index of the container in the spec.
        container: usize,
        /// The health ECS reports.
        health: Health,
        /// Consecutive counted failures.
        streak: u32,
    },
    /// A container stopped as requested and is being started again.
    Replacing {
        /// The index of the container in the spec.
        container: usize,
    },
    /// A container exited and its restart policy restarts it.
    Restarting {
        /// The index of the container in the spec.
        container: usize,
        /// The exit code of the run that ended.
        code: ExitCode,
    },
    /// A container was asked to stop.
    Stopping {
        /// The index of the container in the spec.
        container: usize,
        /// When it will be killed.
        kill_at: Duration,
    },
    /// A container is being killed, after its stop timeout or at once.
    Killing {
        /// The index of the container in the spec.
        container: usize,
    },
    /// A container has ended, or will never start.
    Stopped {
        /// The index of the container in the spec.
        container: usize,
        /// Its exit code, if known.
        code: Option<ExitCode>,
        /// The reason as ECS reports it, if the code alone does not say it.
        reason: Option<String>,
    },
    /// The task is being stopped.
    TaskStopping(Stop),
    /// The task's status changed.
    Task(TaskStatus),
}

/// The status of a task or a container as ECS reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskStatus {
    /// At least one container has not started.
    Pending,
    /// Every container has started.
    Running,
    /// Every container has ended.
    Stopped,
}

/// The health ECS reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Health {
    /// There is no check, or it has no result yet.
    #[default]
    Unknown,
    /// The last result was a success.
    Healthy,
    /// `retries` consecutive probes failed.
    Unhealthy,
}

impl Health {
    /// Combines the health of two containers; the worse one wins, and UNKNOWN is worse than HEALTHY.
    pub(super) fn worse(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unhealthy, _) | (_, Self::Unhealthy) => Self::Unhealthy,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Healthy, Self::Healthy) => Self::Healthy,
        }
    }
}

/// Why a task stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The ECS stop code.
    pub code: StopCode,
    /// The `stoppedReason` as ECS words it.
    pub reason: String,
    /// The container that caused the stop, if one did.
    pub cause: Option<usize>,
}

/// The ECS stop codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCode {
    /// An essential container failed to start.
    TaskFailedToStart,
    /// An essential container exited.
    EssentialContainerExited,
    /// A user requested the stop.
    UserInitiated,
    /// A service scaled in or was redeployed.
    ServiceSchedulerInitiated,
    /// Spot capacity was reclaimed.
    SpotInterruption,
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Stopped => "STOPPED",
        })
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "UNKNOWN",
            Self::Healthy => "HEALTHY",
            Self::Unhealthy => "UNHEALTHY",
        })
    }
}

impl fmt::Display for StopCode {
    // The variants are spelled as in the ECS API.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
