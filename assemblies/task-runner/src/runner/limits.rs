//! Memory limits: measures memory, and kills containers over a limit if the kernel does not enforce it.

use std::mem;
use std::rc::Rc;

use task_definition::fargate_sizes::parse_memory;

use super::Runner;
use crate::memory::ProcessTable;
use crate::process::ProcessCommand;

/// The memory of one container's processes.
struct MemoryUsage {
    container: usize,
    processes: Rc<ProcessTable>,
    pids: Vec<u32>,
    resident: u64,
}

impl MemoryUsage {
    fn proportional(&self) -> u64 {
        self.processes.proportional(&self.pids)
    }
}

impl Runner {
    /// Kills containers over their hard limit, or else the largest one if the task is over its limit.
    ///
    /// Resident memory is fast to read but counts shared pages for each process. It only rules out an excess; the
    /// proportional size, slower to read, decides.
    pub(super) fn check_memory(&mut self) {
        let usage = self.measure();

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
    fn measure(&mut self) -> Vec<MemoryUsage> {
        let mut usage = Vec::new();
        let mut host = None::<Rc<ProcessTable>>;
        // Containers that share a PID namespace are told apart by the parents of their processes.
        let is_shared = self.plan.definition.pid_mode.as_deref() == Some("task");
        for (container, managed) in self.containers.iter_mut().enumerate() {
            let Some(pid) = managed.pid else { continue };
            let own = Some(pid)
                .filter(|_| !is_shared)
                .and_then(ProcessTable::for_container);
            let (processes, pids) = if let Some(own) = own {
                let pids = own.pids();
                (Rc::new(own), pids)
            } else {
                let host = host.get_or_insert_with(|| Rc::new(ProcessTable::snapshot()));
                (Rc::clone(host), host.descendants(pid))
            };
            let resident = processes.resident(&pids);
            let report = &mut managed.report;

            // Shared file pages can lift resident memory above a limit that the kernel enforces, since it charges
            // them to the cgroup that read them first. Above the limit only the proportional size is meaningful.
            let is_over = managed
                .definition
                .memory
                .is_some_and(|limit| resident > mebibytes(limit));
            let used = if is_over {
                resident.min(processes.proportional(&pids))
            } else {
                resident
            };
            report.peak_memory = report.peak_memory.max(used);
            // A descendant reaped by init takes its CPU time along, so the sum can drop.
            let cpu_time = processes.cpu_time(&pids);
            managed.current_cpu_time = cpu_time.max(managed.current_cpu_time);
            usage.push(MemoryUsage {
                container,
                processes,
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
                .is_some_and(|limit| usage.resident > limit && usage.proportional() > limit)
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
            .map(|usage| (usage.proportional(), usage.container))
            .collect();
        let total: u64 = exact.iter().map(|(bytes, _)| bytes).sum();
        let largest = exact.iter().max().filter(|_| total > limit);

        largest.map(|(_, container)| *container)
    }
}

fn mebibytes(count: u32) -> u64 {
    u64::from(count) * 1024 * 1024
}
