//! A container: its name, its ports, its share of the task, its place in the order.

use super::Sheet;
use super::scene::{Align, Rect, Scene, Style};
use crate::graph::diagram::{Kind, Node, Port, Reach};
use crate::graph::measure::{fitted, width};

/// Columns from the right: order, share, ports; the name has the rest.
const ORDER: i32 = 116;
const SHARE: i32 = 130;
const PORTS: i32 = 178;
const SPACE: i32 = 12;
const STRIPE: i32 = 6;

pub(super) fn card(sheet: &Sheet<'_>, index: usize, scene: &mut Scene) {
    let node = &sheet.diagram.nodes[index];
    let place = sheet.card(index);
    scene.rect(
        "card",
        place,
        7,
        Some(format!("{}: {}", node.name, node.image)),
    );

    let stripe = Rect {
        x: place.x + 1,
        y: place.y + 6,
        width: STRIPE,
        height: place.height - 12,
    };

    scene.rect(class(node.kind), stripe, 3, None);
    let order = Rect {
        x: place.right() - ORDER,
        width: ORDER - SPACE,
        ..place
    };
    let share = Rect {
        x: order.x - SHARE,
        width: SHARE - SPACE,
        ..place
    };
    let ports = Rect {
        x: share.x - PORTS,
        width: PORTS - SPACE,
        ..place
    };

    let left = place.x + STRIPE + SPACE;
    let name = Rect {
        x: left,
        width: ports.x - SPACE - left,
        ..place
    };

    title(node, name, scene);
    chips(node, ports, scene);
    shares(sheet, node, share, scene);

    let start = format!("starts {}", node.start);
    scene.words(Style::Small, &start, Align::Start, row(order, 14, 16));
    scene.words(
        Style::Small,
        &node.stop_words(),
        Align::Start,
        row(order, 35, 16),
    );
}

/// A line of a column.
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

/// Two lines, or three where it waits for more than a start.
fn title(node: &Node, column: Rect, scene: &mut Scene) {
    let down = if node.after.is_empty() { 12 } else { 4 };
    scene.words(Style::Name, &node.name, Align::Start, row(column, down, 20));
    scene.words(
        Style::Small,
        &node.words(),
        Align::Start,
        row(column, down + 21, 17),
    );

    if !node.after.is_empty() {
        let after = node.after.join(", ");
        scene.words(
            Style::Small,
            &after,
            Align::Start,
            row(column, down + 38, 17),
        );
    }
}

/// One chip for each port; of many the first, and how many more there are.
fn chips(node: &Node, column: Rect, scene: &mut Scene) {
    match node.ports.as_slice() {
        [] => scene.words(Style::Small, node.silent, Align::Start, row(column, 23, 17)),
        [one] => chip(one, row(column, 22, 20), scene),
        [first, second] => {
            chip(first, row(column, 9, 20), scene);
            chip(second, row(column, 35, 20), scene);
        }
        [first, more @ ..] => {
            chip(first, row(column, 9, 20), scene);
            let others: Vec<String> = more.iter().map(|one| format!(":{}", one.port)).collect();
            scene.words(
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

    let most = room.width - 2 * INSET;
    let number = format!(" :{}", port.port);

    // Rather half of the interface's name than half of the port.
    let name = fitted(
        &port.interface,
        style.font(),
        most - width(&number, style.font()),
    );
    let words = format!("{name}{number}");
    let wide = width(&words, style.font()) + 2 * INSET;
    let place = Rect {
        width: wide,
        ..room
    };

    let title = (name != port.interface).then(|| port.words());
    scene.rect(class, place, 10, title);
    let inside = Rect {
        x: place.x + INSET,
        width: wide - 2 * INSET,
        y: place.y,
        height: 18,
    };
    scene.words(style, &words, Align::Start, inside);
}

const INSET: i32 = 9;

/// The container's part of the task's CPU and memory, in words and as bars.
fn shares(sheet: &Sheet<'_>, node: &Node, column: Rect, scene: &mut Scene) {
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
    let words = part.map_or_else(
        || format!("no {unit} said"),
        |part| format!("{part} {unit}"),
    );

    scene.words(
        Style::Small,
        &words,
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
    let filled = i64::from(room.width) * i64::from(part.min(whole)) / i64::from(whole);
    let filled = i32::try_from(filled).unwrap_or(room.width).max(4);
    let share = u64::from(part) * 100 / u64::from(whole);

    scene.rect(
        class,
        Rect {
            width: filled,
            ..trough
        },
        2,
        Some(format!("{share} % of {whole} {unit}")),
    );
}
