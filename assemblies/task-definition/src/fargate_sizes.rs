//! The sizes that Fargate sells.

/// A size: CPU units (1024 are a vCPU) and MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Size {
    /// CPU units.
    pub cpu: u32,
    /// MiB.
    pub memory: u32,
}

/// A row of the table: the amounts of memory that go with an amount of CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// CPU units.
    pub cpu: u32,
    /// MiB, ascending.
    pub memory: &'static [u32],
}

/// The table, ascending. From 8192 CPU units it is for Linux on platform version 1.4.0 or later only.
///
/// Source: "Task CPU and memory" in the ECS developer guide, and cfn-lint's table, 2026-11.
pub fn sizes() -> &'static [Row] {
    &TABLE
}

/// The smallest size that holds so much CPU and memory.
pub fn smallest(cpu: u32, memory: u32) -> Option<Size> {
    TABLE.iter().filter(|row| row.cpu >= cpu).find_map(|row| {
        let fits = row.memory.iter().find(|one| **one >= memory)?;
        Some(Size {
            cpu: row.cpu,
            memory: *fits,
        })
    })
}

/// Whether Fargate sells exactly this.
pub fn is_sold(size: Size) -> bool {
    row(size.cpu).is_some_and(|row| row.memory.contains(&size.memory))
}

/// The row of an amount of CPU.
pub fn row(cpu: u32) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.cpu == cpu)
}

/// CPU units of a task's `cpu`: `256`, `.25 vcpu`, `1 vCPU`.
pub fn parse_cpu(text: &str) -> Option<u32> {
    amount(text, &["vcpu"], 1024.0)
}

/// MiB of a task's `memory`: `512`, `1GB`, `.5 gb`.
pub fn parse_memory(text: &str) -> Option<u32> {
    amount(text, &["gb"], 1024.0)
}

fn amount(text: &str, units: &[&str], factor: f64) -> Option<u32> {
    let text = text.trim().to_lowercase();
    if let Ok(plain) = text.parse::<u32>() {
        return Some(plain);
    }
    let number = units
        .iter()
        .find_map(|unit| text.strip_suffix(unit))?
        .trim_end();
    let is_plain = number.chars().all(|c| c.is_ascii_digit() || c == '.');
    let value = number.parse::<f64>().ok().filter(|_| is_plain)? * factor;
    (value <= f64::from(u32::MAX) && value.fract() == 0.0).then_some(value as u32)
}

/// `first..=last` in steps, as an array.
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
