//! Explains a task's size: which containers require it, and what a smaller or larger size costs.

use task_definition::TaskDefinition;
use task_definition::fargate_sizes::{self, sizes};

use crate::manifest::Service;
use crate::plan::share::{self, floors};
use crate::plan::{Plan, Size, size_of};
use crate::prices::{BilledResources, Prices};

mod json;
mod text;

/// The size of a task and its explanation.
#[derive(Debug, Clone)]
pub struct Sizing {
    name: String,
    region: String,
    billed: BilledResources,
    choice: Choice,
    containers: Vec<ContainerSize>,
    sum: Size,
    smaller: Option<SmallerSize>,
    larger: Option<Size>,
    tasks: TaskCount,
}

/// How the size was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// As the smallest size that holds the sum.
    Smallest,
    /// By the manifest or the task definition.
    Explicit,
}

/// What a container requires and what it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ContainerSize {
    name: String,
    /// The CPU units it requires, if known.
    cpu: Option<u32>,
    /// The MiB it requires, if known.
    memory: Option<u32>,
    /// The CPU units it gets.
    cpu_share: Option<u32>,
    /// The MiB it gets.
    memory_share: Option<u32>,
    weight: Option<u32>,
}

/// A cheaper size that the containers fit, or would fit if they required less.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SmallerSize {
    size: Size,
    /// The resources that rule the size out; empty if the containers fit.
    constraints: Vec<SizeConstraint>,
}

/// A resource of which the containers require too much for a size.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SizeConstraint {
    resource: Resource,
    /// The container that requires most of it.
    container: String,
    /// How much that container requires.
    required: u32,
    /// How much all containers require.
    sum: u32,
    /// How much less they would have to require.
    excess: u32,
}

/// A resource that a task size consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resource {
    Cpu,
    Memory,
}

/// How many tasks of this size run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TaskCount {
    Service { min: u32, max: u32 },
    OnDemand,
    Unknown,
}

impl Sizing {
    /// Explains a plan's size, with the floors and weights of its containers.
    pub fn from_plan(plan: &Plan, prices: &Prices) -> Self {
        let assembly = &plan.wiring.assembly;
        let floors = floors(assembly);
        let sizes = floors.iter().zip(plan.containers()).map(|(floor, member)| {
            let container = plan.definition().container(member.name());
            ContainerSize {
                name: member.name().to_owned(),
                cpu: Some(floor.cpu),
                memory: Some(floor.memory),
                cpu_share: container.and_then(|container| container.cpu),
                memory_share: container.and_then(|container| container.memory),
                weight: Some(floor.weight),
            }
        });

        let tasks = match (plan.service(), plan.on_demand()) {
            (Some(Service { min, max, .. }), _) => TaskCount::Service {
                min: *min,
                max: *max,
            },
            (None, Some(_)) => TaskCount::OnDemand,
            (None, None) => TaskCount::Unknown,
        };

        // The sum of the floors, not of the shares: shares always add up to the whole size.
        let sum = share::sum(&floors);
        let (region, sizes) = (&assembly.account.region, sizes.collect());
        Self::new(plan.definition(), region, sizes, sum, tasks, prices)
    }

    /// Explains the size of any task definition. Its containers have shares, but no floors or weights.
    pub fn from_definition(definition: &TaskDefinition, region: &str, prices: &Prices) -> Self {
        let sizes: Vec<ContainerSize> = definition
            .container_definitions
            .iter()
            .map(|container| ContainerSize {
                name: container.name.clone(),
                // To ECS `cpu: 0` is the same as no value.
                cpu: container.cpu.filter(|cpu| *cpu > 0),
                memory: container.memory_reservation.or(container.memory),
                cpu_share: container.cpu,
                memory_share: container.memory,
                weight: None,
            })
            .collect();

        let sum = Size {
            cpu: sizes.iter().filter_map(|container| container.cpu).sum(),
            memory: sizes.iter().filter_map(|container| container.memory).sum(),
        };

        Self::new(definition, region, sizes, sum, TaskCount::Unknown, prices)
    }

