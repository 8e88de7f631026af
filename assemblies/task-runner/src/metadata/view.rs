//! What is known of a task, built from its plan and kept up by its events.

use std::collections::BTreeMap;
use std::time::SystemTime;

use task_definition::ContainerDefinition;

use crate::machine::{ExitCode, Health, TaskStatus};
use crate::{RunPlan, RunnerEvent, What};

/// A task as an onlooker knows it.
#[derive(Debug, Clone)]
pub struct TaskView {
    /// 32 hexadecimal digits, as ECS numbers its tasks.
    pub id: String,
    /// The definition's family.
    pub family: String,
    /// The service that it belongs to; nobody has told of one yet.
    pub service: Option<String>,
    /// Where the task would be.
    pub region: String,
    /// When it began.
    pub begun: SystemTime,
    /// Whether it is meant to stop.
    pub stopping: bool,
    /// Pending, running, stopped.
    pub status: TaskStatus,
    /// When it stopped.
    pub stopped: Option<SystemTime>,
    /// vCPUs of the whole task.
    pub cpu: Option<f64>,
    /// MiB of the whole task.
    pub memory: Option<u64>,
    /// GiB of its disk.
    pub storage: u32,
    /// Whether the definition has a task role, by its ARN.
    pub role: Option<String>,
    /// Whether the definition lets containers ask for faults.
    pub fault_injection: bool,
    /// The definition's tags.
    pub tags: BTreeMap<String, String>,
    /// The containers, in the order of the definition.
    pub containers: Vec<ContainerView>,
}

/// A container as an onlooker knows it.
#[derive(Debug, Clone)]
pub struct ContainerView {
    /// The task's id, a dash and ten digits, as on Fargate.
    pub id: String,
    /// Its definition.
    pub definition: ContainerDefinition,
    /// When the task knew of it.
    pub created: SystemTime,
    /// Its process, while there is one.
    pub pid: Option<u32>,
    /// When it last began to run.
    pub started: Option<SystemTime>,
    /// When it ended for good.
    pub finished: Option<SystemTime>,
    /// Its exit code, once it has one.
    pub exit_code: Option<ExitCode>,
    /// Its health and since when, where it has a check.
    pub health: Option<(Health, SystemTime)>,
    /// The exit code of its last probe.
    pub probe_code: ExitCode,
    /// What its last probe printed.
    pub output: String,
    /// How often its restart policy brought it back.
    pub restarts: u32,
    /// Whether it is meant to stop.
    pub stopping: bool,
}

impl TaskView {
    /// The task before anything has happened.
    ///
    /// `id` should be 32 hexadecimal digits that no other task has.
    pub fn new(plan: &RunPlan, id: &str, region: &str, begun: SystemTime) -> Self {
        let definition = &plan.definition;
        let container = |one| ContainerView::new(one, id, begun);
        let disk = definition.ephemeral_storage.as_ref();
        Self {
            id: id.to_owned(),
            family: definition.family.clone(),
            service: None,
            region: region.to_owned(),
            begun,
            stopping: false,
            status: TaskStatus::Pending,
            stopped: None,
            cpu: definition
                .cpu
                .as_deref()
                .and_then(|text| size(text, "vcpu", 1024.0)),
            memory: (definition.memory.as_deref())
                .and_then(|text| size(text, "gb", 1.0 / 1024.0))
                .map(whole),
            storage: disk.map_or(20, |disk| disk.size_in_gib),
            role: definition.task_role_arn.clone(),
            fault_injection: definition.enable_fault_injection == Some(true),
            tags: (definition.tags.iter())
                .map(|tag| (tag.key.clone(), tag.value.clone()))
                .collect(),
            containers: definition
                .container_definitions
                .iter()
                .map(container)
                .collect(),
        }
    }

    /// The name ECS would give the task.
    pub fn arn(&self) -> String {
        self.arn_of(&format!("task/local/{}", self.id))
    }

    /// The name of its cluster, which is none of ECS's.
    pub fn cluster_arn(&self) -> String {
        self.arn_of("cluster/local")
    }

    /// The name ECS would give the container.
    pub fn container_arn(&self, one: &ContainerView) -> String {
        self.arn_of(&format!("container/local/{}/{}", self.id, one.id))
    }

    /// The name of its definition, which nobody has registered.
    pub fn definition_arn(&self) -> String {
        self.arn_of(&format!("task-definition/{}:{REVISION}", self.family))
    }

