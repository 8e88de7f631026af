//! Routes the arrows: straight to the container below, or along a lane at the side.
//!
//! Arrows of one kind to one container share a lane and a head, called a bus.

use super::diagram::{Diagram, Edge, Line};

/// The routes of a diagram, and the number of lanes on each side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Routes {
    pub(super) straight: Vec<Edge>,
    pub(super) buses: Vec<Bus>,
    pub(super) left: usize,
    pub(super) right: usize,
}

/// The arrows of one kind to one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bus {
    pub(super) from: Vec<usize>,
    pub(super) to: usize,
    pub(super) line: Line,
    pub(super) side: Side,
    /// Counted from the containers outwards.
    pub(super) lane: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

impl Bus {
    /// Returns the first and the last row it spans.
    pub(super) fn rows(&self) -> (usize, usize) {
        let all = self.from.iter().chain([&self.to]);
        (
            all.clone().copied().min().unwrap_or(self.to),
            all.copied().max().unwrap_or(self.to),
        )
    }
}

/// Routes the edges: requests on the left, the rest on the right, the shortest in the innermost lanes.
pub(super) fn routes(diagram: &Diagram) -> Routes {
    let (mut straight, mut buses) = (Vec::new(), Vec::<Bus>::new());
    for edge in &diagram.edges {
        match buses
            .iter_mut()
            .find(|bus| bus.to == edge.to && bus.line == edge.line)
        {
            Some(bus) => bus.from.push(edge.from),
            None => buses.push(Bus {
                from: vec![edge.from],
                to: edge.to,
                line: edge.line,
                side: if edge.line == Line::Request {
                    Side::Left
                } else {
                    Side::Right
                },
                lane: 0,
            }),
        }
    }

    // A single arrow from the container directly above needs no lane.
    let is_straight = |bus: &Bus| bus.from.len() == 1 && bus.from[0] + 1 == bus.to;
    for bus in buses.iter().filter(|bus| is_straight(bus)) {
        let edges = diagram.edges.iter();
        straight.extend(
            edges
                .filter(|edge| edge.to == bus.to && edge.line == bus.line)
                .cloned(),
        );
    }

    buses.retain(|bus| !is_straight(bus));
    buses.sort_by_key(|bus| (bus.rows().1 - bus.rows().0, bus.rows().0));
    let left = lanes(&mut buses, Side::Left);
    let right = lanes(&mut buses, Side::Right);

    Routes {
        straight,
        buses,
        left,
        right,
    }
}

/// Assigns each bus of a side the innermost lane with free rows; returns the number of lanes.
fn lanes(buses: &mut [Bus], side: Side) -> usize {
    let mut taken: Vec<Vec<(usize, usize)>> = Vec::new();
    for bus in buses.iter_mut().filter(|bus| bus.side == side) {
        let (first, last) = bus.rows();
        let is_free =
            |lane: &Vec<(usize, usize)>| lane.iter().all(|(from, to)| last < *from || *to < first);
        // First fit; the buses arrive sorted by length, so short ones stay close to the containers.
        let free = taken.iter().position(is_free).unwrap_or(taken.len());

        if free == taken.len() {
            taken.push(Vec::new());
        }
        taken[free].push((first, last));
        bus.lane = free;
    }

    taken.len()
}
