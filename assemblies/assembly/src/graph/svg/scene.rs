//! Positioned elements, and their SVG markup.

use std::fmt::Write as _;

use super::style::STYLE;
use crate::graph::diagram::{Diagram, Line};
use crate::graph::measure::{Font, Weight, fit};

/// A rectangle: left, top, width, height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rect {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) width: i32,
    pub(super) height: i32,
}

impl Rect {
    pub(super) fn right(self) -> i32 {
        self.x + self.width
    }

    pub(super) fn bottom(self) -> i32 {
        self.y + self.height
    }

    pub(super) fn middle(self) -> i32 {
        self.y + self.height / 2
    }
}

/// An element of the drawing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Element {
    Rect {
        class: &'static str,
        location: Rect,
        round: i32,
        title: Option<String>,
    },
    /// A text; `room` is the rectangle it must stay in.
    Text {
        style: Style,
        x: i32,
        y: i32,
        side: Align,
        text: String,
        room: Rect,
        title: Option<String>,
    },
    /// A line through points, with or without an arrow head.
    Edge {
        line: Line,
        points: Vec<(i32, i32)>,
        end: End,
    },
}

/// The end of an edge: an arrow head, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Head,
    Plain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Start,
    Middle,
    End,
}

/// The kinds of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Title,
    Name,
    Plain,
    Small,
    Chip,
    OpenChip,
}

impl Style {
    pub(super) fn font(self) -> Font {
        let (size, weight) = match self {
            Self::Title => (19, Weight::Bold),
            Self::Name => (15, Weight::Bold),
            Self::Plain => (13, Weight::Regular),
            Self::Small => (12, Weight::Regular),
            Self::Chip | Self::OpenChip => (12, Weight::Bold),
        };
        Font { size, weight }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Name => "name",
            Self::Plain => "plain",
            Self::Small => "small",
            Self::Chip => "chip-text",
            Self::OpenChip => "open-text",
        }
    }
}

/// The elements of a diagram, in drawing order.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) width: i32,
    pub(super) height: i32,
    name: String,
    description: String,
    pub(super) elements: Vec<Element>,
}

impl Scene {
    pub(super) fn new(width: i32, height: i32, diagram: &Diagram) -> Self {
        // Title and description are the image's alternative text for screen readers.
        let containers: Vec<String> = diagram
            .nodes
            .iter()
            .map(|node| format!("{} ({})", node.name, node.description()))
            .collect();
        let outside = diagram.outside.as_ref().map(|outside| {
            let names: Vec<&str> = outside
                .entries
                .iter()
                .map(|entry| diagram.nodes[*entry].name.as_str())
                .collect();
            format!(" From outside ({}): {}.", outside.name, names.join(", "))
        });

        Self {
            width,
            height,
            name: match diagram.summary.as_str() {
                "" => diagram.name.clone(),
                summary => format!("{}: {summary}", diagram.name),
            },
            description: format!(
                "{}. Last to start first: {}.{}",
                diagram.caption(),
                containers.join(", "),
                outside.unwrap_or_default()
            ),
            elements: Vec::new(),
        }
    }

    pub(super) fn rect(
        &mut self,
        class: &'static str,
        location: Rect,
        round: i32,
        title: Option<String>,
    ) {
        self.elements.push(Element::Rect {
            class,
            location,
            round,
            title,
        });
    }

    /// Adds a text in a rectangle; a text that does not fit is cut, and its tooltip has the whole.
    pub(super) fn text_in(&mut self, style: Style, text: &str, side: Align, room: Rect) {
        let cut = fit(text, style.font(), room.width);
        let title = (cut != text).then(|| text.to_owned());
        // `text-anchor` is relative to `x`, so `x` is the start, middle or end of the room.
        let x = match side {
            Align::Start => room.x,
            Align::Middle => room.x + room.width / 2,
            Align::End => room.right(),
        };

        // `y` is the baseline; descenders need about a quarter of the font size below it.
        let y = room.bottom() - style.font().size / 4;
        if !cut.is_empty() {
            self.elements.push(Element::Text {
                style,
                x,
                y,
                side,
                text: cut,
                room,
                title,
            });
        }
    }

