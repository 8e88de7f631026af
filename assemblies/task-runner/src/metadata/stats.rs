//! What a container uses, in the shape of Docker's stats, as far as the system tells.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::calendar::rfc3339;
use super::view::{ContainerView, TaskView};
use crate::memory::Processes;
use crate::system::{Interface, interfaces, machine_time};

/// The look before the last one, by container: every answer tells of two.
#[derive(Debug, Default)]
pub(super) struct Looks(Mutex<BTreeMap<String, Look>>);

#[derive(Debug, Clone, Copy)]
struct Look {
    at: SystemTime,
    spent: Duration,
    machine: Duration,
    most: u64,
}

impl Looks {
    /// Of one container; `null` when it does not run.
    pub(super) fn of(&self, view: &TaskView, one: &ContainerView) -> Value {
        self.told(&Processes::look(), view, one)
    }

    /// Of all, by id.
    pub(super) fn of_all(&self, view: &TaskView) -> Value {
        let processes = Processes::look();
        let all = view.containers.iter();
        let all = all.map(|one| (one.id.clone(), self.told(&processes, view, one)));
        Value::Object(all.collect())
    }

    fn told(&self, processes: &Processes, view: &TaskView, one: &ContainerView) -> Value {
        let Some(pid) = one.pid else {
            return Value::Null;
        };
        let pids = processes.of(pid);
        let held = processes.proportional(&pids);
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = looks.get(&one.id).copied();
        let now = Look {
            at: SystemTime::now(),
            spent: processes.processor_time(&pids),
            machine: machine_time(),
            most: before.map_or(0, |look| look.most).max(held),
        };

        looks.insert(one.id.clone(), now);
        let limit = one.definition.memory.map(u64::from).or(view.memory);
        json!({
            "id": one.id,
            "name": one.definition.name,
            "read": rfc3339(now.at),
            "preread": before.map_or("0001-01-01T00:00:00Z".to_owned(), |look| rfc3339(look.at)),
            "num_procs": 0,
            "pids_stats": { "current": pids.len() },
            "cpu_stats": processor(Some(now)),
            "precpu_stats": processor(before),
            "memory_stats": {
                "usage": held,
                "max_usage": now.most,
                "limit": limit.unwrap_or(0) * 1024 * 1024,
                "stats": {},
            },
            "blkio_stats": { "io_service_bytes_recursive": [], "io_serviced_recursive": [] },
            "storage_stats": {},
            "networks": networks(pid),
        })
    }
}

/// The interfaces of the task's own network under their own names. Of this machine's nobody can tell what is the
/// task's.
fn networks(pid: u32) -> Value {
    let told = |one: Interface| {
        let counts = COUNTED.into_iter().zip(one.counts);
        (one.name, counts.collect::<BTreeMap<_, _>>())
    };
    json!(
        interfaces(pid)
            .into_iter()
            .map(told)
            .collect::<BTreeMap<_, _>>()
    )
}

fn processor(look: Option<Look>) -> Value {
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let (spent, machine) = look.map_or((0, 0), |look| {
        (nanoseconds(look.spent), nanoseconds(look.machine))
    });
    json!({
        "cpu_usage": { "total_usage": spent, "usage_in_kernelmode": 0, "usage_in_usermode": spent },
        "system_cpu_usage": machine,
        "online_cpus": available_parallelism().map_or(1, std::num::NonZero::get),
        "throttling_data": { "periods": 0, "throttled_periods": 0, "throttled_time": 0 },
    })
}

/// Docker's names for what a system counts of an interface.
const COUNTED: [&str; 8] = [
    "rx_bytes",
    "rx_packets",
    "rx_errors",
    "rx_dropped",
    "tx_bytes",
    "tx_packets",
    "tx_errors",
    "tx_dropped",
];
