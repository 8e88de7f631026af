//! Shapes with places, and how they are written down.

use std::fmt::Write as _;

use super::style::STYLE;
use crate::graph::measure::{Font, Weight, fitted};
use crate::graph::picture::{Line, Picture};

/// A rectangle: left and upper edge, width, height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Box {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) width: i32,
    pub(super) height: i32,
}

impl Box {
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

/// Something that is drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    Rect {
        class: &'static str,
        place: Box,
        round: i32,
        title: Option<String>,
    },
    /// `room` is what the text must stay in.
    Text {
        style: Style,
        x: i32,
        y: i32,
        side: Align,
        words: String,
        room: Box,
        title: Option<String>,
    },
    /// An arrow from point to point, by way of others.
    Way {
        line: Line,
        points: Vec<(i32, i32)>,
        end: End,
    },
}

/// What a way has at its end.
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

/// All shapes of a picture, in the order of their drawing.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) width: i32,
    pub(super) height: i32,
    name: String,
    description: String,
    pub(super) shapes: Vec<Shape>,
}

impl Scene {
    pub(super) fn new(width: i32, height: i32, picture: &Picture) -> Self {
        let containers: Vec<String> = picture
            .nodes
            .iter()
            .map(|node| format!("{} ({})", node.name, node.words()))
            .collect();
        let outside = picture.outside.as_ref().map(|outside| {
            let doors: Vec<&str> = outside
                .doors
                .iter()
                .map(|door| picture.nodes[*door].name.as_str())
                .collect();
            format!(" From outside ({}): {}.", outside.name, doors.join(", "))
        });

        Self {
            width,
            height,
            name: match picture.summary.as_str() {
                "" => picture.name.clone(),
                summary => format!("{}: {summary}", picture.name),
            },
            description: format!(
                "{}. Last to start first: {}.{}",
                picture.caption(),
                containers.join(", "),
                outside.unwrap_or_default()
            ),
            shapes: Vec::new(),
        }
    }

    pub(super) fn rect(
        &mut self,
        class: &'static str,
        place: Box,
        round: i32,
        title: Option<String>,
    ) {
        self.shapes.push(Shape::Rect {
            class,
            place,
            round,
            title,
        });
    }

    /// Words that start, are centred or end in a room; what does not fit is cut, and told by a tooltip.
    pub(super) fn words(&mut self, style: Style, words: &str, side: Align, room: Box) {
        let cut = fitted(words, style.font(), room.width);
        let title = (cut != words).then(|| words.to_owned());
        let x = match side {
            Align::Start => room.x,
            Align::Middle => room.x + room.width / 2,
            Align::End => room.right(),
        };

        // The letters' foot, not their hanging parts, stands on the line.
        let y = room.bottom() - style.font().size / 4;
        if !cut.is_empty() {
            self.shapes.push(Shape::Text {
                style,
                x,
                y,
                side,
                words: cut,
                room,
                title,
            });
        }
    }

    pub(super) fn way(&mut self, line: Line, points: &[(i32, i32)], end: End) {
        self.shapes.push(Shape::Way {
            line,
            points: points.to_vec(),
            end,
        });
    }

    pub(super) fn text(&self) -> String {
        let (width, height) = (self.width, self.height);
        let (name, description) = (escaped(&self.name), escaped(&self.description));
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"name what\">\n\
             <title id=\"name\">{name}</title>\n<desc id=\"what\">{description}</desc>\n{STYLE}"
        );

        for shape in &self.shapes {
            shape.write(&mut svg);
        }
        svg.push_str("</svg>\n");

        svg
    }
}

impl Shape {
    fn write(&self, svg: &mut String) {
        let _ = match self {
            Self::Rect {
                class,
                place:
                    Box {
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
                closed("rect", "", title.as_deref())
            ),
            Self::Text {
                style,
                x,
                y,
                side,
                words,
                title,
                ..
            } => writeln!(
                svg,
                "<text class=\"{}\" x=\"{x}\" y=\"{y}\"{}{}",
                style.class(),
                side.attribute(),
                closed("text", words, title.as_deref())
            ),
            Self::Way { line, points, end } => {
                writeln!(
                    svg,
                    "<path class=\"{}\" d=\"{}\"/>",
                    way_class(*line, *end),
                    path(points)
                )
            }
        };
    }
}

/// The end of an element, with its words and its tooltip.
fn closed(element: &str, words: &str, title: Option<&str>) -> String {
    match (words, title) {
        ("", None) => "/>".to_owned(),
        (words, None) => format!(">{}</{element}>", escaped(words)),
        (words, Some(title)) => {
            format!(
                "><title>{}</title>{}</{element}>",
                escaped(title),
                escaped(words)
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

fn way_class(line: Line, end: End) -> &'static str {
    match (line, end) {
        (Line::Request, End::Head) => "way request request-head",
        (Line::Request, End::Plain) => "way request",
        (Line::Telemetry, End::Head) => "way telemetry telemetry-head",
        (Line::Telemetry, End::Plain) => "way telemetry",
        (Line::Wait, End::Head) => "way wait wait-head",
        (Line::Wait, End::Plain) => "way wait",
    }
}

/// Straight lines with round corners.
fn path(points: &[(i32, i32)]) -> String {
    let mut path = String::new();
    for (index, (x, y)) in points.iter().enumerate() {
        let (before, after) = (
            index.checked_sub(1).map(|at| points[at]),
            points.get(index + 1),
        );
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

/// A little way from one point to another.
fn towards((x, y): (i32, i32), (to_x, to_y): (i32, i32)) -> (i32, i32) {
    let step = |from: i32, to: i32| from + (to - from).clamp(-ROUND, ROUND);
    (step(x, to_x), step(y, to_y))
}

const ROUND: i32 = 5;

/// Text as XML wants it; characters that XML cannot hold are left out.
pub(super) fn escaped(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
