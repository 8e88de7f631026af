//! Renders a diagram as SVG, with a background and colours for light and dark pages.

use super::diagram::Diagram;
use super::routes::{Routes, routes};

mod card;
mod edges;
mod frame;
mod scene;
mod style;

#[cfg(test)]
mod tests;

use scene::{Rect, Scene};

/// Renders a diagram as SVG text.
pub fn svg(diagram: &Diagram) -> String {
    scene(diagram).text()
}

/// Lays out all elements of a diagram.
fn scene(diagram: &Diagram) -> Scene {
    let sheet = Sheet::new(diagram);
    let mut scene = Scene::new(sheet.width(), sheet.height(), diagram);
    // Later elements cover earlier ones, so the background comes first.
    frame::frame(&sheet, &mut scene);
    edges::edges(&sheet, &mut scene);
    for index in 0..diagram.nodes.len() {
        card::card(&sheet, index, &mut scene);
    }
    scene
}

/// The measures of one diagram, in pixels.
struct Sheet<'p> {
    diagram: &'p Diagram,
    routes: Routes,
    /// The summary, in at most two lines.
    summary: Vec<String>,
}

const MARGIN: i32 = 16;
/// The width of the box outside of the task, and of the gap for its arrow.
const OUTSIDE: i32 = 104;
const ENTRY_GAP: i32 = 44;
/// The width of the task, so that the whole fits the page width of a README on GitHub.
const TASK: i32 = 740;
const PAD: i32 = 16;
const CARD_HEIGHT: i32 = 64;
const GAP: i32 = 24;
/// The distance between lanes, and from a card to its first lane, which must hold an arrow head.
const LANE: i32 = 12;
const STUB: i32 = 16;
const LINE: i32 = 18;
const FOOT: i32 = 62;

impl<'p> Sheet<'p> {
    fn new(diagram: &'p Diagram) -> Self {
        Self {
            diagram,
            routes: routes(diagram),
            summary: frame::summary(diagram),
        }
    }

    fn width(&self) -> i32 {
        self.task().x + TASK + MARGIN
    }

    fn height(&self) -> i32 {
        self.task().bottom() + FOOT
    }

    /// Returns the task's rectangle.
    fn task(&self) -> Rect {
        let x = if self.diagram.outside.is_some() {
            MARGIN + OUTSIDE + ENTRY_GAP
        } else {
            MARGIN
        };

        // One gap fewer than cards; `max` covers a definition without containers.
        let rows = self.diagram.nodes.len() as i32;
        let height = self.head() + rows * CARD_HEIGHT + (rows - 1).max(0) * GAP + PAD;
        Rect {
            x,
            y: MARGIN,
            width: TASK,
            height,
        }
    }

    /// Returns the height of the title and the summary.
    fn head(&self) -> i32 {
        44 + self.summary.len() as i32 * LINE + 6
    }

    fn card(&self, index: usize) -> Rect {
        let (task, routes) = (self.task(), &self.routes);
        let (left, right) = (margin(routes.left), margin(routes.right));
        Rect {
            x: task.x + left,
            y: task.y + self.head() + index as i32 * (CARD_HEIGHT + GAP),
            width: TASK - left - right,
            height: CARD_HEIGHT,
        }
    }
}

/// Returns the width of the space for lanes next to the cards.
fn margin(lanes: usize) -> i32 {
    if lanes == 0 {
        PAD
    } else {
        STUB + lanes as i32 * LANE
    }
}
