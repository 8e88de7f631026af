//! The words in which the machine and the world talk: events in, actions and changes out.

use std::fmt;
use std::time::Duration;

/// The exit code of a process as a shell counts it: 128 + n after signal n.
pub type ExitCode = i32;

/// The exit code that ECS gives to a container that could never start because of a dependency.
pub const UNRESOLVED: ExitCode = 143;

/// Something that happened in the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The process of a container is running.
    Spawned {
        /// Which container.
        container: usize,
    },
    /// The process of a container could not be started.
    SpawnFailed {
        /// Which container.
        container: usize,
        /// Why, in ECS's form: `CannotStartContainerError: …`.
        reason: String,
    },
    /// The process of a container, and all that it started, is gone.
    Exited {
        /// Which container.
        container: usize,
        /// Its exit code; `None` when nobody could learn it.
        code: Option<ExitCode>,
        /// It was killed because its memory was used up.
        out_of_memory: bool,
    },
    /// A health probe has ended.
    Probed {
        /// Which container.
        container: usize,
        /// The run it belongs to, from [`Action::Probe`].
        run: u32,
        /// When the probe began.
        began: Duration,
        /// How it ended.
        outcome: Outcome,
    },
    /// Somebody wants the task stopped in order.
    StopRequested {
        /// Who: a user, a scheduler, Spot.
        code: StopCode,
        /// The sentence for `stoppedReason`.
        reason: String,
    },
    /// Somebody wants this container ended in order and started again: its program has changed.
    ReplaceRequested {
        /// Its place in the spec.
        container: usize,
    },
    /// Somebody wants everything killed now.
    KillRequested {
        /// The sentence for `stoppedReason`, when nothing was stopping yet.
        reason: String,
    },
    /// Nothing happened, but time has passed.
    Tick,
}

/// How a health probe ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It exited 0 in time.
    Passed,
    /// It exited otherwise, could not run, or took too long.
    Failed,
}

/// Something to be done in the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start the process; answer with `Spawned` or `SpawnFailed`.
    Spawn {
        /// Which container.
        container: usize,
    },
    /// Send the stop signal.
    Terminate {
        /// Which container.
        container: usize,
    },
    /// Kill the process and all it started; answer with `Exited`.
    Kill {
        /// Which container.
        container: usize,
    },
    /// Run the health check once; answer with `Probed`.
    Probe {
        /// Which container.
        container: usize,
        /// To be given back in the answer.
        run: u32,
        /// Kill the probe when it takes longer.
        timeout: Duration,
    },
    /// Tell whoever watches.
    Publish(Change),
}

/// Something an onlooker wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A container's dependencies hold and it is being started.
    Starting {
        /// Which container.
        container: usize,
    },
    /// A container runs.
    Running {
        /// Which container.
        container: usize,
        /// 1 at first, one more after each restart.
        run: u32,
    },
    /// A container's health changed, or the number of failures in a row did.
    Health {
        /// Which container.
        container: usize,
        /// What ECS reports.
        health: Health,
        /// Counted failures in a row.
        streak: u32,
    },
    /// It has ended, as it was told to, and is started again.
    Replacing {
        /// Its place in the spec.
        container: usize,
    },
    /// A container ended and its restart policy brings it back.
    Restarting {
        /// Which container.
        container: usize,
        /// The exit code it ended with.
        code: ExitCode,
    },
    /// A container was asked to stop.
    Stopping {
        /// Which container.
        container: usize,
        /// When it will be killed.
        kill_at: Duration,
    },
    /// A container did not stop in time, or nobody wants to wait, and is killed.
    Killing {
        /// Which container.
        container: usize,
    },
    /// A container has ended, or will never begin.
    Stopped {
        /// Which container.
        container: usize,
        /// Its exit code, where there is one.
        code: Option<ExitCode>,
        /// What there is to say beyond the code.
        reason: Option<String>,
    },
    /// The task is being stopped.
    TaskStopping(Stop),
    /// The task's status changed.
    Task(TaskStatus),
}

/// The status of a task, or of a container, as ECS reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskStatus {
    /// Something still waits to be started.
    Pending,
    /// Everything has been started.
    Running,
    /// Everything has ended.
    Stopped,
}

/// Health as ECS reports it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Health {
    /// No check, or no verdict yet.
    #[default]
    Unknown,
    /// The last verdict was good.
    Healthy,
    /// Too many probes in a row have failed.
    Unhealthy,
}

impl Health {
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
    /// ECS's code for it.
    pub code: StopCode,
    /// ECS's sentence for it.
    pub reason: String,
    /// The container that caused it, where one did.
    pub guilty: Option<usize>,
}

/// ECS's codes for why a task stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCode {
    /// A container that had to start could not.
    TaskFailedToStart,
    /// An essential container ended.
    EssentialContainerExited,
    /// Somebody asked for it.
    UserInitiated,
    /// A service scaled in or was deployed anew.
    ServiceSchedulerInitiated,
    /// Spot capacity was taken back.
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
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
