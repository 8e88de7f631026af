//! The visible state of a task, created from its plan and updated by its events.

use std::collections::BTreeMap;
use std::time::SystemTime;

use task_definition::ContainerDefinition;

use crate::machine::{ExitCode, Health, TaskStatus};
use crate::{EventKind, RunPlan, RunnerEvent};

/// A task as an observer sees it.
#[derive(Debug, Clone)]
pub struct TaskView {
    /// 32 hexadecimal digits, as in ECS.
    pub id: String,
    /// The definition's family.
    pub family: String,
    /// The service it belongs to; `None` unless the caller sets it.
    pub service: Option<String>,
    /// The region to report.
    pub region: String,
    /// The account to report; [`ACCOUNT`] unless the caller sets it.
    pub account: String,
    /// The name of the cluster; `local` unless the caller sets it.
    pub cluster: String,
    /// The revision of the definition; `0` unless the caller sets it, since the definition is not registered.
    pub revision: String,
    /// When it was created.
    pub created: SystemTime,
    /// True if its desired status is `STOPPED`.
    pub stopping: bool,
    /// `PENDING`, `RUNNING` or `STOPPED`.
    pub status: TaskStatus,
    /// When it stopped.
    pub stopped: Option<SystemTime>,
    /// The vCPUs of the task.
    pub cpu: Option<f64>,
    /// The memory of the task in MiB.
    pub memory: Option<u64>,
    /// The ephemeral storage in GiB.
    pub storage: u32,
    /// The ARN of the task role, if the definition has one.
    pub role: Option<String>,
    /// True if the definition enables fault injection.
    pub fault_injection: bool,
    /// The definition's tags.
    pub tags: BTreeMap<String, String>,
    /// The containers, in definition order.
    pub containers: Vec<ContainerView>,
}

/// A container as an observer sees it.
#[derive(Debug, Clone)]
pub struct ContainerView {
    /// The task's id, a dash and ten digits, as on Fargate.
    pub id: String,
    /// Its definition.
    pub definition: ContainerDefinition,
    /// When the container was created, which is when the task was.
    pub created: SystemTime,
    /// Its first process, while it runs.
    pub pid: Option<u32>,
    /// When its current or last run started.
    pub started: Option<SystemTime>,
    /// When it ended for good.
    pub finished: Option<SystemTime>,
    /// Its exit code, once known.
    pub exit_code: Option<ExitCode>,
    /// Its health and the time of the last change, if it has a check.
    pub health: Option<(Health, SystemTime)>,
    /// The exit code of its last probe.
    pub probe_code: ExitCode,
    /// The output of its last probe.
    pub probe_output: String,
    /// How often its restart policy restarted it.
    pub restarts: u32,
    /// True if its desired status is `STOPPED`.
    pub stopping: bool,
}

