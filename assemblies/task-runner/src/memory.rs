//! Measures the memory and CPU time of a container's processes.
//!
//! Without cgroups, limits are checked by polling: between two measurements a container can exceed its limit,
//! which a cgroup would prevent. The consequence is the same as on Fargate.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::system::{ProcessStat, snapshot};

/// All processes of this host at one moment, by parent.
#[derive(Debug)]
pub(crate) struct ProcessTable {
    children: BTreeMap<u32, Vec<u32>>,
    stats: BTreeMap<u32, ProcessStat>,
}

impl ProcessTable {
    /// Reads all processes.
    pub(crate) fn snapshot() -> Self {
        let (mut children, mut stats) = (BTreeMap::<u32, Vec<u32>>::new(), BTreeMap::new());
        for process in snapshot() {
            children
                .entry(process.parent)
                .or_default()
                .push(process.pid);
            stats.insert(process.pid, process);
        }
        Self { children, stats }
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
    use crate::system::proportional;

    #[test]
    fn a_process_is_its_own_descendant_and_uses_memory() {
        let own = std::process::id();
        let processes = ProcessTable::snapshot();
        let pids = processes.descendants(own);
        assert!(pids.contains(&own));

        let parent = processes.stats[&own].parent;
        assert!(processes.descendants(parent).contains(&own));
        let (resident, proportional) = (processes.resident(&[own]), proportional(&[own]));

        // The two values are read one after the other; the process may have grown.
        assert!(
            proportional > 0 && proportional <= resident * 2,
            "{proportional} of {resident}"
        );
    }
}
