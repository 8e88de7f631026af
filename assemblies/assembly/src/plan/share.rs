//! How the task's size is divided among its containers.

use task_definition::Finding;
use task_definition::fargate_sizes;

use super::Size;
use crate::manifest::TaskSize;
use crate::resolve::{AssemblyMember, ResolvedAssembly, Role};
use crate::rules;

/// What one container gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// CPU units.
    pub(crate) cpu: u32,
    /// The hard limit in MiB.
    pub(crate) memory: u32,
    /// MiB set aside: the component's floor, or a MiB less where that is the hard limit as well.
    pub(crate) reservation: u32,
}

/// The task's size and everybody's share of it.
#[derive(Debug, Clone)]
pub(crate) struct Allocation {
    pub(crate) size: Size,
    pub(crate) shares: Vec<Share>,
}

/// What a member must have, and whether it may have more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Floor {
    /// CPU units.
    pub(crate) cpu: u32,
    /// MiB.
    pub(crate) memory: u32,
    /// Its part of what is left over.
    pub(crate) weight: u32,
    pub(crate) cpu_fixed: bool,
    pub(crate) memory_fixed: bool,
}

/// The smallest size that Fargate sells and that holds the sum, unless the user names one. What is left
/// over is divided by weight; what then still cannot be divided goes to the app.
pub(super) fn shares(assembly: &ResolvedAssembly) -> Result<Allocation, Vec<Finding>> {
    let floors = floors(assembly);
    let wanted = &assembly.manifest.file().size;
    let Some(size) = size(wanted, sum(&floors)) else {
        return Err(vec![too_much(assembly, &floors)]);
    };
    let app = assembly
        .members
        .iter()
        .position(|member| member.role == Role::App);

    Ok(Allocation {
        size,
        shares: divided(size, &floors, app.unwrap_or(0)),
    })
}

/// What every member must have, in the order of the members.
pub(crate) fn floors(assembly: &ResolvedAssembly) -> Vec<Floor> {
    let members = assembly.members.iter();
    members.map(|member| Floor::new(assembly, member)).collect()
}

/// What all of them must have together.
pub(crate) fn sum(floors: &[Floor]) -> Size {
    let sum = |of: fn(&Floor) -> u32| floors.iter().map(of).fold(0, u32::saturating_add);
    Size {
        cpu: sum(|floor| floor.cpu),
        memory: sum(|floor| floor.memory),
    }
}

/// The size that is taken for a sum; none when Fargate sells nothing that large.
///
/// Nothing that fits is cheaper, at any price that Fargate ever had: the tests go through the whole table.
/// (16 vCPU with 64 GB stand against 32 vCPU with 60 GB; there alone two sizes fit of which neither is
/// smaller in both.)
fn size(wanted: &TaskSize, sum: Size) -> Option<Size> {
    let smallest = |cpu, memory| {
        fargate_sizes::smallest(cpu, memory).map(|size| Size {
            cpu: size.cpu,
            memory: size.memory,
        })
    };

    match (wanted.cpu, wanted.memory) {
        // What the user names is taken as it is; the rules say whether Fargate sells it.
        (Some(cpu), Some(memory)) => Some(Size { cpu, memory }),
        // Half of a size is named: the other half is the smallest that goes with it.
        (Some(cpu), None) => {
            let with = smallest(cpu, sum.memory).filter(|size| size.cpu == cpu);
            Some(with.unwrap_or(Size {
                cpu,
                memory: sum.memory,
            }))
        }
        (None, Some(memory)) => {
            let with = smallest(sum.cpu, memory).filter(|size| size.memory == memory);
            Some(with.unwrap_or(Size {
                cpu: sum.cpu,
                memory,
            }))
        }
        (None, None) => smallest(sum.cpu, sum.memory),
    }
}

fn too_much(assembly: &ResolvedAssembly, floors: &[Floor]) -> Finding {
    let largest = floors.iter().zip(&assembly.members);
    let largest = largest.max_by_key(|(floor, _)| (floor.cpu, floor.memory));
    let (name, place) = largest.map_or(("", assembly.manifest.place("/name")), |(_, member)| {
        (member.name(), member.place.clone())
    });
    rules::m33_task_too_large::too_large(place, name, sum(floors))
}

/// Everybody's share of a size: the floor, and a part of what is left over.
fn divided(size: Size, floors: &[Floor], app: usize) -> Vec<Share> {
    let sum = sum(floors);
    let spare = Size {
        cpu: size.cpu.saturating_sub(sum.cpu),
        memory: size.memory.saturating_sub(sum.memory),
    };

    // A hard limit is to be above what is set aside, so everybody who may grow gets a MiB first.
    let growing = floors.iter().filter(|floor| !floor.memory_fixed).count() as u32;
    let first = u32::from(spare.memory >= growing);
    let cpus = divide(spare.cpu, &weights(floors, |floor| floor.cpu_fixed), app);
    let memories = divide(
        spare.memory - first * growing,
        &weights(floors, |floor| floor.memory_fixed),
        app,
    );
    let shares = floors.iter().zip(cpus.iter().zip(&memories));

    let share = |(floor, (cpu, memory)): (&Floor, (&u32, &u32))| {
        let first = if floor.memory_fixed { 0 } else { first };
        let limit = floor.memory + first + memory;
        Share {
            cpu: floor.cpu + cpu,
            memory: limit,
            reservation: floor.memory.min(limit - 1),
        }
    };

    shares.map(share).collect()
}

impl Floor {
    /// An override of `cpu` or `memory` is what that container gets; the others share the rest. Weaker
    /// than that is what `size.containers` says, and weaker still what the component says.
    fn new(assembly: &ResolvedAssembly, member: &AssemblyMember) -> Self {
        let file = assembly.manifest.file();
        let overrides = file.overrides.get(member.component.name());
        let over = |field: &str| {
            let number = overrides?.get(field)?.as_u64()?;
            u32::try_from(number).ok()
        };
        let size = &member.component.file().size;
        let wanted = file.size.containers.get(member.component.name());
        let (cpu, memory) = (over("cpu"), over("memory"));
        let floor = over("memoryReservation").or_else(|| wanted?.memory);

        let app = u32::from(member.role == Role::App);
        let weight = wanted.and_then(|wanted| wanted.weight);
        Self {
            cpu: cpu.or_else(|| wanted?.cpu).unwrap_or(size.cpu),
            // Docker starts nothing with less than 6 MiB, and the hard limit is to be above that.
            memory: memory.or(floor).unwrap_or(size.memory).max(LEAST_MEMORY),
            weight: weight.unwrap_or_else(|| size.weight.max(app)),
            cpu_fixed: cpu.is_some(),
            memory_fixed: memory.is_some(),
        }
    }
}

const LEAST_MEMORY: u32 = 7;

fn weights(floors: &[Floor], fixed: impl Fn(&Floor) -> bool) -> Vec<u32> {
    floors
        .iter()
        .map(|floor| if fixed(floor) { 0 } else { floor.weight })
        .collect()
}

/// An amount divided by weight; what is too little to divide goes to the favourite, if it may have it.
fn divide(amount: u32, weights: &[u32], favourite: usize) -> Vec<u32> {
    let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }

    let part = |weight: &u32| (u64::from(amount) * u64::from(*weight) / sum) as u32;
    let mut parts: Vec<u32> = weights.iter().map(part).collect();
    let rest = amount - parts.iter().sum::<u32>();
    if weights[favourite] > 0 {
        parts[favourite] += rest;
    }

    parts
}

#[cfg(test)]
mod tests;
