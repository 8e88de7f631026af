//! The limits of the decoding process.

use std::io;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
use serde::{Deserialize, Serialize};

/// What the decoding process may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessLimits {
    /// Maximum memory, in bytes.
    pub(crate) max_memory_bytes: u64,
}

impl ProcessLimits {
    /// Applies the limits to this process, for at most `time` of CPU.
    pub(super) fn apply(self, time: Duration) -> io::Result<()> {
        // A child must not outlive the process that reads its result.
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // Memory that is private and writable, mapped or from malloc (setrlimit(2)); shared libraries do not count
        // as they would for RLIMIT_AS.
        limit(Resource::Data, self.max_memory_bytes)?;
        // Whole seconds, rounded up: the parent keeps the exact deadline.
        limit(Resource::Cpu, time.as_secs() + 1)?;
        // The number of the next descriptor must be below the limit, so nothing can be opened any more.
        limit(Resource::Nofile, 0)?;
        limit(Resource::Fsize, 0)?;
        limit(Resource::Core, 0)
    }
}

fn limit(resource: Resource, value: u64) -> io::Result<()> {
    let limit = Rlimit {
        current: Some(value),
        maximum: Some(value),
    };
    Ok(setrlimit(resource, limit)?)
}
