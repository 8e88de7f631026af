//! What the machine needs to know of a task definition, with ECS's defaults filled in.

use std::collections::BTreeSet;
use std::time::Duration;

pub use task_definition::Condition;
use task_definition::{ContainerDefinition, TaskDefinition};

/// The containers of a task, in the order in which they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spec {
    /// Every container.
    pub containers: Vec<Container>,
}

/// One container's part in the life of the task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Whether the task ends when it does.
    pub essential: bool,
    /// What must hold before it starts.
    pub depends_on: Vec<Need>,
    /// How long others may wait for it; without one, for ever.
    pub start_timeout: Option<Duration>,
    /// How long it may take to stop before it is killed.
    pub stop_timeout: Duration,
    /// Its health check.
    pub health: Option<HealthCheck>,
    /// What brings it back after an exit.
    pub restart: Option<RestartPolicy>,
}

/// One entry of dependsOn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// The container that is depended on.
    pub on: usize,
    /// Where it must have got to.
    pub condition: Condition,
}

/// A health check's times; the command is no business of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthCheck {
    /// From the end of one probe to the beginning of the next.
    pub interval: Duration,
    /// How long a probe may take.
    pub timeout: Duration,
    /// Failures in a row that make the container unhealthy.
    pub retries: u32,
    /// How long after the start failures do not count.
    pub start_period: Duration,
}

/// An enabled restart policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Exit codes after which the container stays down.
    pub ignored_exit_codes: Vec<i32>,
    /// How long it must have been up since its start or last restart.
    pub period: Duration,
}

/// Something about a definition that leaves no order to start or stop in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// There is nothing to run.
    #[error("the task definition has no containers")]
    Empty,
    /// Two containers share a name.
    #[error("container `{0}` is there twice; give each its own name")]
    Duplicate(String),
    /// dependsOn names a container that is not there.
    #[error("container `{container}` depends on `{on}`, which is not in the task")]
    Unknown {
        /// The container that depends.
        container: String,
        /// The name that is not there.
        on: String,
    },
    /// Containers wait for each other in a circle.
    #[error("these containers depend on each other in a circle: {0}; remove one of the edges")]
    Circle(String),
}

impl Spec {
    /// Reads the part of a definition that decides about life and death; all errors together.
    pub fn read(definition: &TaskDefinition) -> Result<Self, Vec<SpecError>> {
        let written = &definition.container_definitions;
        let mut errors = Vec::new();
        let containers = written
            .iter()
            .map(|one| container(one, written, &mut errors))
            .collect();
        let spec = Self { containers };

        errors.extend(spec.duplicates().into_iter().map(SpecError::Duplicate));
        errors.extend(spec.circle().map(SpecError::Circle));
        if spec.containers.is_empty() {
            errors.push(SpecError::Empty);
        }

        if errors.is_empty() {
            Ok(spec)
        } else {
            Err(errors)
        }
    }

    /// Divides the times of all health checks, so that nobody waits long at a desk.
    #[must_use]
    pub fn with_fast_health(mut self, divisor: u32) -> Self {
        for check in self
            .containers
            .iter_mut()
            .filter_map(|one| one.health.as_mut())
        {
            check.interval /= divisor.max(1);
            check.start_period /= divisor.max(1);
        }
        self
    }

    /// The longest time a stop in order can take: the sum of stop timeouts along the longest path.
    pub fn longest_stop(&self) -> Duration {
        (0..self.containers.len())
            .map(|one| self.stop_of(one))
            .max()
            .unwrap_or_default()
    }

    fn stop_of(&self, container: usize) -> Duration {
        let dependents = (self.containers.iter().enumerate())
            .filter(|(_, other)| other.depends_on.iter().any(|need| need.on == container))
            .map(|(index, _)| self.stop_of(index));
        self.containers[container].stop_timeout + dependents.max().unwrap_or_default()
    }

    fn duplicates(&self) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let names = self.containers.iter().map(|one| one.name.clone());
        names.filter(|name| !seen.insert(name.clone())).collect()
    }

    /// Takes away what depends on nothing that is left, again and again; what remains is a circle.
    fn circle(&self) -> Option<String> {
        let mut left: BTreeSet<usize> = (0..self.containers.len()).collect();
        loop {
            let free = |one: &usize| {
                !self.containers[*one]
                    .depends_on
                    .iter()
                    .any(|need| left.contains(&need.on))
            };

            let Some(next) = left.iter().copied().find(free) else {
                break;
            };
            left.remove(&next);
        }

        let names: Vec<_> = left
            .iter()
            .map(|one| self.containers[*one].name.as_str())
            .collect();

        (!names.is_empty()).then(|| names.join(", "))
    }
}

fn container(
    one: &ContainerDefinition,
    all: &[ContainerDefinition],
    errors: &mut Vec<SpecError>,
) -> Container {
    let mut depends_on = Vec::new();
    for dependency in &one.depends_on {
        match all
            .iter()
            .position(|other| other.name == dependency.container_name)
        {
            Some(on) => depends_on.push(Need {
                on,
                condition: dependency.condition,
            }),
            None => errors.push(SpecError::Unknown {
                container: one.name.clone(),
                on: dependency.container_name.clone(),
            }),
        }
    }

    Container {
        name: one.name.clone(),
        essential: one.is_essential(),
        depends_on,
        start_timeout: one.start_timeout.filter(|limit| *limit > 0).map(seconds),
        stop_timeout: seconds(one.stop_timeout.unwrap_or(30)),
        health: one.health_check.as_ref().map(health_check),
        restart: one
            .restart_policy
            .as_ref()
            .filter(|policy| policy.enabled)
            .map(restart_policy),
    }
}

fn health_check(check: &task_definition::HealthCheck) -> HealthCheck {
    HealthCheck {
        interval: seconds(check.interval.unwrap_or(30)),
        timeout: seconds(check.timeout.unwrap_or(5)),
        retries: check.retries.unwrap_or(3),
        start_period: seconds(check.start_period.unwrap_or(0)),
    }
}

fn restart_policy(policy: &task_definition::RestartPolicy) -> RestartPolicy {
    let codes = policy.ignored_exit_codes.iter();
    RestartPolicy {
        ignored_exit_codes: codes.filter_map(|code| i32::try_from(*code).ok()).collect(),
        period: seconds(policy.restart_attempt_period.unwrap_or(300)),
    }
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(u64::from(count))
}
