//! The usage of containers as Docker stats, as far as the system provides it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::timestamp::rfc3339;
use super::view::{ContainerView, TaskView};
use crate::memory::ProcessTable;
use crate::system::{Interface, host_cpu_time, interfaces};

/// The previous sample of each container: Docker stats contain two, from which clients compute rates.
#[derive(Debug, Default)]
pub(super) struct Samples(Mutex<BTreeMap<String, Sample>>);

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: SystemTime,
    cpu_time: Duration,
    host_time: Duration,
    peak: u64,
}

impl Samples {
    /// Returns the stats of one container; `null` unless it runs.
    pub(super) fn container_stats(&self, view: &TaskView, container: &ContainerView) -> Value {
        self.take(&ProcessTable::snapshot(), view, container)
    }

    /// Returns the stats of all containers by id.
    pub(super) fn task_stats(&self, view: &TaskView) -> Value {
        // One snapshot for all containers: reading `/proc` is the expensive part.
        let processes = ProcessTable::snapshot();
        let stats = (view.containers.iter()).map(|container| {
            let stats = self.take(&processes, view, container);
            (container.id.clone(), stats)
        });
        Value::Object(stats.collect())
    }

    fn take(&self, processes: &ProcessTable, view: &TaskView, container: &ContainerView) -> Value {
        let Some(pid) = container.pid else {
            return Value::Null;
        };
        let pids = processes.descendants(pid);
        let usage = processes.proportional(&pids);
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let previous = samples.get(&container.id).copied();
        let now = Sample {
            at: SystemTime::now(),
            cpu_time: processes.cpu_time(&pids),
            host_time: host_cpu_time(),
            peak: previous.map_or(0, |sample| sample.peak).max(usage),
        };

        samples.insert(container.id.clone(), now);
        // A container without a limit can use the task's memory.
        let limit = container.definition.memory.map(u64::from).or(view.memory);
        json!({
            "id": container.id,
            "name": container.definition.name,
            "read": rfc3339(now.at),
                    // Docker reports the zero time if there is no previous sample.
                    "preread": previous.map_or("0001-01-01T00:00:00Z".to_owned(), |sample| rfc3339(sample.at)),
            "num_procs": 0,
            "pids_stats": { "current": pids.len() },
                    "cpu_stats": cpu_stats(Some(now)),
                    "precpu_stats": cpu_stats(previous),
            "memory_stats": {
                            "usage": usage,
                "max_usage": now.peak,
                "limit": limit.unwrap_or(0) * 1024 * 1024,
                "stats": {},
            },
            "blkio_stats": { "io_service_bytes_recursive": [], "io_serviced_recursive": [] },
            "storage_stats": {},
            "networks": networks(pid),
        })
    }
}

/// Returns the counters of the interfaces in the task's own network, by name; empty without one.
fn networks(pid: u32) -> Value {
    let counters = |interface: Interface| {
        let counters = COUNTER_NAMES.into_iter().zip(interface.counts);
        (interface.name, counters.collect::<BTreeMap<_, _>>())
    };
    json!(
        interfaces(pid)
            .into_iter()
            .map(counters)
            .collect::<BTreeMap<_, _>>()
    )
}

fn cpu_stats(sample: Option<Sample>) -> Value {
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let (cpu_time, host_time) = sample.map_or((0, 0), |sample| {
        (nanoseconds(sample.cpu_time), nanoseconds(sample.host_time))
    });
    json!({
                // `/proc` is read for the sum only; it is reported as user time.
        "cpu_usage": { "total_usage": cpu_time, "usage_in_kernelmode": 0, "usage_in_usermode": cpu_time },
        "system_cpu_usage": host_time,
        "online_cpus": available_parallelism().map_or(1, std::num::NonZero::get),
        "throttling_data": { "periods": 0, "throttled_periods": 0, "throttled_time": 0 },
    })
}

/// The names Docker gives to the counters of an interface, in the order of `Interface::counts`.
const COUNTER_NAMES: [&str; 8] = [
    "rx_bytes",
    "rx_packets",
    "rx_errors",
    "rx_dropped",
    "tx_bytes",
    "tx_packets",
    "tx_errors",
    "tx_dropped",
];
