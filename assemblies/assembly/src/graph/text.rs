//! Renders a diagram as plain text for terminals and comments, at most 100 columns wide.

use super::canvas::Canvas;
use super::diagram::{Diagram, Line, Node, Reach};
use super::routes::{Bus, Routes, Side, routes};

/// The characters of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// ASCII only.
    Ascii,
    /// Box drawing characters and arrows.
    Unicode,
}

/// Renders a diagram as text.
pub fn text(diagram: &Diagram, charset: Charset) -> String {
    let page = Page {
        diagram,
        routes: routes(diagram),
    };
    let text = page.text();
    match charset {
        Charset::Unicode => text,
        Charset::Ascii => text.chars().map(to_ascii).collect(),
    }
}

/// Returns the nearest ASCII character.
fn to_ascii(c: char) -> char {
    match c {
        // Anything else outside of the drawing characters comes from names in the manifest.
        '\n' | ' '..='~' => c,
        '─' | '·' => '-',
        '│' => '|',
        '▶' => '>',
        '◀' => '<',
        '▼' => 'v',
        '…' => '~',
        '┌' | '┐' | '└' | '┘' | '├' | '┤' | '┬' | '┴' | '┼' => '+',
        _ => '?',
    }
}

struct Page<'p> {
    diagram: &'p Diagram,
    routes: Routes,
}

const WIDTH: usize = 100;
/// The column of the task's left border, if something is outside of the task.
const ENTRY_GAP: usize = 5;
/// The rows of a container: its frame, two lines, and the gap below.
const ROWS: usize = 5;