impl TaskView {
    /// Creates the view of a task in which nothing has happened.
    ///
    /// `id` should be 32 hexadecimal digits that no other task uses.
    pub fn new(plan: &RunPlan, id: &str, region: &str, created: SystemTime) -> Self {
        let definition = &plan.definition;
        let container = |definition| ContainerView::new(definition, id, created);
        let disk = definition.ephemeral_storage.as_ref();

        Self {
            id: id.to_owned(),
            family: definition.family.clone(),
            service: None,
            region: region.to_owned(),
            account: ACCOUNT.to_owned(),
            cluster: CLUSTER.to_owned(),
            revision: REVISION.to_owned(),
            created,
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
            // Fargate provides 20 GiB by default.
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

    /// Returns the ARN of the task.
    pub fn arn(&self) -> String {
        self.resource_arn(&format!("task/{}/{}", self.cluster, self.id))
    }

    /// Returns the ARN of the cluster.
    pub fn cluster_arn(&self) -> String {
        self.resource_arn(&format!("cluster/{}", self.cluster))
    }

    /// Returns the ARN of a container.
    pub fn container_arn(&self, container: &ContainerView) -> String {
        self.resource_arn(&format!(
            "container/{}/{}/{}",
            self.cluster, self.id, container.id
        ))
    }

    /// Returns the ARN of the definition.
    pub fn definition_arn(&self) -> String {
        self.resource_arn(&format!(
            "task-definition/{}:{}",
            self.family, self.revision
        ))
    }

    /// Returns the availability zone to report.
    pub fn zone(&self) -> String {
        format!("{}a", self.region)
    }

    /// Returns the container with an id.
    pub fn container(&self, id: &str) -> Option<&ContainerView> {
        self.containers.iter().find(|container| container.id == id)
    }

    fn resource_arn(&self, resource: &str) -> String {
        format!("arn:aws:ecs:{}:{}:{resource}", self.region, self.account)
    }
}

impl ContainerView {
    fn new(definition: &ContainerDefinition, task: &str, now: SystemTime) -> Self {
        let has_check = definition.health_check.is_some();
        Self {
            id: format!("{task}-{:010}", ten_digits(&definition.name)),
            definition: definition.clone(),
            created: now,
            pid: None,
            started: None,
            finished: None,
            exit_code: None,
            health: has_check.then_some((Health::Unknown, now)),
            probe_code: 0,
            probe_output: String::new(),
            restarts: 0,
            stopping: false,
        }
    }
}

/// Updates the view with an event.
pub fn apply_event(view: &mut TaskView, event: &RunnerEvent) {
    let at = view.created + event.at;
    match &event.kind {
        EventKind::Task { status, .. } => {
            view.status = *status;
            let has_stopped = *status == TaskStatus::Stopped;
            view.stopped = has_stopped.then_some(at).or(view.stopped);
            view.stopping |= has_stopped;
        }
        EventKind::TaskStopping { .. } => {
            view.stopping = true;
            // ECS changes the desired status of all containers at once; they stop one after the other.
            view.containers
                .iter_mut()
                .for_each(|container| container.stopping = true);
        }
        kind => {
            let name = event.container.as_deref().unwrap_or_default();
            let container =
                (view.containers.iter_mut()).find(|container| container.definition.name == name);
            if let Some(container) = container {
                apply_container_event(container, kind, at);
            }
        }
    }
}

fn apply_container_event(container: &mut ContainerView, kind: &EventKind, at: SystemTime) {
    match kind {
        EventKind::Started { pid, .. } => {
            container.pid = Some(*pid);
            container.started = Some(at);
        }
        EventKind::Health {
            health,
            code,
            output,
            ..
        } => {
            // The event also reports a change of the streak only; the time is that of the health.
            let since = match container.health {
                Some((before, since)) if before == *health => since,
                _ => at,
            };

            container.health = Some((*health, since));
            container.probe_code = *code;
            container.probe_output.clone_from(output);
        }
        EventKind::Replacing => {
            container.pid = None;
            container.stopping = false;
        }
        EventKind::Restarting { .. } => {
            container.pid = None;
            container.restarts += 1;
        }
        EventKind::Stopping { .. } | EventKind::Killing => container.stopping = true,
        EventKind::Stopped { code, .. } => {
            container.pid = None;
            container.stopping = true;
            container.exit_code = *code;
            container.finished = Some(at);
        }
        _ => {}
    }
}

/// Parses a size: `512` in small units, or `0.5 vCPU` in large ones, as ECS accepts both.
///
/// `small_in_large` is 1024 for cpu, which returns large units, and 1/1024 for memory, which returns small ones.
fn size(text: &str, unit: &str, small_in_large: f64) -> Option<f64> {
    let lower = text.trim().to_ascii_lowercase();
    let large = lower.strip_suffix(unit);
    let number: f64 = large.unwrap_or(&lower).trim().parse().ok()?;
    let factor = match (large, small_in_large > 1.0) {
        (Some(_), true) | (None, false) => 1.0,
        (None, true) | (Some(_), false) => 1.0 / small_in_large,
    };
    Some(number * factor)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and task sizes are far from the limits"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

/// Returns ten digits derived from a name (FNV-1a), so that the id of a container is the same in every run.
fn ten_digits(name: &str) -> u64 {
    let mix = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    name.bytes().fold(0xcbf2_9ce4_8422_2325, mix) % 10_000_000_000
}

/// The account in ARNs: no account has this number.
pub const ACCOUNT: &str = "000000000000";
/// The cluster of a task that no program gave another.
const CLUSTER: &str = "local";
/// The revision of a definition that is not registered.
const REVISION: &str = "0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_sizes_in_both_units() {
        assert_eq!(size("256", "vcpu", 1024.0), Some(0.25));
        assert_eq!(size("0.5 vCPU", "vcpu", 1024.0), Some(0.5));
        assert_eq!(size("512", "gb", 1.0 / 1024.0), Some(512.0));
        assert_eq!(size("2 GB", "gb", 1.0 / 1024.0), Some(2048.0));
        assert_eq!(size("much", "gb", 1.0 / 1024.0), None);
    }
}
