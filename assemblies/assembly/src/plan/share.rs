//! How the task's size is divided among its containers.

use crate::resolve::{Cast, Member, Role};
use task_definition::fargate_sizes;

use super::Size;

/// What one container gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    /// CPU units.
    pub(super) cpu: u32,
    /// The hard limit in MiB.
    pub(super) memory: u32,
    /// MiB set aside: the component's floor.
    pub(super) reservation: u32,
}

/// The task's size and everybody's share of it.
#[derive(Debug, Clone)]
pub(super) struct Shares {
    pub(super) size: Size,
    pub(super) shares: Vec<Share>,
}

/// The smallest size that Fargate sells and that holds the sum, unless the user names one. What is left
/// over is divided by weight; what then still cannot be divided goes to the app.
pub(super) fn shares(cast: &Cast) -> Shares {
    let floors: Vec<Floor> = cast
        .members
        .iter()
        .map(|member| Floor::of(cast, member))
        .collect();
    let cpu: u32 = floors.iter().map(|floor| floor.cpu).sum();
    // A hard limit is above the reservation, so every container gets a MiB more than its floor.
    let memory: u32 = floors.iter().map(|floor| floor.memory + 1).sum();
    let size = size(cast, cpu, memory);
    let app = cast
        .members
        .iter()
        .position(|member| member.role == Role::App)
        .unwrap_or(0);
    let cpus = divide(
        size.cpu.saturating_sub(cpu),
        &weights(&floors, |floor| floor.cpu_fixed),
        app,
    );
    let spare = size.memory.saturating_sub(memory);
    let memories = divide(spare, &weights(&floors, |floor| floor.memory_fixed), app);
    let shares = floors
        .iter()
        .zip(cpus.iter().zip(&memories))
        .map(|(floor, (cpu, memory))| Share {
            cpu: floor.cpu + cpu,
            memory: floor.memory + 1 + memory,
            reservation: floor.memory,
        });
    Shares {
        size,
        shares: shares.collect(),
    }
}

fn size(cast: &Cast, cpu: u32, memory: u32) -> Size {
    let wanted = &cast.manifest.file().size;
    let (cpu, memory) = (wanted.cpu.unwrap_or(cpu), wanted.memory.unwrap_or(memory));
    match fargate_sizes::smallest(cpu, memory) {
        Some(size) if wanted.cpu.is_none() && wanted.memory.is_none() => Size {
            cpu: size.cpu,
            memory: size.memory,
        },
        // Half of a size is named: the other half is the smallest that goes with it.
        Some(size) if wanted.cpu.is_none() => Size {
            cpu: size.cpu,
            memory,
        },
        Some(size) if wanted.memory.is_none() => Size {
            cpu,
            memory: size.memory,
        },
        // What the user names is taken as it is; the rules say whether Fargate sells it.
        _ => Size { cpu, memory },
    }
}

/// What a member must have, and whether it may have more.
#[derive(Debug, Clone, Copy)]
struct Floor {
    cpu: u32,
    memory: u32,
    weight: u32,
    cpu_fixed: bool,
    memory_fixed: bool,
}

impl Floor {
    /// An override of `cpu` or `memory` is what that container gets; the others share the rest.
    fn of(cast: &Cast, member: &Member) -> Self {
        let overrides = cast.manifest.file().overrides.get(member.component.name());
        let over = |field: &str| {
            let number = overrides?.get(field)?.as_u64()?;
            u32::try_from(number).ok()
        };
        let size = &member.component.file().size;
        let (cpu, memory) = (over("cpu"), over("memory"));
        let app = u32::from(member.role == Role::App);
        Self {
            cpu: cpu.unwrap_or(size.cpu),
            memory: memory.map_or(size.memory, |memory| memory.saturating_sub(1)),
            weight: size.weight.max(app),
            cpu_fixed: cpu.is_some(),
            memory_fixed: memory.is_some(),
        }
    }
}

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
mod tests {
    use super::divide;

    #[test]
    fn divides_all_of_it() {
        assert_eq!(divide(100, &[1, 2, 0], 1), [33, 67, 0]);
        assert_eq!(divide(100, &[0, 0, 0], 1), [0, 0, 0]);
        assert_eq!(divide(5, &[1, 0], 1), [5, 0]);
    }
}