impl Page<'_> {
    fn text(&self) -> String {
        let mut head = vec![self.diagram.name.clone()];
        if !self.diagram.summary.is_empty() {
            head[0] = format!("{}: {}", head[0], self.diagram.summary);
        }

        head.push(self.diagram.caption());
        head.push(format!("stops within {} s", self.diagram.stops_within));
        let head: String = head
            .iter()
            .map(|line| truncate(line, WIDTH) + "\n")
            .collect();
        let mut canvas = Canvas::new(WIDTH, self.bottom_border() + 1);

        // Containers are drawn over the lines, so that no line shows inside a frame.
        self.frame(&mut canvas);
        for edge in &self.routes.straight {
            self.straight(&mut canvas, edge.line, edge.from, edge.to);
        }

        for (number, bus) in self.routes.buses.iter().enumerate() {
            self.bus(&mut canvas, number, bus);
        }
        for (index, node) in self.diagram.nodes.iter().enumerate() {
            self.container(&mut canvas, index, node);
        }

        self.draw_entries(&mut canvas);
        format!("{head}\n{}\n{}", canvas.text(), self.legend())
    }

    fn left_border(&self) -> usize {
        if self.diagram.outside.is_some() {
            ENTRY_GAP
        } else {
            0
        }
    }

    fn top_border(&self) -> usize {
        usize::from(self.diagram.outside.is_some())
    }

    fn bottom_border(&self) -> usize {
        self.top_border() + 1 + self.diagram.nodes.len() * ROWS
    }

    /// Returns the left and right columns of the containers.
    fn sides(&self) -> (usize, usize) {
        let left = self.left_border() + 4 + 2 * self.routes.left;
        (left, WIDTH - 4 - 2 * self.routes.right)
    }

    /// Returns the row of a container's first line.
    fn line(&self, index: usize) -> usize {
        self.top_border() + 2 + index * ROWS
    }

    fn frame(&self, canvas: &mut Canvas) {
        let (left, top) = (self.left_border(), self.top_border());
        canvas.frame((left, top), (WIDTH - 1, self.bottom_border()));
        let name = format!(" task {} ", self.diagram.name);
        canvas.text_at(left + 2, top, &truncate(&name, WIDTH - left - 6), WIDTH - 2);
    }

    fn container(&self, canvas: &mut Canvas, index: usize, node: &Node) {
        let (left, right) = self.sides();
        let y = self.line(index);
        canvas.frame((left, y - 1), (right, y + 2));
        for row in [y, y + 1] {
            canvas.text_at(left + 1, row, &" ".repeat(right - left - 1), right);
        }

        // The facts are right-aligned, so the description is cut where they begin.
        let facts = format!("starts {} · {}", node.start, node.stop_label());
        let amount = |part: Option<u32>, unit: &str| part.map(|part| format!("{part} {unit}"));
        let amounts = [amount(node.cpu, "CPU"), amount(node.memory, "MiB")];
        let amounts: Vec<String> = amounts.into_iter().flatten().collect();
        let mut words = vec![node.description()];

        words.extend(node.after.iter().cloned());
        self.line_with_facts(
            canvas,
            y,
            &format!("{}  {}", node.name, words.join(" · ")),
            &facts,
        );
        self.line_with_facts(canvas, y + 1, &ports(node), &amounts.join(" · "));
    }

    /// Writes a line with text on the left and on the right.
    fn line_with_facts(&self, canvas: &mut Canvas, y: usize, words: &str, facts: &str) {
        let (left, right) = self.sides();
        let facts_at = right.saturating_sub(facts.chars().count() + 2);
        canvas.text_at(
            left + 2,
            y,
            &truncate(words, facts_at.saturating_sub(left + 4)),
            facts_at,
        );
        canvas.text_at(facts_at, y, facts, right);
    }

    fn straight(&self, canvas: &mut Canvas, line: Line, from: usize, to: usize) {
        let (left, right) = self.sides();
        let x = if line == Line::Request {
            left + 4
        } else {
            right - 4
        };
        let (start, end) = (self.line(from) + 2, self.line(to) - 1);
        canvas.line(&[(x, start), (x, end)]);
        canvas.text_at(x, end - 1, "▼", WIDTH);
    }

    fn bus(&self, canvas: &mut Canvas, number: usize, bus: &Bus) {
        let (left, right) = self.sides();
        // Lanes are two columns apart, so that parallel lines stay distinguishable.
        let (edge, lane, head) = match bus.side {
            Side::Left => (left - 1, left - 3 - 2 * bus.lane, "▶"),
            Side::Right => (right + 1, right + 3 + 2 * bus.lane, "◀"),
        };
        let end = self.height(number, bus.to);
        for from in &bus.from {
            let start = self.height(number, *from);
            canvas.line(&[(edge, start), (lane, start), (lane, end), (edge, end)]);
        }
        canvas.text_at(edge, end, head, WIDTH);
    }

    /// Returns the row of an arrow's end: outgoing arrows use a container's first line, incoming ones the second.
    fn height(&self, number: usize, index: usize) -> usize {
        self.line(index) + usize::from(self.routes.buses[number].to == index)
    }

    fn draw_entries(&self, canvas: &mut Canvas) {
        let Some(outside) = &self.diagram.outside else {
            return;
        };
        let (left, _) = self.sides();
        let words = format!("{} ({})", outside.name, outside.detail);
        canvas.text_at(0, 0, &truncate(&words, WIDTH), WIDTH);
        for entry in &outside.entries {
            let y = self.line(*entry);
            // All arrows share the vertical line in column 1.
            canvas.line(&[(1, 1), (1, y), (left - 1, y)]);
            canvas.text_at(left - 1, y, "▶", WIDTH);
        }
    }

    fn legend(&self) -> String {
        let lines =
            "left: requests · right: telemetry and start order · the last container starts first\n";
        format!("{lines}{}\n", self.diagram.boundary)
    }
}

/// Formats the ports of a node: `https :8443 (open to outside), …`.
fn ports(node: &Node) -> String {
    let ports: Vec<String> = node
        .ports
        .iter()
        .map(|port| match port.reach {
            Reach::Outside => format!("{} (open to outside)", port.label()),
            Reach::Loopback => format!("{} (loopback)", port.label()),
        })
        .collect();

    if ports.is_empty() {
        node.no_ports_note.to_owned()
    } else {
        ports.join(", ")
    }
}

fn truncate(text: &str, room: usize) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    if text.chars().count() <= room {
        return text;
    }
    let mut short: String = text.chars().take(room.saturating_sub(1)).collect();
    short.push('…');
    short
}
