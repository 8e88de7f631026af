//! Converts CPU, memory and GPUs of services, and chooses the size of the task.

use diagnostics::source::{Node, NodeValue, Span};
use task_definition::{WRONG_TYPE, fargate_sizes};

use crate::inputs::derived::Notes;
use crate::inputs::derived::amounts::{cpu_units, mebibytes};
use crate::inputs::derived::record::{Record, list, number, text, unknown};

/// The sums of the limits and reservations of all services.
#[derive(Debug, Default)]
pub(super) struct TaskSize {
    cpu: u64,
    memory: u64,
    is_unknown: bool,
}

impl TaskSize {
    /// Returns the `cpu` and `memory` of the smallest Fargate size that fits.
    pub(super) fn fargate_size(&self, span: Span) -> (Node, Node) {
        if self.is_unknown {
            return (unknown("cpu", span), unknown("memory", span));
        }
        let limit = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        let (cpu, memory) = match fargate_sizes::smallest(limit(self.cpu), limit(self.memory)) {
            Some(size) => (u64::from(size.cpu), u64::from(size.memory)),
            // A rule reports that Fargate has no size of this kind.
            None => (self.cpu, self.memory),
        };
        (text(cpu.to_string(), span), text(memory.to_string(), span))
    }
}

/// Adds CPU, memory and GPUs of a service to its container.
pub(super) fn add(
    service: &Node,
    container: &mut Record,
    size: &mut TaskSize,
    notes: &mut Notes<'_>,
) {
    let first = |pointers: [&str; 2]| pointers.iter().find_map(|pointer| service.at(pointer));
    let cpus = first(["/deploy/resources/limits/cpus", "/cpus"])
        .or_else(|| service.at("/deploy/resources/reservations/cpus"));
    let limit = first(["/deploy/resources/limits/memory", "/mem_limit"]);
    let reserved = first(["/deploy/resources/reservations/memory", "/mem_reservation"]);

    // A container without limits may use what the others leave, so it adds nothing to the size.
    let cpu = cpus.and_then(|node| amount(node, cpu_units, "a number of CPUs", "`0.5`", notes));
    let memory = limit.and_then(|node| amount(node, mebibytes, "a size", "`512m`", notes));
    let reservation = reserved.and_then(|node| amount(node, mebibytes, "a size", "`256m`", notes));

    let value = |amount: &Option<Amount>| amount.as_ref().and_then(|amount| amount.value);
    size.cpu += value(&cpu).unwrap_or(0);
    size.memory += value(&memory)
        .unwrap_or(0)
        .max(value(&reservation).unwrap_or(0));
    size.is_unknown |= [&cpu, &memory, &reservation]
        .into_iter()
        .flatten()
        .any(|amount| amount.value.is_none());

    container.add_some("cpu", cpu.map(|amount| amount.node));
    container.add_some("memory", memory.map(|amount| amount.node));
    container.add_some("memoryReservation", reservation.map(|amount| amount.node));
    container.add_some("resourceRequirements", gpus(service, notes));
}

/// An amount, and its value if it is known.
struct Amount {
    node: Node,
    value: Option<u64>,
}

fn amount(
    node: &Node,
    parse: fn(&str) -> Option<u64>,
    what: &str,
    example: &str,
    notes: &mut Notes<'_>,
) -> Option<Amount> {
    if node.value == NodeValue::Null {
        return None;
    }
    if notes.is_unknown(node) {
        let node = node.clone();
        return Some(Amount { node, value: None });
    }

    let written = notes.known_text(node).unwrap_or_default();
    match parse(&written) {
        // Compose reads 0 as no limit.
        Some(0) => None,
        Some(value) => Some(Amount {
            node: number(value, node.span),
            value: Some(value),
        }),
        None => {
            let message = format!("`{written}` is not {what}");
            notes.error(WRONG_TYPE, node.span, message, format!("write {example}"));
            None
        }
    }
}

/// Returns the GPUs that a service reserves.
fn gpus(service: &Node, notes: &Notes<'_>) -> Option<Node> {
    let is_gpu = |device: &&Node| {
        let capabilities = device.get("capabilities").map_or(&[][..], Node::items);
        capabilities.iter().any(|word| word.text() == Some("gpu"))
    };
    let devices = service
        .at("/deploy/resources/reservations/devices")
        .map_or(&[][..], Node::items);

    // `gpus: all` has no number: Compose gives the container every GPU of the host.
    let (span, count) = match (service.get("gpus"), devices.iter().find(is_gpu)) {
        (Some(gpus), _) => (gpus.span, None),
        (None, Some(device)) => {
            let count = device
                .get("count")
                .and_then(|count| notes.known_text(count));
            (device.span, count)
        }
        (None, None) => return None,
    };
    let count = count.filter(|count| count.parse::<u32>().is_ok());
    let requirement = Record::new(span)
        .with("type", text("GPU", span))
        .with("value", text(count.unwrap_or_else(|| "1".to_owned()), span));
    Some(list(vec![requirement.into_node()], span))
}
