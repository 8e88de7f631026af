//! Converts the settings of the kernel: capabilities, devices, tmpfs, shared memory and ulimits.

use diagnostics::source::{Node, Span};

use crate::inputs::derived::Notes;
use crate::inputs::derived::amounts::mebibytes;
use crate::inputs::derived::fields::{flag, integer, text_list};
use crate::inputs::derived::record::{Record, number, some_list, text, texts};

/// Returns `linuxParameters`, with the tmpfs of the mounts.
pub(super) fn parameters(
    service: &Node,
    tmpfs: Option<Node>,
    span: Span,
    notes: &mut Notes<'_>,
) -> Option<Node> {
    let mut capabilities = Record::new(span);
    for (field, name) in [("cap_add", "add"), ("cap_drop", "drop")] {
        capabilities.add_some(
            name,
            service.get(field).and_then(|node| text_list(node, notes)),
        );
    }

    // ECS has all of these in one record.
    let mut record = Record::new(span);
    record.add_some("capabilities", capabilities.into_some());
    record.add_some("devices", devices(service, notes));
    record.add_some(
        "initProcessEnabled",
        service.get("init").and_then(|node| flag(node, notes)),
    );
    record.add_some("tmpfs", tmpfs);
    if let Some(size) = service.get("shm_size") {
        let written = notes.known_text(size).unwrap_or_default();
        let value = mebibytes(&written);
        record.add(
            "sharedMemorySize",
            value.map_or_else(|| size.clone(), |value| number(value, size.span)),
        );
    }
    if let Some(swappiness) = service.get("mem_swappiness") {
        record.add("swappiness", integer(swappiness, notes));
    }
    record.into_some()
}

/// Reads `HOST[:CONTAINER[:PERMISSIONS]]`.
fn devices(service: &Node, notes: &Notes<'_>) -> Option<Node> {
    let node = service.get("devices")?;
    let device = |item: &Node| {
        let written = notes.known_text(item)?;
        let mut parts = written.split(':');
        let mut record = Record::new(item.span);
        record.add("hostPath", text(parts.next()?, item.span));
        record.add_some(
            "containerPath",
            parts.next().map(|path| text(path, item.span)),
        );

        // Docker allows reading, writing and making device files by default.
        let words = parts
            .next()
            .unwrap_or("rwm")
            .chars()
            .filter_map(|letter| match letter {
                'r' => Some("read"),
                'w' => Some("write"),
                'm' => Some("mknod"),
                _ => None,
            });
        record.add("permissions", texts(words, item.span));
        Some(record.into_node())
    };
    some_list(node.items().iter().filter_map(device).collect(), node.span)
}

/// Returns the limits, of which a single number is both.
pub(super) fn ulimits(service: &Node, notes: &Notes<'_>) -> Option<Node> {
    let ulimits = service.get("ulimits")?;
    let limits = ulimits.entries().iter().map(|(key, limit)| {
        let soft = limit.get("soft").unwrap_or(limit);
        let hard = limit.get("hard").unwrap_or(limit);
        Record::new(key.span)
            .with("name", text(&key.name, key.span))
            .with("softLimit", integer(soft, notes))
            .with("hardLimit", integer(hard, notes))
            .into_node()
    });
    some_list(limits.collect(), ulimits.span)
}
