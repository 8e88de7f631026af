//! The arrows between the containers, and into them.

use super::scene::{End, Rect, Scene};
use super::{LANE, MARGIN, OUTSIDE, PAD, STUB, Sheet};
use crate::graph::diagram::Line;
use crate::graph::routes::{Bus, Side};

pub(super) fn edges(sheet: &Sheet<'_>, scene: &mut Scene) {
    for edge in &sheet.routes.straight {
        let (from, to) = (sheet.card(edge.from), sheet.card(edge.to));
        // Requests on the left and the rest on the right, like the lanes.
        let x = if edge.line == Line::Request {
            from.x + INSIDE
        } else {
            from.right() - INSIDE
        };
        scene.edge(edge.line, &[(x, from.bottom()), (x, to.y)], End::Head);
    }

    for (number, bus) in sheet.routes.buses.iter().enumerate() {
        lane(sheet, number, bus, scene);
    }
    draw_entries(sheet, scene);
}

/// The distance of a straight arrow from the card's side.
const INSIDE: i32 = 44;

/// Draws a bus: a branch from each source into the lane, and the lane to the target.
fn lane(sheet: &Sheet<'_>, number: usize, bus: &Bus, scene: &mut Scene) {
    let x = |card: Rect| match bus.side {
        Side::Left => (card.x, card.x - STUB - bus.lane as i32 * LANE),
        Side::Right => (card.right(), card.right() + STUB + bus.lane as i32 * LANE),
    };
    let (edge, lane) = x(sheet.card(bus.to));
    let end = height(sheet, number, bus.to);

    // The farthest sources above and below draw the whole path; the others only their branch into it.
    let mut heights: Vec<i32> = bus
        .from
        .iter()
        .map(|from| height(sheet, number, *from))
        .collect();

    heights.sort_unstable();
    let (upper, lower): (Vec<i32>, Vec<i32>) = heights.into_iter().partition(|y| *y < end);
    let full = [upper.first(), lower.last()];
    for start in full.into_iter().flatten() {
        let points = [(edge, *start), (lane, *start), (lane, end), (edge, end)];
        scene.edge(bus.line, &points, End::Head);
    }

    let joining = upper.iter().skip(1).chain(lower.iter().rev().skip(1));
    for start in joining {
        scene.edge(bus.line, &[(edge, *start), (lane, *start)], End::Plain);
    }
}

/// Returns the height at which a bus touches a container's side. Buses on one side are spread evenly.
fn height(sheet: &Sheet<'_>, number: usize, index: usize) -> i32 {
    let side = sheet.routes.buses[number].side;
    let buses = sheet.routes.buses.iter().enumerate();
    let touching: Vec<usize> = buses
        .filter(|(_, bus)| bus.side == side && (bus.to == index || bus.from.contains(&index)))
        .map(|(number, _)| number)
        .collect();
    let location = touching
        .iter()
        .position(|touching| *touching == number)
        .unwrap_or_default() as i32;

    let card = sheet.card(index);
    // The arrow from outside ends in the middle of the left side, so buses use the lower half.
    let has_entry = side == Side::Left
        && sheet
            .diagram
            .outside
            .as_ref()
            .is_some_and(|outside| outside.entries.contains(&index));

    let (upper, room) = if has_entry {
        (card.middle(), card.height / 2)
    } else {
        (card.y, card.height)
    };

    upper + room * (location + 1) / (touching.len() as i32 + 1)
}

/// Draws the arrows from outside to the containers they reach.
fn draw_entries(sheet: &Sheet<'_>, scene: &mut Scene) {
    let Some(outside) = &sheet.diagram.outside else {
        return;
    };
    let start = MARGIN + OUTSIDE;
    let mut entries = outside.entries.iter().map(|entry| sheet.card(*entry));
    let Some(first) = entries.next() else { return };

    scene.edge(
        outside.line,
        &[(start, first.middle()), (first.x, first.middle())],
        End::Head,
    );

    // Further arrows leave the first one inside the gap, so that they share its start.
    let turn = start + PAD;
    for card in entries {
        let points = [
            (start, first.middle()),
            (turn, first.middle()),
            (turn, card.middle()),
            (card.x, card.middle()),
        ];
        scene.edge(outside.line, &points, End::Head);
    }
}
