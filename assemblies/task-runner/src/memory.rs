//! What the processes of a container hold and use, from `/proc`.
//!
//! Memory is looked at, not walled in: between two looks a container can be above its limit, where a
//! cgroup would not let it. What it then gets is what Fargate gives it.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};

/// Every process of this machine at one moment, by its parent.
#[derive(Debug)]
pub(crate) struct Processes {
    children: BTreeMap<u32, Vec<u32>>,
    spent: BTreeMap<u32, u64>,
}

impl Processes {
    /// Looks.
    pub(crate) fn look() -> Self {
        let (mut children, mut spent) = (BTreeMap::<u32, Vec<u32>>::new(), BTreeMap::new());
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
            if let Some((parent, ticks)) = stat(pid) {
                children.entry(parent).or_default().push(pid);
                spent.insert(pid, ticks);
            }
        }
        Self { children, spent }
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
        let ticks: u64 = pids.iter().filter_map(|pid| self.spent.get(pid)).sum();
        Duration::from_millis(ticks * 1000 / clock_ticks_per_second().max(1))
    }
}

/// The parent, and the clock ticks of the process and its buried children: words 4 and 14 to 17 of
/// `/proc/<pid>/stat`. The second is the name, in brackets, spaces and all.
fn stat(pid: u32) -> Option<(u32, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let words: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = words
        .get(11..15)?
        .iter()
        .filter_map(|word| word.parse::<u64>().ok());
    Some((words.get(1)?.parse().ok()?, ticks.sum()))
}

/// Bytes that processes hold, shared ones counted for each: never too few, and quick to read.
pub(crate) fn resident(pids: &[u32]) -> u64 {
    let of = |pid: &u32| {
        let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        statm.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    let pages: u64 = pids.iter().filter_map(of).sum();
    pages * u64::try_from(page_size()).unwrap_or_default()
}

/// Bytes that processes hold, what is shared divided among those who share it; slower to read.
pub(crate) fn proportional(pids: &[u32]) -> u64 {
    let of = |pid: &u32| {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    pids.iter().filter_map(of).sum::<u64>() * 1024
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
        assert!(processes.of(processes_parent(own)).contains(&own));
        let (resident, proportional) = (resident(&[own]), proportional(&[own]));
        assert!(
            proportional > 0 && proportional <= resident,
            "{proportional} of {resident}"
        );
    }

    fn processes_parent(pid: u32) -> u32 {
        stat(pid).unwrap().0
    }
}
