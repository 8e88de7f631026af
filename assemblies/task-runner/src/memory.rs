//! What the processes of a container hold and use.
//!
//! Memory is looked at, not walled in: between two looks a container can be above its limit, where a
//! cgroup would not let it. What it then gets is what Fargate gives it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::system::{Seen, look, proportional};

/// Every process of this machine at one moment, by its parent.
#[derive(Debug)]
pub(crate) struct Processes {
    children: BTreeMap<u32, Vec<u32>>,
    seen: BTreeMap<u32, Seen>,
}

impl Processes {
    /// Looks.
    pub(crate) fn look() -> Self {
        let (mut children, mut seen) = (BTreeMap::<u32, Vec<u32>>::new(), BTreeMap::new());
        for one in look() {
            children.entry(one.parent).or_default().push(one.pid);
            seen.insert(one.pid, one);
        }
        Self { children, seen }
    }

    /// A process and all that came of it.
    pub(crate) fn of(&self, pid: u32) -> Vec<u32> {
        let mut found = vec![pid];
        let mut next = 0;
        while let Some(parent) = found.get(next) {
            found.extend(self.children.get(parent).into_iter().flatten());
            next += 1;
        }
        found
    }

    /// The time that processes, and the children they have buried, spent on a processor.
    pub(crate) fn processor_time(&self, pids: &[u32]) -> Duration {
        self.those(pids).map(|one| one.spent).sum()
    }

    /// Bytes that processes hold, shared ones counted for each: never too few.
    pub(crate) fn resident(&self, pids: &[u32]) -> u64 {
        self.those(pids).map(|one| one.resident).sum()
    }

    /// Bytes that processes hold, what is shared divided among those who share it, where that is known.
    pub(crate) fn proportional(&self, pids: &[u32]) -> u64 {
        proportional(pids).unwrap_or_else(|| self.resident(pids))
    }

    fn those(&self, pids: &[u32]) -> impl Iterator<Item = &Seen> {
        pids.iter().filter_map(|pid| self.seen.get(pid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_among_its_own_and_holds_something() {
        let own = std::process::id();
        let processes = Processes::look();
        let pids = processes.of(own);
        assert!(pids.contains(&own));

        let parent = processes.seen[&own].parent;
        assert!(processes.of(parent).contains(&own));
        let (resident, proportional) = (processes.resident(&[own]), processes.proportional(&[own]));

        // Between the two looks it may have grown.
        assert!(
            proportional > 0 && proportional <= resident * 2,
            "{proportional} of {resident}"
        );
    }
}