    pub(super) fn edge(&mut self, line: Line, points: &[(i32, i32)], end: End) {
        self.elements.push(Element::Edge {
            line,
            points: points.to_vec(),
            end,
        });
    }

    pub(super) fn text(&self) -> String {
        let (width, height) = (self.width, self.height);
        // Everything from a manifest is escaped here, so a name cannot inject markup.
        let (name, description) = (escape_xml(&self.name), escape_xml(&self.description));
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"name what\">\n\
             <title id=\"name\">{name}</title>\n<desc id=\"what\">{description}</desc>\n{STYLE}"
        );

        for element in &self.elements {
            element.write(&mut svg);
        }
        svg.push_str("</svg>\n");

        svg
    }
}

impl Element {
    fn write(&self, svg: &mut String) {
        let _ = match self {
            Self::Rect {
                class,
                location:
                    Rect {
                        x,
                        y,
                        width,
                        height,
                    },
                round,
                title,
            } => writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{round}\"{}",
                close_element("rect", "", title.as_deref())
            ),
            Self::Text {
                style,
                x,
                y,
                side,
                text,
                title,
                ..
            } => writeln!(
                svg,
                "<text class=\"{}\" x=\"{x}\" y=\"{y}\"{}{}",
                style.class(),
                side.attribute(),
                close_element("text", text, title.as_deref())
            ),
            Self::Edge { line, points, end } => {
                writeln!(
                    svg,
                    "<path class=\"{}\" d=\"{}\"/>",
                    edge_class(*line, *end),
                    path(points)
                )
            }
        };
    }
}

/// Returns the end of an element, with its text and tooltip.
fn close_element(element: &str, text: &str, title: Option<&str>) -> String {
    match (text, title) {
        ("", None) => "/>".to_owned(),
        (text, None) => format!(">{}</{element}>", escape_xml(text)),
        (text, Some(title)) => {
            format!(
                "><title>{}</title>{}</{element}>",
                escape_xml(title),
                escape_xml(text)
            )
        }
    }
}

impl Align {
    fn attribute(self) -> &'static str {
        match self {
            Self::Start => "",
            Self::Middle => " text-anchor=\"middle\"",
            Self::End => " text-anchor=\"end\"",
        }
    }
}

fn edge_class(line: Line, end: End) -> &'static str {
    match (line, end) {
        (Line::Request, End::Head) => "edge request request-head",
        (Line::Request, End::Plain) => "edge request",
        (Line::Telemetry, End::Head) => "edge telemetry telemetry-head",
        (Line::Telemetry, End::Plain) => "edge telemetry",
        (Line::Wait, End::Head) => "edge wait wait-head",
        (Line::Wait, End::Plain) => "edge wait",
    }
}

/// Returns the path data of straight lines with rounded corners.
fn path(points: &[(i32, i32)]) -> String {
    let mut path = String::new();
    for (index, (x, y)) in points.iter().enumerate() {
        let (before, after) = (
            index.checked_sub(1).map(|at| points[at]),
            points.get(index + 1),
        );
        // Each inner point becomes a quadratic curve (`Q`) with the corner as control point.
        match (before, after) {
            (None, _) => {
                let _ = write!(path, "M{x} {y}");
            }
            (Some(_), None) => {
                let _ = write!(path, " L{x} {y}");
            }
            (Some(before), Some(after)) => {
                let (from, to) = (towards((*x, *y), before), towards((*x, *y), *after));
                let _ = write!(path, " L{} {} Q{x} {y} {} {}", from.0, from.1, to.0, to.1);
            }
        }
    }

    path
}

/// Returns the point that is at most `ROUND` pixels from one point towards another.
fn towards((x, y): (i32, i32), (to_x, to_y): (i32, i32)) -> (i32, i32) {
    let step = |from: i32, to: i32| from + (to - from).clamp(-ROUND, ROUND);
    (step(x, to_x), step(y, to_y))
}

const ROUND: i32 = 5;

/// Escapes text for XML. Control characters are removed: XML 1.0 allows most of them nowhere.
pub(super) fn escape_xml(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
