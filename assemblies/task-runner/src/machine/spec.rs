//! The parts of a task definition that the machine uses, with the defaults of ECS.

use std::collections::BTreeSet;
use std::time::Duration;

pub use task_definition::Condition;
use task_definition::{ContainerDefinition, TaskDefinition};

/// The containers of a task, in definition order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spec {
    /// Every container.
    pub containers: Vec<Container>,
}

/// The lifecycle settings of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// True if the task stops when this container ends.
    pub essential: bool,
    /// The conditions for its start.
    pub depends_on: Vec<Dependency>,
    /// How long dependents may wait for it; `None` for no limit.
    pub start_timeout: Option<Duration>,
    /// How long it may take to stop before it is killed.
    pub stop_timeout: Duration,
    /// Its health check.
    pub health: Option<HealthCheck>,
    /// Its restart policy, if enabled.
    pub restart: Option<RestartPolicy>,
}

/// One entry of `dependsOn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dependency {
    /// The index of the container it depends on.
    pub on: usize,
    /// The state that container must have reached.
    pub condition: Condition,
}

/// The timing of a health check; the machine does not use the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthCheck {
    /// From the end of one probe to the start of the next.
    pub interval: Duration,
    /// How long a probe may take before it is killed.
    pub timeout: Duration,
    /// Consecutive failures that make the container unhealthy.
    pub retries: u32,
    /// How long after the start failures are ignored.
    pub start_period: Duration,
}

/// An enabled restart policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Exit codes that do not restart the container.
    pub ignored_exit_codes: Vec<i32>,
    /// How long it must have run since its start or last restart.
    pub period: Duration,
}

/// A definition without a valid start and stop order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// There are no containers.
    #[error("the task definition has no containers")]
    Empty,
    /// Two containers have the same name.
    #[error("container `{0}` is defined twice; give each its own name")]
    Duplicate(String),
    /// `dependsOn` names an undefined container.
    #[error("container `{container}` depends on `{on}`, which is not in the task")]
    Unknown {
        /// The dependent container.
        container: String,
        /// The undefined name.
        on: String,
    },
    /// Containers depend on each other in a cycle.
    #[error(
        "these containers depend on each other in a cycle: {0}; remove one of the dependencies"
    )]
    Cycle(String),
}

impl Spec {
    /// Reads the lifecycle settings of a definition and returns all errors together.
    pub fn read(definition: &TaskDefinition) -> Result<Self, Vec<SpecError>> {
        let definitions = &definition.container_definitions;
        let mut errors = Vec::new();
        let containers = definitions
            .iter()
            .map(|container| read_container(container, definitions, &mut errors))
            .collect();
        let spec = Self { containers };

        errors.extend(spec.duplicates().into_iter().map(SpecError::Duplicate));
        errors.extend(spec.cycle().map(SpecError::Cycle));
        if spec.containers.is_empty() {
            errors.push(SpecError::Empty);
        }

        if errors.is_empty() {
            Ok(spec)
        } else {
            Err(errors)
        }
    }

    /// Divides the intervals and start periods of all health checks, to shorten local runs.
    #[must_use]
    pub fn with_fast_health(mut self, divisor: u32) -> Self {
        for check in self
            .containers
            .iter_mut()
            .filter_map(|container| container.health.as_mut())
        {
            check.interval /= divisor.max(1);
            check.start_period /= divisor.max(1);
        }
        // Timeouts and retries stay: they do not slow down a healthy container.
        self
    }

    /// Returns the longest duration of an ordered stop: the sum of stop timeouts along the longest path.
    pub fn longest_stop(&self) -> Duration {
        (0..self.containers.len())
            .map(|container| self.stop_of(container))
            .max()
            .unwrap_or_default()
    }

    /// Returns the longest stop from the last dependent to this container. Recursion ends: there are no cycles.
    fn stop_of(&self, container: usize) -> Duration {
        let dependents = (self.containers.iter().enumerate())
            .filter(|(_, other)| {
                other
                    .depends_on
                    .iter()
                    .any(|dependency| dependency.on == container)
            })
            .map(|(index, _)| self.stop_of(index));
        self.containers[container].stop_timeout + dependents.max().unwrap_or_default()
    }

    fn duplicates(&self) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let names = self
            .containers
            .iter()
            .map(|container| container.name.clone());
        names.filter(|name| !seen.insert(name.clone())).collect()
    }

    /// Returns the containers of a cycle: those left after repeatedly removing containers without dependencies.
    fn cycle(&self) -> Option<String> {
        let mut left: BTreeSet<usize> = (0..self.containers.len()).collect();
        loop {
            let free = |container: &usize| {
                !self.containers[*container]
                    .depends_on
                    .iter()
                    .any(|dependency| left.contains(&dependency.on))
            };

            let Some(next) = left.iter().copied().find(free) else {
                break;
            };
            left.remove(&next);
        }

        let names: Vec<_> = left
            .iter()
            .map(|container| self.containers[*container].name.as_str())
            .collect();

        (!names.is_empty()).then(|| names.join(", "))
    }
}

fn read_container(
    container: &ContainerDefinition,
    all: &[ContainerDefinition],
    errors: &mut Vec<SpecError>,
) -> Container {
    let mut depends_on = Vec::new();
    for dependency in &container.depends_on {
        match all
            .iter()
            .position(|other| other.name == dependency.container_name)
        {
            Some(on) => depends_on.push(Dependency {
                on,
                condition: dependency.condition,
            }),
            None => errors.push(SpecError::Unknown {
                container: container.name.clone(),
                on: dependency.container_name.clone(),
            }),
        }
    }

    // The defaults below are those of the ECS API reference, "ContainerDefinition".

    Container {
        name: container.name.clone(),
        essential: container.is_essential(),
        depends_on,
        // 0 is not a valid value of ECS; it is treated as unset.
        start_timeout: container
            .start_timeout
            .filter(|limit| *limit > 0)
            .map(seconds),
        stop_timeout: seconds(container.stop_timeout.unwrap_or(30)),
        health: container.health_check.as_ref().map(health_check),
        restart: container
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
    // The schema takes any integer; exit codes of a process fit into an i32.
    RestartPolicy {
        ignored_exit_codes: codes.filter_map(|code| i32::try_from(*code).ok()).collect(),
        period: seconds(policy.restart_attempt_period.unwrap_or(300)),
    }
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(u64::from(count))
}
