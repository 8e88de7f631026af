//! Memory limits: measures memory, and kills containers over a limit if the kernel does not enforce it.

use std::mem;

use task_definition::fargate_sizes::parse_memory;

use super::Runner;
use crate::memory::ProcessTable;
use crate::process::ProcessCommand;
use crate::system::proportional;

/// The memory of one container's processes.
struct MemoryUsage {
    container: usize,
    pids: Vec<u32>,
    resident: u64,
}

impl Runner {
    /// Kills containers over their hard limit, or else the largest one if the task is over its limit.
    ///
    /// Resident memory is fast to read but counts shared pages for each process. It only rules out an excess; the
    /// proportional size, slower to read, decides.
    pub(super) fn check_memory(&mut self) {
        let processes = ProcessTable::snapshot();
        let usage = self.measure(&processes);

        // With cgroups the kernel enforces the limits.
        if self.plan.cgroups.is_some() {
            return;
        }

        let mut over = self.over_container_limit(&usage);
        if over.is_empty() {
            over.extend(self.over_task_limit(&usage));
        }

        for container in over {
            let managed = &mut self.containers[container];
            // Sent once: the processes may take longer to die than until the next check.
            if !mem::replace(&mut managed.out_of_memory, true) {
                managed.send_command(ProcessCommand::Kill);
            }
        }
    }

    /// Measures each container and records the values in its report.
    fn measure(&mut self, processes: &ProcessTable) -> Vec<MemoryUsage> {
        let mut usage = Vec::new();
        for (container, managed) in self.containers.iter_mut().enumerate() {
            let Some(pid) = managed.pid else { continue };
            let pids = processes.descendants(pid);
            let resident = processes.resident(&pids);
            let report = &mut managed.report;

            // Shared file pages can lift resident memory above a limit that the kernel enforces, since it charges
            // them to the cgroup that read them first. Above the limit only the proportional size is meaningful.
            let is_over = managed
                .definition
                .memory
                .is_some_and(|limit| resident > mebibytes(limit));
            let used = if is_over {
                resident.min(proportional(&pids))
            } else {
                resident
            };
            report.peak_memory = report.peak_memory.max(used);
            // A descendant reaped by init takes its CPU time along, so the sum can drop.
            let cpu_time = processes.cpu_time(&pids);
            managed.current_cpu_time = cpu_time.max(managed.current_cpu_time);
            usage.push(MemoryUsage {
                container,
                pids,
                resident,
            });
        }

        usage
    }

    fn over_container_limit(&self, all: &[MemoryUsage]) -> Vec<usize> {
        let is_over = |usage: &&MemoryUsage| {
            let limit = self.containers[usage.container].definition.memory;
            limit
                .map(mebibytes)
                .is_some_and(|limit| usage.resident > limit && proportional(&usage.pids) > limit)
        };
        let over = all.iter().filter(is_over);
        over.map(|usage| usage.container).collect()
    }

    /// Returns the largest container, if all containers together exceed the limit of the task.
    fn over_task_limit(&self, all: &[MemoryUsage]) -> Option<usize> {
        let limit = self.plan.definition.memory.as_deref()?;
        let limit = parse_memory(limit).map(mebibytes)?;
        let resident: u64 = all.iter().map(|usage| usage.resident).sum();
        if resident <= limit {
            return None;
        }

        let exact: Vec<(u64, usize)> = all
            .iter()
            .map(|usage| (proportional(&usage.pids), usage.container))
            .collect();
        let total: u64 = exact.iter().map(|(bytes, _)| bytes).sum();
        let largest = exact.iter().max().filter(|_| total > limit);

        largest.map(|(_, container)| *container)
    }
}

fn mebibytes(count: u32) -> u64 {
    u64::from(count) * 1024 * 1024
}
