//! What the runner tells, and what it can be told.

use std::time::Duration;

use crate::machine::{ExitCode, Health, StopCode, TaskStatus};

/// Something that happened in a task that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerEvent {
    /// When, since the task began.
    pub at: Duration,
    /// Which container; none when it is about the task.
    pub container: Option<String>,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A container's process runs.
    Started {
        /// Its process id on this machine.
        pid: u32,
        /// 1 at first, one more after each restart.
        run: u32,
        /// The containers it waited for, as `name CONDITION`.
        after: Vec<String>,
    },
    /// A container's health, or its count of failures, changed.
    Health {
        /// As ECS reports it.
        health: Health,
        /// Counted failures in a row.
        streak: u32,
        /// The exit code of the last probe; -1 for one that did not end by itself, or could not begin.
        code: ExitCode,
        /// What the last probe printed.
        output: String,
    },
    /// It has ended, as it was told to, and is started again.
    Replacing,
    /// A container ended and its restart policy brings it back.
    Restarting {
        /// The exit code it ended with.
        code: ExitCode,
    },
    /// A container was sent SIGTERM.
    Stopping {
        /// How long it has until it is killed.
        limit: Duration,
    },
    /// A container is killed.
    Killing,
    /// A container has ended, or never began.
    Stopped {
        /// Its exit code, where there is one.
        code: Option<ExitCode>,
        /// What there is to say beyond the code.
        reason: Option<String>,
    },
    /// A container printed a line.
    Log {
        /// Where to.
        stream: Stream,
        /// The line, without its end; at most 16 KiB.
        line: String,
    },
    /// Something would go wrong on Fargate, or is not as it would be there.
    Warning(String),
    /// The task is being stopped.
    TaskStopping {
        /// ECS's code for the reason.
        code: StopCode,
        /// ECS's sentence for it.
        reason: String,
    },
    /// The task's status or health changed.
    Task {
        /// Pending, running, stopped.
        status: TaskStatus,
        /// The health of its essential containers together.
        health: Health,
    },
}

/// Where a line was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What a running task can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// End this container in order and start it again, as its program has changed.
    Replace {
        /// Its name; one that does not run is left alone.
        container: String,
    },
    /// Stop in order, as StopTask would.
    Stop {
        /// Who wants it.
        code: StopCode,
        /// The sentence for `stoppedReason`.
        reason: String,
    },
    /// Kill everything now.
    Kill {
        /// The sentence for `stoppedReason`, unless the task was stopping already.
        reason: String,
    },
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// ECS's code for why it stopped; none when nothing essential was in it.
    pub stop_code: Option<StopCode>,
    /// ECS's sentence for why it stopped.
    pub stopped_reason: String,
    /// The container that caused it, where one did.
    pub guilty: Option<String>,
    /// Whether the task ever was RUNNING.
    pub was_running: bool,
    /// Every container, in the order of the definition.
    pub containers: Vec<ContainerReport>,
    /// Events that nobody took in time; the log files have all lines.
    pub unheard: u64,
}

/// How one container ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerReport {
    /// Its name.
    pub name: String,
    /// Whether the task could not do without it.
    pub essential: bool,
    /// Its exit code; none when it never ran or nobody could learn it.
    pub code: Option<ExitCode>,
    /// What there is to say beyond the code.
    pub reason: Option<String>,
    /// When it first ran.
    pub started: Option<Duration>,
    /// When it was asked to stop.
    pub asked: Option<Duration>,
    /// Whether it had to be killed.
    pub killed: bool,
    /// When it ended.
    pub stopped: Duration,
    /// How long it may take to stop.
    pub stop_timeout: Duration,
    /// How often its restart policy brought it back.
    pub restarts: u32,
    /// The most bytes that its processes were seen to hold.
    pub peak_memory: u64,
    /// The time that its processes were seen to spend on a processor, all runs together.
    pub processor_time: Duration,
    /// The last lines it printed to stderr, or to stdout when stderr was silent.
    pub last_lines: Vec<String>,
}

impl Finished {
    /// The exit code for a program that ran the task.
    ///
    /// The code of the essential container that ended; after a stop by somebody 0 when all ended
    /// well or because they were told to, otherwise the first code that is neither.
    pub fn exit_code(&self) -> ExitCode {
        if let Some(name) = &self.guilty {
            let guilty = self.containers.iter().find(|one| one.name == *name);
            return guilty.and_then(|one| one.code).unwrap_or(1);
        }

        let bad = |one: &&ContainerReport| !one.ended_well();
        self.containers
            .iter()
            .find(bad)
            .and_then(|one| one.code)
            .unwrap_or(0)
    }
}

impl ContainerReport {
    /// It exited 0, or by the SIGTERM it was sent, or never ran, or ended early without harm.
    fn ended_well(&self) -> bool {
        let by_us = self.asked.is_some() && self.code == Some(143);
        let harmless = !self.essential && self.asked.is_none() && !self.killed;
        by_us || harmless || matches!(self.code, Some(0) | None)
    }
}
