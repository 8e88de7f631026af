//! The CPU and memory combinations that Fargate supports.

/// A task size: CPU units (1024 per vCPU) and MiB of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Size {
    /// CPU units.
    pub cpu: u32,
    /// MiB.
    pub memory: u32,
}

/// A row of the table: the memory values supported for a CPU value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// CPU units.
    pub cpu: u32,
    /// Memory in MiB, ascending.
    pub memory: &'static [u32],
}

/// Returns the table, ascending. Sizes from 8192 CPU units require Linux and platform version 1.4.0 or later.
///
/// Source: "Task CPU and memory" in the ECS developer guide, and cfn-lint's table, as of 2026-11.
pub fn sizes() -> &'static [Row] {
    &TABLE
}

/// Returns the smallest size with at least this much CPU and memory.
pub fn smallest(cpu: u32, memory: u32) -> Option<Size> {
    TABLE.iter().filter(|row| row.cpu >= cpu).find_map(|row| {
        let smallest = row.memory.iter().find(|mib| **mib >= memory)?;
        Some(Size {
            cpu: row.cpu,
            memory: *smallest,
        })
    })
}

/// Returns whether Fargate supports exactly this size.
pub fn is_supported(size: Size) -> bool {
    row(size.cpu).is_some_and(|row| row.memory.contains(&size.memory))
}

/// Returns the row of a CPU value.
pub fn row(cpu: u32) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.cpu == cpu)
}

/// Parses a task's `cpu` into CPU units: `256`, `.25 vcpu`, `1 vCPU`.
pub fn parse_cpu(text: &str) -> Option<u32> {
    parse_amount(text, &["vcpu"], 1024.0)
}

/// Parses a task's `memory` into MiB: `512`, `1GB`, `.5 gb`.
pub fn parse_memory(text: &str) -> Option<u32> {
    parse_amount(text, &["gb"], 1024.0)
}

fn parse_amount(text: &str, units: &[&str], factor: f64) -> Option<u32> {
    let text = text.trim().to_lowercase();
    if let Ok(plain) = text.parse::<u32>() {
        return Some(plain);
    }
    let number = units
        .iter()
        .find_map(|unit| text.strip_suffix(unit))?
        .trim_end();
    // `f64::parse` accepts `1e3` and `inf`, which ECS does not.
    let is_plain = number.chars().all(|c| c.is_ascii_digit() || c == '.');
    let value = number.parse::<f64>().ok().filter(|_| is_plain)? * factor;
    (value <= f64::from(u32::MAX) && value.fract() == 0.0).then_some(value as u32)
}

/// Returns `N` values from `first` in steps of `step`.
const fn steps<const N: usize>(first: u32, step: u32) -> [u32; N] {
    let mut all = [0; N];
    let mut index = 0;
    while index < N {
        all[index] = first + step * index as u32;
        index += 1;
    }
    all
}

static TABLE: [Row; 8] = [
    Row {
        cpu: 256,
        memory: &[512, 1024, 2048],
    },
    Row {
        cpu: 512,
        memory: &steps::<4>(1024, 1024),
    },
    Row {
        cpu: 1024,
        memory: &steps::<7>(2048, 1024),
    },
    Row {
        cpu: 2048,
        memory: &steps::<13>(4096, 1024),
    },
    Row {
        cpu: 4096,
        memory: &steps::<23>(8192, 1024),
    },
    Row {
        cpu: 8192,
        memory: &steps::<12>(16384, 4096),
    },
    Row {
        cpu: 16384,
        memory: &steps::<12>(32768, 8192),
    },
    Row {
        cpu: 32768,
        memory: &[61440, 122880, 249856],
    },
];