    /// The zone that it would be in.
    pub fn zone(&self) -> String {
        format!("{}a", self.region)
    }

    /// The container with that id.
    pub fn container(&self, id: &str) -> Option<&ContainerView> {
        self.containers.iter().find(|one| one.id == id)
    }

    fn arn_of(&self, resource: &str) -> String {
        format!("arn:aws:ecs:{}:{ACCOUNT}:{resource}", self.region)
    }
}

impl ContainerView {
    fn new(definition: &ContainerDefinition, task: &str, now: SystemTime) -> Self {
        let checked = definition.health_check.is_some();
        Self {
            id: format!("{task}-{:010}", digits(&definition.name)),
            definition: definition.clone(),
            created: now,
            pid: None,
            started: None,
            finished: None,
            exit_code: None,
            health: checked.then_some((Health::Unknown, now)),
            probe_code: 0,
            output: String::new(),
            restarts: 0,
            stopping: false,
        }
    }
}

/// Brings the view up to what an event tells.
pub fn follow(view: &mut TaskView, event: &RunnerEvent) {
    let at = view.begun + event.at;
    match &event.what {
        What::Task { status, .. } => {
            view.status = *status;
            let over = *status == TaskStatus::Stopped;
            view.stopped = over.then_some(at).or(view.stopped);
            view.stopping |= over;
        }
        What::TaskStopping { .. } => {
            view.stopping = true;
            view.containers
                .iter_mut()
                .for_each(|one| one.stopping = true);
        }
        what => {
            let name = event.container.as_deref().unwrap_or_default();
            let found = (view.containers.iter_mut()).find(|one| one.definition.name == name);
            if let Some(container) = found {
                follow_one(container, what, at);
            }
        }
    }
}

fn follow_one(container: &mut ContainerView, what: &What, at: SystemTime) {
    match what {
        What::Started { pid, .. } => {
            container.pid = Some(*pid);
            container.started = Some(at);
        }
        What::Health {
            health,
            code,
            output,
            ..
        } => {
            let since = match container.health {
                Some((before, since)) if before == *health => since,
                _ => at,
            };

            container.health = Some((*health, since));
            container.probe_code = *code;
            container.output.clone_from(output);
        }
        What::Replacing => {
            container.pid = None;
            container.stopping = false;
        }
        What::Restarting { .. } => {
            container.pid = None;
            container.restarts += 1;
        }
        What::Stopping { .. } | What::Killing => container.stopping = true,
        What::Stopped { code, .. } => {
            container.pid = None;
            container.stopping = true;
            container.exit_code = *code;
            container.finished = Some(at);
        }
        _ => {}
    }
}

/// `512` in small units, or `0.5 vCPU` in large ones, as ECS takes them.
///
/// For cpu 1,024 small make a large one, and the answer is in large; for memory it is the other way.
fn size(text: &str, unit: &str, small_in_large: f64) -> Option<f64> {
    let lower = text.trim().to_ascii_lowercase();
    let large = lower.strip_suffix(unit);
    let number: f64 = large.unwrap_or(&lower).trim().parse().ok()?;
    let to_answer = match (large, small_in_large > 1.0) {
        (Some(_), true) | (None, false) => 1.0,
        (None, true) | (Some(_), false) => 1.0 / small_in_large,
    };
    Some(number * to_answer)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` holds at the ends, and sizes of tasks are far from them"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

/// Ten digits that follow from a name (FNV-1a), so that an id stays the same from run to run.
fn digits(name: &str) -> u64 {
    let mix = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    name.bytes().fold(0xcbf2_9ce4_8422_2325, mix) % 10_000_000_000
}

/// Nobody's account.
pub const ACCOUNT: &str = "000000000000";
/// The revision of a definition that nobody has registered.
pub(super) const REVISION: &str = "0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes_in_either_unit() {
        assert_eq!(size("256", "vcpu", 1024.0), Some(0.25));
        assert_eq!(size("0.5 vCPU", "vcpu", 1024.0), Some(0.5));
        assert_eq!(size("512", "gb", 1.0 / 1024.0), Some(512.0));
        assert_eq!(size("2 GB", "gb", 1.0 / 1024.0), Some(2048.0));
        assert_eq!(size("much", "gb", 1.0 / 1024.0), None);
    }
}
