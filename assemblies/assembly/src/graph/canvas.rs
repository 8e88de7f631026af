//! A grid of characters with box drawing lines that join where they meet.

/// The sides on which lines leave a cell: a sum of the constants below.
type Joints = u8;
const UP: Joints = 1;
const RIGHT: Joints = 2;
const DOWN: Joints = 4;
const LEFT: Joints = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    Empty,
    Line(Joints),
    Char(char),
}

/// A grid of cells.
#[derive(Debug)]
pub(super) struct Canvas {
    width: usize,
    rows: Vec<Vec<Cell>>,
}

impl Canvas {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            rows: vec![vec![Cell::Empty; width]; height],
        }
    }

    /// Draws a line through corners; each segment is horizontal or vertical.
    pub(super) fn line(&mut self, corners: &[(usize, usize)]) {
        for pair in corners.windows(2) {
            let ((x, y), (to_x, to_y)) = (pair[0], pair[1]);
            for column in x.min(to_x)..x.max(to_x) {
                self.add_joint(column, y, RIGHT);
                self.add_joint(column + 1, y, LEFT);
            }

            for row in y.min(to_y)..y.max(to_y) {
                self.add_joint(to_x, row, DOWN);
                self.add_joint(to_x, row + 1, UP);
            }
        }
    }

    pub(super) fn frame(&mut self, (left, top): (usize, usize), (right, bottom): (usize, usize)) {
        self.line(&[
            (left, top),
            (right, top),
            (right, bottom),
            (left, bottom),
            (left, top),
        ]);
    }

    /// Writes text over the existing cells, cut off at the column `end`.
    pub(super) fn text_at(&mut self, x: usize, y: usize, text: &str, end: usize) {
        for (column, c) in (x..end.min(self.width)).zip(text.chars()) {
            if let Some(cell) = self.rows.get_mut(y).and_then(|row| row.get_mut(column)) {
                *cell = Cell::Char(c);
            }
        }
    }

    fn add_joint(&mut self, x: usize, y: usize, joint: Joints) {
        // Cells outside of the grid are ignored, so callers need not clip.
        let Some(cell) = self.rows.get_mut(y).and_then(|row| row.get_mut(x)) else {
            return;
        };
        *cell = match cell {
            Cell::Line(joints) => Cell::Line(*joints | joint),
            Cell::Empty => Cell::Line(joint),
            Cell::Char(_) => return,
        };
    }

    /// Returns the rows as text, without trailing spaces.
    pub(super) fn text(&self) -> String {
        let row = |row: &Vec<Cell>| {
            let line: String = row.iter().map(|cell| cell.to_char()).collect();
            line.trim_end().to_owned() + "\n"
        };
        self.rows.iter().map(row).collect()
    }
}

impl Cell {
    fn to_char(self) -> char {
        match self {
            Self::Empty => ' ',
            Self::Char(c) => c,
            Self::Line(joints) => LINES[usize::from(joints)],
        }
    }
}

/// The box drawing characters, indexed by the sum of the joints.
const LINES: [char; 16] = [
    ' ', '│', '─', '└', '│', '│', '┌', '├', '─', '┘', '─', '┴', '┐', '┤', '┬', '┼',
];
