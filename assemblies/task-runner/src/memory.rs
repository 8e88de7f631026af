//! Measures the memory and CPU time of a container's processes.
//!
//! Without cgroups, limits are checked by polling: between two measurements a container can exceed its limit,
//! which a cgroup would prevent. The consequence is the same as on Fargate.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::system::{PROC, ProcessStat, own_proc, proportional, snapshot};

/// All processes of a PID namespace at one moment, by parent.
#[derive(Debug)]
pub(crate) struct ProcessTable {
    proc: PathBuf,
    children: BTreeMap<u32, Vec<u32>>,
    stats: BTreeMap<u32, ProcessStat>,
}

impl ProcessTable {
    /// Reads all processes of this host.
    pub(crate) fn snapshot() -> Self {
        Self::read(PROC.into())
    }

    /// Reads the processes of a container that has a PID namespace of its own, given its first process.
    ///
    /// It takes as long as the container has processes. Reading those of the host takes as long as the host has, so
    /// with many tasks each would slow down all others.
    pub(crate) fn for_container(pid: u32) -> Option<Self> {
        own_proc(pid).map(Self::read)
    }

    fn read(proc: PathBuf) -> Self {
        let (mut children, mut stats) = (BTreeMap::<u32, Vec<u32>>::new(), BTreeMap::new());
        for process in snapshot(&proc) {
            children
                .entry(process.parent)
                .or_default()
                .push(process.pid);
            stats.insert(process.pid, process);
        }
        Self {
            proc,
            children,
            stats,
        }
    }

    /// Returns all processes.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.stats.keys().copied().collect()
    }

    /// Returns the proportional memory of processes in bytes. Slower than [`Self::resident`].
    pub(crate) fn proportional(&self, pids: &[u32]) -> u64 {
        proportional(&self.proc, pids)
    }

    /// Returns a process and all its descendants.
    pub(crate) fn descendants(&self, pid: u32) -> Vec<u32> {
        let mut found = vec![pid];
        let mut next = 0;
        while let Some(parent) = found.get(next) {
            found.extend(self.children.get(parent).into_iter().flatten());
            next += 1;
        }
        found
    }

    /// Returns the CPU time of processes and of the children they have reaped.
    pub(crate) fn cpu_time(&self, pids: &[u32]) -> Duration {
        self.select(pids).map(|process| process.cpu_time).sum()
    }

    /// Returns resident memory in bytes. Shared pages count for each process, so it is an upper bound.
    pub(crate) fn resident(&self, pids: &[u32]) -> u64 {
        self.select(pids).map(|process| process.resident).sum()
    }

    fn select(&self, pids: &[u32]) -> impl Iterator<Item = &ProcessStat> {
        pids.iter().filter_map(|pid| self.stats.get(pid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_its_own_descendant_and_uses_memory() {
        let own = std::process::id();
        let processes = ProcessTable::snapshot();
        let pids = processes.descendants(own);
        assert!(pids.contains(&own));

        let parent = processes.stats[&own].parent;
        assert!(processes.descendants(parent).contains(&own));
        let (resident, proportional) = (processes.resident(&[own]), processes.proportional(&[own]));

        // The two values are read one after the other; the process may have grown.
        assert!(
            proportional > 0 && proportional <= resident * 2,
            "{proportional} of {resident}"
        );
    }

    #[test]
    fn a_process_in_the_namespace_of_this_one_has_no_table() {
        // Its /proc would show all processes, not those of a container.
        assert!(ProcessTable::for_container(std::process::id()).is_none());
    }
}
