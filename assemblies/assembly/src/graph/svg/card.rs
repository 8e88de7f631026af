//! The card of a container: name, ports, share of the task, start and stop step.

use super::Sheet;
use super::scene::{Align, Rect, Scene, Style};
use crate::graph::diagram::{Kind, Node, Port, Reach};
use crate::graph::measure::{fit, width};

/// Column widths from the right: order, share, ports; the name gets the rest.
const ORDER: i32 = 116;
const SHARE: i32 = 130;
const PORTS: i32 = 178;
const SPACE: i32 = 12;
const STRIPE: i32 = 6;

pub(super) fn card(sheet: &Sheet<'_>, index: usize, scene: &mut Scene) {
    let node = &sheet.diagram.nodes[index];
    let location = sheet.card(index);
    scene.rect(
        "card",
        location,
        7,
        Some(format!("{}: {}", node.name, node.image)),
    );

    let stripe = Rect {
        x: location.x + 1,
        y: location.y + 6,
        width: STRIPE,
        height: location.height - 12,
    };

    scene.rect(class(node.kind), stripe, 3, None);
    // Columns are laid out from the right, since only the name column has a flexible width.
    let order = Rect {
        x: location.right() - ORDER,
        width: ORDER - SPACE,
        ..location
    };
    let share = Rect {
        x: order.x - SHARE,
        width: SHARE - SPACE,
        ..location
    };
    let ports = Rect {
        x: share.x - PORTS,
        width: PORTS - SPACE,
        ..location
    };

    let left = location.x + STRIPE + SPACE;
    let name = Rect {
        x: left,
        width: ports.x - SPACE - left,
        ..location
    };

    title(node, name, scene);
    chips(node, ports, scene);
    shares(sheet, node, share, scene);

    let start = format!("starts {}", node.start);
    scene.text_in(Style::Small, &start, Align::Start, row(order, 14, 16));
    scene.text_in(
        Style::Small,
        &node.stop_label(),
        Align::Start,
        row(order, 35, 16),
    );
}

/// Returns a row of a column.
fn row(column: Rect, down: i32, height: i32) -> Rect {
    Rect {
        y: column.y + down,
        height,
        ..column
    }
}

fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Hop => "hop",
        Kind::App => "app",
        Kind::Sidecar => "sidecar",
        Kind::Init => "init",
        Kind::Container => "container",
    }
}

/// Draws name and attributes, and a third line for conditions other than START.
fn title(node: &Node, column: Rect, scene: &mut Scene) {
    // The three-line layout starts higher, so that both are centred on the card.
    let down = if node.after.is_empty() { 12 } else { 4 };
    scene.text_in(Style::Name, &node.name, Align::Start, row(column, down, 20));
    scene.text_in(
        Style::Small,
        &node.description(),
        Align::Start,
        row(column, down + 21, 17),
    );

    if !node.after.is_empty() {
        let after = node.after.join(", ");
        scene.text_in(
            Style::Small,
            &after,
            Align::Start,
            row(column, down + 38, 17),
        );
    }
}

/// Draws a chip for each of up to two ports, or the first port and the numbers of the others.
fn chips(node: &Node, column: Rect, scene: &mut Scene) {
    match node.ports.as_slice() {
        [] => scene.text_in(
            Style::Small,
            node.no_ports_note,
            Align::Start,
            row(column, 23, 17),
        ),
        [port] => chip(port, row(column, 22, 20), scene),
        [first, second] => {
            chip(first, row(column, 9, 20), scene);
            chip(second, row(column, 35, 20), scene);
        }
        [first, more @ ..] => {
            chip(first, row(column, 9, 20), scene);
            // The interface names of further ports would not fit; their numbers do.
            let others: Vec<String> = more.iter().map(|port| format!(":{}", port.port)).collect();
            scene.text_in(
                Style::Small,
                &others.join(" "),
                Align::Start,
                row(column, 36, 17),
            );
        }
    }
}

fn chip(port: &Port, room: Rect, scene: &mut Scene) {
    let (class, style) = match port.reach {
        Reach::Outside => ("open", Style::OpenChip),
        Reach::Loopback => ("chip", Style::Chip),
    };

    let max_width = room.width - 2 * INSET;
    let number = format!(" :{}", port.port);

    // The interface's name is cut before the port, which readers need in full.
    let name = fit(
        &port.interface,
        style.font(),
        max_width - width(&number, style.font()),
    );
    let text = format!("{name}{number}");
    let chip_width = width(&text, style.font()) + 2 * INSET;
    let location = Rect {
        width: chip_width,
        ..room
    };

    let title = (name != port.interface).then(|| port.label());
    scene.rect(class, location, 10, title);
    let inside = Rect {
        x: location.x + INSET,
        width: chip_width - 2 * INSET,
        y: location.y,
        height: 18,
    };
    scene.text_in(style, &text, Align::Start, inside);
}

const INSET: i32 = 9;

/// Draws the container's share of the task's CPU and memory, as text and bars.
fn shares(sheet: &Sheet<'_>, node: &Node, column: Rect, scene: &mut Scene) {
    // The same colour as the stripe, so that bar and container are seen together.
    let (cpu, memory) = sheet.diagram.whole;
    bar(
        class(node.kind),
        (node.cpu, cpu),
        "CPU",
        row(column, 10, 22),
        scene,
    );
    let room = row(column, 34, 22);
    bar(class(node.kind), (node.memory, memory), "MiB", room, scene);
}

fn bar(
    class: &'static str,
    (part, whole): (Option<u32>, Option<u32>),
    unit: &str,
    room: Rect,
    scene: &mut Scene,
) {
    let text = part.map_or_else(|| format!("no {unit} set"), |part| format!("{part} {unit}"));

    scene.text_in(
        Style::Small,
        &text,
        Align::Start,
        Rect { height: 15, ..room },
    );

    let (Some(part), Some(whole)) = (part, whole.filter(|whole| *whole > 0)) else {
        return;
    };
    let trough = Rect {
        y: room.y + 16,
        height: 4,
        ..room
    };

    scene.rect("trough", trough, 2, None);
    // At least 4 pixels, so that a small share stays visible.
    let filled = i64::from(room.width) * i64::from(part.min(whole)) / i64::from(whole);
    let filled_width = i32::try_from(filled).unwrap_or(room.width).max(4);
    let share = u64::from(part) * 100 / u64::from(whole);

    scene.rect(
        class,
        Rect {
            width: filled_width,
            ..trough
        },
        2,
        Some(format!("{share} % of {whole} {unit}")),
    );
}
