//! Why a task is as large as it is, what would make it smaller, and what that is worth.

use task_definition::TaskDefinition;
use task_definition::fargate_sizes::{self, sizes};

use crate::manifest::Service;
use crate::plan::share::{self, floors};
use crate::plan::{Plan, Size, size_of};
use crate::prices::{BilledResources, Prices};

mod json;
mod text;

/// The size of a task and how it came to be.
#[derive(Debug, Clone)]
pub struct Sizing {
    name: String,
    region: String,
    billed: BilledResources,
    choice: Choice,
    containers: Vec<Ask>,
    sum: Size,
    push: Option<SmallerSize>,
    larger: Option<Size>,
    runs: TaskCount,
}

/// Who chose the size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// It is the smallest that holds the sum.
    Smallest,
    /// Somebody wrote it down.
    Written,
}

/// What a container asks for and what it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ask {
    name: String,
    /// What it must have, as far as it is said.
    cpu: Option<u32>,
    memory: Option<u32>,
    /// What it gets.
    cpu_share: Option<u32>,
    memory_share: Option<u32>,
    weight: Option<u32>,
}

/// The size that would do if somebody asked for less, or that does already.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SmallerSize {
    to: Size,
    /// For each resource that stands in the way: how much less it would have to be, and who asks for most.
    because: Vec<SizeConstraint>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct SizeConstraint {
    resource: Resource,
    container: String,
    asks: u32,
    sum: u32,
    less: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resource {
    Cpu,
    Memory,
}

/// How long tasks of this size run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TaskCount {
    Service { min: u32, max: u32 },
    OnDemand,
    Unknown,
}

impl Sizing {
    /// Of a plan, with the floors and weights that led to its size.
    pub fn from_plan(plan: &Plan, prices: &Prices) -> Self {
        let assembly = &plan.wiring.assembly;
        let floors = floors(assembly);
        let asks = floors.iter().zip(plan.containers()).map(|(floor, member)| {
            let container = plan.definition().container(member.name());
            Ask {
                name: member.name().to_owned(),
                cpu: Some(floor.cpu),
                memory: Some(floor.memory),
                cpu_share: container.and_then(|one| one.cpu),
                memory_share: container.and_then(|one| one.memory),
                weight: Some(floor.weight),
            }
        });

        let runs = match (plan.service(), plan.on_demand()) {
            (Some(Service { min, max, .. }), _) => TaskCount::Service {
                min: *min,
                max: *max,
            },
            (None, Some(_)) => TaskCount::OnDemand,
            (None, None) => TaskCount::Unknown,
        };

        let sum = share::sum(&floors);
        let (region, asks) = (&assembly.account.region, asks.collect());
        Self::new(plan.definition(), region, asks, sum, runs, prices)
    }

    /// Of anybody's task definition, which says what its containers get and not why.
    pub fn from_definition(definition: &TaskDefinition, region: &str, prices: &Prices) -> Self {
        let containers = definition.container_definitions.iter();
        let asks: Vec<Ask> = containers
            .map(|one| Ask {
                name: one.name.clone(),
                cpu: one.cpu.filter(|cpu| *cpu > 0),
                memory: one.memory_reservation.or(one.memory),
                cpu_share: one.cpu,
                memory_share: one.memory,
                weight: None,
            })
            .collect();

        let sum = Size {
            cpu: asks.iter().filter_map(|ask| ask.cpu).sum(),
            memory: asks.iter().filter_map(|ask| ask.memory).sum(),
        };

        Self::new(definition, region, asks, sum, TaskCount::Unknown, prices)
    }

    fn new(
        definition: &TaskDefinition,
        region: &str,
        containers: Vec<Ask>,
        sum: Size,
        runs: TaskCount,
        prices: &Prices,
    ) -> Self {
        let billed = BilledResources::from_definition(definition);
        let cost = |size: Size| {
            let price = prices.price(billed.with_size(size), region);
            // Without a price, a vCPU counts as much as nine GB, which is about what it costs.
            price.map_or(
                f64::from(size.cpu) * 9.0 + f64::from(size.memory),
                |price| price.hour,
            )
        };

        let size = size_of(definition);
        let smallest = fargate_sizes::smallest(sum.cpu, sum.memory);
        let is_smallest =
            smallest.is_some_and(|one| (one.cpu, one.memory) == (size.cpu, size.memory));
        let is_known = containers
            .iter()
            .all(|ask| ask.cpu.is_some() && ask.memory.is_some());

        Self {
            name: definition.family.clone(),
            region: region.to_owned(),
            billed,
            choice: if is_smallest {
                Choice::Smallest
            } else {
                Choice::Written
            },
            push: is_known
                .then(|| push(&containers, size, sum, cost))
                .flatten(),
            larger: larger(size, cost),
            containers,
            sum,
            runs,
        }
    }

    /// What made the task so large, in a few words: `coins (CPU)`.
    pub fn set_by(&self) -> String {
        let because = self.push.iter().flat_map(|push| &push.because);
        let who: Vec<String> = because
            .map(|one| format!("{} ({})", one.container, one.resource.as_str()))
            .collect();
        match self.choice {
            Choice::Written => "written down".to_owned(),
            Choice::Smallest if who.is_empty() => "the smallest".to_owned(),
            Choice::Smallest => who.join(", "),
        }
    }
}

/// The cheaper size for which the least would have to be taken away; of several, the cheapest.
fn push(
    containers: &[Ask],
    size: Size,
    sum: Size,
    cost: impl Fn(Size) -> f64,
) -> Option<SmallerSize> {
    let part = |less: u32, of: u32| f64::from(less) / f64::from(of.max(1));
    let less = |to: Size| Size {
        cpu: sum.cpu.saturating_sub(to.cpu),
        memory: sum.memory.saturating_sub(to.memory),
    };
    let pain = |to: Size| {
        let less = less(to);
        part(less.cpu, sum.cpu) + part(less.memory, sum.memory)
    };

    let cheaper = all().filter(|one| cost(*one) < cost(size));
    let to = cheaper.min_by(|one, other| {
        let pains = pain(*one).total_cmp(&pain(*other));
        pains.then(cost(*one).total_cmp(&cost(*other)))
    })?;
    let less = less(to);
    let because = [
        because(Resource::Cpu, containers, sum.cpu, less.cpu),
        because(Resource::Memory, containers, sum.memory, less.memory),
    ];
    let because = because.into_iter().flatten().collect();

    Some(SmallerSize { to, because })
}

fn because(resource: Resource, containers: &[Ask], sum: u32, less: u32) -> Option<SizeConstraint> {
    let asks = |ask: &Ask| match resource {
        Resource::Cpu => ask.cpu.unwrap_or(0),
        Resource::Memory => ask.memory.unwrap_or(0),
    };

    // Of several that ask for the same, the first.
    let largest = containers.iter().rev().max_by_key(|ask| asks(ask))?;
    (less > 0).then(|| SizeConstraint {
        resource,
        container: largest.name.clone(),
        asks: asks(largest),
        sum,
        less,
    })
}

/// The cheapest size that has more of one thing and less of nothing.
fn larger(size: Size, cost: impl Fn(Size) -> f64) -> Option<Size> {
    let larger =
        all().filter(|one| *one != size && one.cpu >= size.cpu && one.memory >= size.memory);
    larger.min_by(|one, other| cost(*one).total_cmp(&cost(*other)))
}

fn all() -> impl Iterator<Item = Size> {
    let rows = sizes().iter();
    rows.flat_map(|row| {
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
