//! Chooses the task's size and divides it among the containers.

use diagnostics::Finding;
use task_definition::fargate_sizes;

use super::Size;
use crate::manifest::TaskSize;
use crate::resolve::{AssemblyMember, ResolvedAssembly, Role};
use crate::rules;

/// The resources of one container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// CPU units.
    pub(crate) cpu: u32,
    /// The hard limit in MiB.
    pub(crate) memory: u32,
    /// The reservation (soft limit) in MiB: the floor, or one MiB less if that is the hard limit too.
    pub(crate) reservation: u32,
}

/// The task's size and each container's share of it.
#[derive(Debug, Clone)]
pub(crate) struct Allocation {
    pub(crate) size: Size,
    pub(crate) shares: Vec<Share>,
}

/// The least that a member needs, and whether it can get more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Floor {
    /// CPU units.
    pub(crate) cpu: u32,
    /// MiB.
    pub(crate) memory: u32,
    /// Its relative part of the spare resources.
    pub(crate) weight: u32,
    pub(crate) cpu_fixed: bool,
    pub(crate) memory_fixed: bool,
}

/// Allocates the task's size: the user's, or else the smallest Fargate size that holds the sum of the
/// floors.
///
/// Spare resources are divided by weight; the remainder of the division goes to the app. If no size is large enough,
/// the sum is the size, and a finding reports it.
pub(super) fn allocate(assembly: &ResolvedAssembly) -> (Allocation, Vec<Finding>) {
    let floors = floors(assembly);
    let requested = &assembly.manifest.file().size;
    let chosen = choose_size(requested, sum(&floors));
    let findings = match chosen {
        Some(_) => Vec::new(),
        None => vec![too_large(assembly, &floors)],
    };
    let size = chosen.unwrap_or_else(|| sum(&floors));
    // M03 and M05 ensure that there is an app.
    let app = assembly
        .members
        .iter()
        .position(|member| member.role == Role::App);

    let allocation = Allocation {
        size,
        shares: divide_size(size, &floors, app.unwrap_or(0)),
    };
    (allocation, findings)
}

/// Returns each member's floor, in the order of the members.
pub(crate) fn floors(assembly: &ResolvedAssembly) -> Vec<Floor> {
    assembly
        .members
        .iter()
        .map(|member| Floor::new(assembly, member))
        .collect()
}

/// Returns the sum of all floors.
pub(crate) fn sum(floors: &[Floor]) -> Size {
    let sum = |field: fn(&Floor) -> u32| floors.iter().map(field).fold(0, u32::saturating_add);
    Size {
        cpu: sum(|floor| floor.cpu),
        memory: sum(|floor| floor.memory),
    }
}

/// Returns the task size for a sum of floors, or `None` if no Fargate size is large enough.
///
/// The smallest size is also the cheapest that fits, which the tests check over the whole table. (Only
/// 16 vCPU with 64 GB and 32 vCPU with 60 GB are two sizes of which neither is smaller in both.)
fn choose_size(requested: &TaskSize, sum: Size) -> Option<Size> {
    let smallest = |cpu, memory| {
        fargate_sizes::smallest(cpu, memory).map(|size| Size {
            cpu: size.cpu,
            memory: size.memory,
        })
    };

    match (requested.cpu, requested.memory) {
        // Taken unchanged, even if it is too small or unsupported: rules report that.
        (Some(cpu), Some(memory)) => Some(Size { cpu, memory }),
        // One half is named: the other is the smallest supported together with it.
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

fn too_large(assembly: &ResolvedAssembly, floors: &[Floor]) -> Finding {
    let largest = floors.iter().zip(&assembly.members);
    let largest = largest.max_by_key(|(floor, _)| (floor.cpu, floor.memory));
    let (name, location) = largest
        .map_or(("", assembly.manifest.location("/name")), |(_, member)| {
            (member.name(), member.location.clone())
        });
    rules::m33_task_too_large::too_large(location, name, sum(floors))
}

/// Divides a size: each container gets its floor and a part of the spare resources.
fn divide_size(size: Size, floors: &[Floor], app: usize) -> Vec<Share> {
    let sum = sum(floors);
    let spare = Size {
        cpu: size.cpu.saturating_sub(sum.cpu),
        memory: size.memory.saturating_sub(sum.memory),
    };

    // ECS requires `memory` above `memoryReservation`, so each container that can grow gets one MiB first.
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
    /// Returns the floor of a member: from `overrides:`, else `size.containers`, else the component.
    ///
    /// An override of `cpu` or `memory` is exact; the other containers share the rest.
    fn new(assembly: &ResolvedAssembly, member: &AssemblyMember) -> Self {
        let file = assembly.manifest.file();
        let overrides = file.overrides.get(member.component.name());
        let override_of = |field: &str| {
            let number = overrides?.get(field)?.as_u64()?;
            u32::try_from(number).ok()
        };
        let size = &member.component.file().size;
        let requested = file.size.containers.get(member.component.name());
        let (cpu, memory) = (override_of("cpu"), override_of("memory"));
        let floor = override_of("memoryReservation").or_else(|| requested?.memory);

        // The app takes part in the division even if its component declares no weight.
        let app = u32::from(member.role == Role::App);
        let weight = requested.and_then(|requested| requested.weight);
        Self {
            cpu: cpu.or_else(|| requested?.cpu).unwrap_or(size.cpu),
            memory: memory.or(floor).unwrap_or(size.memory).max(MIN_MEMORY),
            weight: weight.unwrap_or_else(|| size.weight.max(app)),
            cpu_fixed: cpu.is_some(),
            memory_fixed: memory.is_some(),
        }
    }
}

/// The least memory of a container in MiB. Docker starts no container with less than 6 MiB, and the
/// hard limit must be above the reservation.
const MIN_MEMORY: u32 = 7;

fn weights(floors: &[Floor], fixed: impl Fn(&Floor) -> bool) -> Vec<u32> {
    floors
        .iter()
        .map(|floor| if fixed(floor) { 0 } else { floor.weight })
        .collect()
}

/// Divides an amount by weight; the remainder goes to `remainder_index`, unless its weight is 0.
fn divide(amount: u32, weights: &[u32], remainder_index: usize) -> Vec<u32> {
    let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }

    // Multiplied as u64: 249,856 MiB times a weight can exceed u32.
    let part = |weight: &u32| (u64::from(amount) * u64::from(*weight) / sum) as u32;
    let mut parts: Vec<u32> = weights.iter().map(part).collect();
    let rest = amount - parts.iter().sum::<u32>();
    if weights[remainder_index] > 0 {
        parts[remainder_index] += rest;
    }

    parts
}

#[cfg(test)]
mod tests;
