//! The diagram in letters, for a terminal or a comment: never wider than 100 columns.

use super::canvas::Canvas;
use super::diagram::{Diagram, Line, Node, Reach};
use super::routes::{Bus, Routes, Side, routes};

/// The letters a reader has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// Seven bits.
    Ascii,
    /// Also the lines and arrows of Unicode.
    Unicode,
}

/// The diagram in letters.
pub fn text(diagram: &Diagram, letters: Charset) -> String {
    let page = Page {
        diagram,
        routes: routes(diagram),
    };
    let text = page.text();
    match letters {
        Charset::Unicode => text,
        Charset::Ascii => text.chars().map(ascii).collect(),
    }
}

/// The nearest letter of seven bits.
fn ascii(c: char) -> char {
    match c {
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
/// The task's left edge, where something stands before it.
const ENTRY_GAP: usize = 5;
/// A container: its frame and two lines in it, and the line to the next.
const ROWS: usize = 5;

impl Page<'_> {
    fn text(&self) -> String {
        let mut head = vec![self.diagram.name.clone()];
        if !self.diagram.summary.is_empty() {
            head[0] = format!("{}: {}", head[0], self.diagram.summary);
        }

        head.push(self.diagram.caption());
        head.push(format!("stops within {} s", self.diagram.stops_within));
        let head: String = head.iter().map(|line| cut(line, WIDTH) + "\n").collect();
        let mut canvas = Canvas::new(WIDTH, self.bottom() + 1);

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

        self.entries(&mut canvas);
        format!("{head}\n{}\n{}", canvas.text(), self.legend())
    }

    fn left(&self) -> usize {
        if self.diagram.outside.is_some() {
            ENTRY_GAP
        } else {
            0
        }
    }

    fn top(&self) -> usize {
        usize::from(self.diagram.outside.is_some())
    }

    fn bottom(&self) -> usize {
        self.top() + 1 + self.diagram.nodes.len() * ROWS
    }

    /// Left and right edge of the containers.
    fn sides(&self) -> (usize, usize) {
        let left = self.left() + 4 + 2 * self.routes.left;
        (left, WIDTH - 4 - 2 * self.routes.right)
    }

    /// The first line of a container, in its frame.
    fn line(&self, index: usize) -> usize {
        self.top() + 2 + index * ROWS
    }

    fn frame(&self, canvas: &mut Canvas) {
        let (left, top) = (self.left(), self.top());
        canvas.frame((left, top), (WIDTH - 1, self.bottom()));
        let name = format!(" task {} ", self.diagram.name);
        canvas.words(left + 2, top, &cut(&name, WIDTH - left - 6), WIDTH - 2);
    }

    fn container(&self, canvas: &mut Canvas, index: usize, node: &Node) {
        let (left, right) = self.sides();
        let y = self.line(index);
        canvas.frame((left, y - 1), (right, y + 2));
        for row in [y, y + 1] {
            canvas.words(left + 1, row, &" ".repeat(right - left - 1), right);
        }

        let facts = format!("starts {} · {}", node.start, node.stop_words());
        let amount = |part: Option<u32>, unit: &str| part.map(|part| format!("{part} {unit}"));
        let amounts = [amount(node.cpu, "CPU"), amount(node.memory, "MiB")];
        let amounts: Vec<String> = amounts.into_iter().flatten().collect();
        let mut words = vec![node.words()];

        words.extend(node.after.iter().cloned());
        self.both(
            canvas,
            y,
            &format!("{}  {}", node.name, words.join(" · ")),
            &facts,
        );
        self.both(canvas, y + 1, &ports(node), &amounts.join(" · "));
    }

    /// A line with words at its left and at its right.
    fn both(&self, canvas: &mut Canvas, y: usize, words: &str, facts: &str) {
        let (left, right) = self.sides();
        let facts_at = right.saturating_sub(facts.chars().count() + 2);
        canvas.words(
            left + 2,
            y,
            &cut(words, facts_at.saturating_sub(left + 4)),
            facts_at,
        );
        canvas.words(facts_at, y, facts, right);
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
        canvas.words(x, end - 1, "▼", WIDTH);
    }

    fn bus(&self, canvas: &mut Canvas, number: usize, bus: &Bus) {
        let (left, right) = self.sides();
        let (edge, lane, head) = match bus.side {
            Side::Left => (left - 1, left - 3 - 2 * bus.lane, "▶"),
            Side::Right => (right + 1, right + 3 + 2 * bus.lane, "◀"),
        };
        let end = self.height(number, bus.to);
        for from in &bus.from {
            let start = self.height(number, *from);
            canvas.line(&[(edge, start), (lane, start), (lane, end), (edge, end)]);
        }
        canvas.words(edge, end, head, WIDTH);
    }

    /// A container has two lines, so its arrows share them: those that leave the upper, those that come the lower.
    fn height(&self, number: usize, index: usize) -> usize {
        self.line(index) + usize::from(self.routes.buses[number].to == index)
    }

    fn entries(&self, canvas: &mut Canvas) {
        let Some(outside) = &self.diagram.outside else {
            return;
        };
        let (left, _) = self.sides();
        let words = format!("{} ({})", outside.name, outside.detail);
        canvas.words(0, 0, &cut(&words, WIDTH), WIDTH);
        for entry in &outside.entries {
            let y = self.line(*entry);
            canvas.line(&[(1, 1), (1, y), (left - 1, y)]);
            canvas.words(left - 1, y, "▶", WIDTH);
        }
    }

    fn legend(&self) -> String {
        let lines = "left: requests · right: telemetry, and who starts after whom · first to start stands last\n";
        format!("{lines}{}\n", self.diagram.boundary)
    }
}

/// `https :8443 (open)`.
fn ports(node: &Node) -> String {
    let ports: Vec<String> = node
        .ports
        .iter()
        .map(|port| match port.reach {
            Reach::Outside => format!("{} (open to outside)", port.words()),
            Reach::Loopback => format!("{} (loopback)", port.words()),
        })
        .collect();

    if ports.is_empty() {
        node.silent.to_owned()
    } else {
        ports.join(", ")
    }
}

fn cut(text: &str, room: usize) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    if text.chars().count() <= room {
        return text;
    }
    let mut short: String = text.chars().take(room.saturating_sub(1)).collect();
    short.push('…');
    short
}
