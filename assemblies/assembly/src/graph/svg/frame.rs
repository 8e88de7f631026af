//! The frame around the containers: page, task, title, outside, legend.

use super::scene::{Align, End, Rect, Scene, Style};
use super::{LINE, MARGIN, OUTSIDE, PAD, Sheet, TASK};
use crate::graph::diagram::{Diagram, Line, Outside, Reach};
use crate::graph::measure::{fit, width};

pub(super) fn frame(sheet: &Sheet<'_>, scene: &mut Scene) {
    let page = Rect {
        x: 0,
        y: 0,
        width: scene.width,
        height: scene.height,
    };

    scene.rect("page", page, 12, None);
    scene.rect(
        "task",
        sheet.task(),
        10,
        Some(format!("The task's network: {}", sheet.diagram.boundary)),
    );

    // Texts follow the rectangles they are drawn on.
    head(sheet, scene);
    if let Some(outside) = &sheet.diagram.outside {
        draw_outside(sheet, outside, scene);
    }

    legend(sheet, scene);
}

/// The width of size and price on the right.
const FACTS: i32 = 250;

/// Returns the summary in at most two lines, cut if it is longer.
pub(super) fn summary(diagram: &Diagram) -> Vec<String> {
    let (room, font) = (beside_price(diagram), Style::Plain.font());
    let mut lines: Vec<String> = Vec::new();
    for word in diagram.summary.split_whitespace() {
        let is_last = lines.len() == 2;
        match lines.last_mut() {
            Some(line) if is_last || width(&format!("{line} {word}"), font) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }

    // The price is on the first summary line, which must exist even without a summary.
    if lines.is_empty() && diagram.price.is_some() {
        lines.push(String::new());
    }
    lines.iter().map(|line| fit(line, font, room)).collect()
}

/// Returns the width that the price leaves of the summary lines.
fn beside_price(diagram: &Diagram) -> i32 {
    let price = diagram.price.as_ref();
    let taken = price.map_or(0, |(price, _)| {
        width(price, Style::Plain.font()).min(FACTS) + PAD
    });
    TASK - 2 * PAD - taken
}

fn head(sheet: &Sheet<'_>, scene: &mut Scene) {
    let (diagram, task) = (sheet.diagram, sheet.task());
    let facts = Rect {
        x: task.right() - PAD - FACTS,
        y: task.y + 12,
        width: FACTS,
        height: 24,
    };

    // Title and size share a line, so the title gets what the facts column leaves.
    let left = Rect {
        x: task.x + PAD,
        width: TASK - 2 * PAD - FACTS - PAD,
        ..facts
    };

    scene.text_in(Style::Title, &diagram.name, Align::Start, left);
    scene.text_in(Style::Name, &diagram.size, Align::End, facts);
    let below = Rect {
        y: facts.y + 24,
        height: LINE,
        ..facts
    };

    if let Some((price, _)) = &diagram.price {
        scene.text_in(Style::Plain, price, Align::End, below);
    }
    for (number, line) in sheet.summary.iter().enumerate() {
        let y = below.y + number as i32 * LINE;
        let room = Rect {
            x: left.x,
            y,
            width: beside_price(diagram),
            height: LINE,
        };
        scene.text_in(Style::Plain, line, Align::Start, room);
    }
}

/// Draws the clients or the trigger, next to the first container they reach.
fn draw_outside(sheet: &Sheet<'_>, outside: &Outside, scene: &mut Scene) {
    let Some(first) = outside.entries.first() else {
        return;
    };
    let height = 36;
    // Level with the first container, so that the arrow into it is straight.
    let y = sheet.card(*first).middle() - height / 2;
    let location = Rect {
        x: MARGIN,
        y,
        width: OUTSIDE,
        height,
    };

    scene.rect("outside", location, height / 2, None);
    let inside = Rect {
        x: location.x + 8,
        y: location.y + 7,
        width: location.width - 16,
        height: 21,
    };

    scene.text_in(Style::Name, &outside.name, Align::Middle, inside);
    let below = Rect {
        x: MARGIN - 8,
        y: location.bottom() + 4,
        width: OUTSIDE + 16,
        height: LINE,
    };
    scene.text_in(Style::Small, &outside.detail, Align::Middle, below);
}

/// Draws the legend of lines and colours, and the stop time and source of the price.
fn legend(sheet: &Sheet<'_>, scene: &mut Scene) {
    let diagram = sheet.diagram;
    let task = sheet.task();
    let mut room = Rect {
        x: task.x,
        y: task.bottom() + 10,
        width: TASK,
        height: 16,
    };

    draw_line_kinds(diagram, scene, &mut room);
    draw_areas(diagram, scene, &mut room);

    // The second line of the legend.
    let mut facts = format!(
        "step 1 comes first · stops within {} s",
        diagram.stops_within
    );

    if let Some((_, source)) = &diagram.price {
        facts = format!("{facts} · price of {source}");
    }

    let line = Rect {
        x: task.x,
        y: task.bottom() + 32,
        width: TASK,
        height: 16,
    };
    scene.text_in(Style::Small, &facts, Align::Start, line);
}

/// Draws the kinds of lines that occur in the diagram.
fn draw_line_kinds(diagram: &Diagram, scene: &mut Scene, room: &mut Rect) {
    let has = |line| diagram.edges.iter().any(|edge| edge.line == line);
    let enters = diagram
        .outside
        .as_ref()
        .is_some_and(|outside| outside.line == Line::Request);
    let triggers = diagram
        .outside
        .as_ref()
        .is_some_and(|outside| outside.line == Line::Wait);

    let kinds = [
        (Line::Request, "requests", has(Line::Request) || enters),
        (Line::Telemetry, "telemetry", has(Line::Telemetry)),
        (Line::Wait, "start order", has(Line::Wait)),
        (Line::Wait, "trigger", triggers),
    ];

    for (line, text, _) in kinds.into_iter().filter(|(.., is_there)| *is_there) {
        scene.edge(
            line,
            &[(room.x, room.middle()), (room.x + 30, room.middle())],
            End::Head,
        );
        key(scene, room, 36, text);
    }
}

/// Draws the kinds of areas that occur in the diagram.
fn draw_areas(diagram: &Diagram, scene: &mut Scene, room: &mut Rect) {
    let reaches = |reach| {
        let mut ports = diagram.nodes.iter().flat_map(|node| &node.ports);
        ports.any(|port| port.reach == reach)
    };
    let areas = [
        ("open", "open to outside", 6, reaches(Reach::Outside)),
        ("chip", "loopback only", 6, reaches(Reach::Loopback)),
        ("task", "task's network", 3, true),
    ];

    for (class, text, round, _) in areas.into_iter().filter(|(.., is_there)| *is_there) {
        let area = Rect {
            x: room.x,
            y: room.y + 2,
            width: 22,
            height: 12,
        };

        scene.rect(class, area, round, None);
        key(scene, room, 28, text);
    }
}

/// Draws a text of the legend and moves `room` behind it.
fn key(scene: &mut Scene, room: &mut Rect, offset: i32, text: &str) {
    let text_width = width(text, Style::Small.font());
    scene.text_in(
        Style::Small,
        text,
        Align::Start,
        Rect {
            x: room.x + offset,
            width: text_width,
            ..*room
        },
    );
    // 15 pixels to the next entry.
    room.x += offset + text_width + 15;
}