    fn new(
        definition: &TaskDefinition,
        region: &str,
        containers: Vec<ContainerSize>,
        sum: Size,
        tasks: TaskCount,
        prices: &Prices,
    ) -> Self {
        let billed = BilledResources::from_definition(definition);
        let cost = |size: Size| {
            let price = prices.price(billed.with_size(size), region);
            // Without a price, a vCPU counts as nine GB, which is about Fargate's ratio.
            price.map_or(
                f64::from(size.cpu) * 9.0 + f64::from(size.memory),
                |price| price.hour,
            )
        };

        let size = size_of(definition);
        let smallest = fargate_sizes::smallest(sum.cpu, sum.memory);
        let is_smallest = smallest
            .is_some_and(|smallest| (smallest.cpu, smallest.memory) == (size.cpu, size.memory));
        // One container without a value makes the sum a lower bound, and a smaller size a guess.
        let is_known = containers
            .iter()
            .all(|container| container.cpu.is_some() && container.memory.is_some());

        Self {
            name: definition.family.clone(),
            region: region.to_owned(),
            billed,
            choice: if is_smallest {
                Choice::Smallest
            } else {
                Choice::Explicit
            },
            smaller: is_known
                .then(|| smaller(&containers, size, sum, cost))
                .flatten(),
            larger: larger(size, cost),
            containers,
            sum,
            tasks,
        }
    }

    /// Returns the containers that determine the size, as text: `web (CPU)`.
    pub fn set_by(&self) -> String {
        let constraints: Vec<String> = self
            .smaller
            .iter()
            .flat_map(|smaller| &smaller.constraints)
            .map(|constraint| {
                format!(
                    "{} ({})",
                    constraint.container,
                    constraint.resource.as_str()
                )
            })
            .collect();
        match self.choice {
            Choice::Explicit => "explicit".to_owned(),
            Choice::Smallest if constraints.is_empty() => "the smallest".to_owned(),
            Choice::Smallest => constraints.join(", "),
        }
    }
}

/// Returns the cheaper size with the least excess over it; of several, the cheapest.
fn smaller(
    containers: &[ContainerSize],
    size: Size,
    sum: Size,
    cost: impl Fn(Size) -> f64,
) -> Option<SmallerSize> {
    let excess = |candidate: Size| Size {
        cpu: sum.cpu.saturating_sub(candidate.cpu),
        memory: sum.memory.saturating_sub(candidate.memory),
    };
    // CPU and memory have different units, so the excess counts in proportion to the sum.
    let ratio = |excess: u32, sum: u32| f64::from(excess) / f64::from(sum.max(1));
    let relative_excess = |candidate: Size| {
        let excess = excess(candidate);
        ratio(excess.cpu, sum.cpu) + ratio(excess.memory, sum.memory)
    };

    let cheaper = all_sizes().filter(|candidate| cost(*candidate) < cost(size));
    let smaller = cheaper.min_by(|a, b| {
        relative_excess(*a)
            .total_cmp(&relative_excess(*b))
            .then(cost(*a).total_cmp(&cost(*b)))
    })?;
    let excess = excess(smaller);
    let constraints = [
        constraint(Resource::Cpu, containers, sum.cpu, excess.cpu),
        constraint(Resource::Memory, containers, sum.memory, excess.memory),
    ];

    Some(SmallerSize {
        size: smaller,
        constraints: constraints.into_iter().flatten().collect(),
    })
}

/// Returns the constraint of a resource, or `None` if there is no excess.
fn constraint(
    resource: Resource,
    containers: &[ContainerSize],
    sum: u32,
    excess: u32,
) -> Option<SizeConstraint> {
    let required = |container: &ContainerSize| match resource {
        Resource::Cpu => container.cpu.unwrap_or(0),
        Resource::Memory => container.memory.unwrap_or(0),
    };

    // `max_by_key` returns the last of equal elements; reversed, that is the first container.
    let largest = containers
        .iter()
        .rev()
        .max_by_key(|container| required(container))?;
    (excess > 0).then(|| SizeConstraint {
        resource,
        container: largest.name.clone(),
        required: required(largest),
        sum,
        excess,
    })
}

/// Returns the cheapest size with more of one resource and no less of the other.
fn larger(size: Size, cost: impl Fn(Size) -> f64) -> Option<Size> {
    all_sizes()
        .filter(|candidate| {
            *candidate != size && candidate.cpu >= size.cpu && candidate.memory >= size.memory
        })
        .min_by(|a, b| cost(*a).total_cmp(&cost(*b)))
}

fn all_sizes() -> impl Iterator<Item = Size> {
    sizes().iter().flat_map(|row| {
        let cpu = row.cpu;
        row.memory.iter().map(move |memory| Size {
            cpu,
            memory: *memory,
        })
    })
}

impl Resource {
    fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "CPU",
            Self::Memory => "memory",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Cpu => "CPU units",
            Self::Memory => "MiB",
        }
    }
}

#[cfg(test)]
mod tests;
