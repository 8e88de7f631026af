//! Memory: who holds how much, and who is killed for it where the kernel does not keep the limits.

use std::mem;

use task_definition::fargate_sizes::parse_memory;

use super::Runner;
use crate::memory::Processes;
use crate::process::Order;

/// What the processes of one container hold.
struct Held {
    container: usize,
    pids: Vec<u32>,
    resident: u64,
}

impl Runner {
    /// Kills whoever holds more than its hard limit, or, where the task holds more than its own, whoever holds
    /// most. The quick look may only say that all is well; the slow one decides.
    pub(super) fn look_at_memory(&mut self) {
        let processes = Processes::look();
        let held = self.measure(&processes);

        // Where the kernel keeps the limits, nobody comes to be over one.
        if self.plan.groups.is_some() {
            return;
        }

        let mut over = self.over_their_own(&processes, &held);
        if over.is_empty() {
            over.extend(self.over_the_tasks(&processes, &held));
        }

        for container in over {
            let member = &mut self.members[container];
            if !mem::replace(&mut member.out_of_memory, true) {
                member.tell(Order::Kill);
            }
        }
    }

    /// The quick look, written into the reports.
    fn measure(&mut self, processes: &Processes) -> Vec<Held> {
        let mut held = Vec::new();
        for (container, member) in self.members.iter_mut().enumerate() {
            let Some(pid) = member.pid else { continue };
            let pids = processes.of(pid);
            let resident = processes.resident(&pids);
            let report = &mut member.report;

            report.peak_memory = report.peak_memory.max(resident);
            let spent = processes.processor_time(&pids);
            member.spent_now = spent.max(member.spent_now);
            held.push(Held {
                container,
                pids,
                resident,
            });
        }

        held
    }

    fn over_their_own(&self, processes: &Processes, held: &[Held]) -> Vec<usize> {
        let is_over = |one: &&Held| {
            let limit = self.members[one.container].definition.memory;
            limit.map(mebibytes).is_some_and(|limit| {
                one.resident > limit && processes.proportional(&one.pids) > limit
            })
        };
        let over = held.iter().filter(is_over);
        over.map(|one| one.container).collect()
    }

    /// Who holds most, where all of them together hold more than the task may.
    fn over_the_tasks(&self, processes: &Processes, held: &[Held]) -> Option<usize> {
        let limit = self.plan.definition.memory.as_deref()?;
        let limit = parse_memory(limit).map(mebibytes)?;
        let all: u64 = held.iter().map(|one| one.resident).sum();
        if all <= limit {
            return None;
        }

        let exact = held
            .iter()
            .map(|one| (processes.proportional(&one.pids), one.container));
        let exact: Vec<(u64, usize)> = exact.collect();
        let all: u64 = exact.iter().map(|(bytes, _)| bytes).sum();
        let most = exact.iter().max().filter(|_| all > limit);

        most.map(|(_, container)| *container)
    }
}

fn mebibytes(count: u32) -> u64 {
    u64::from(count) * 1024 * 1024
}
