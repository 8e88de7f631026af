//! A sheet of characters on which lines meet as they should.

/// Where lines leave a cell: a sum of the four below.
type Joints = u8;
const UP: Joints = 1;
const RIGHT: Joints = 2;
const DOWN: Joints = 4;
const LEFT: Joints = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    Empty,
    Line(Joints),
    Letter(char),
}

/// Rows of cells.
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

    /// A line through corners: each is level with or above or below the one before.
    pub(super) fn line(&mut self, corners: &[(usize, usize)]) {
        for pair in corners.windows(2) {
            let ((x, y), (to_x, to_y)) = (pair[0], pair[1]);
            for column in x.min(to_x)..x.max(to_x) {
                self.joint(column, y, RIGHT);
                self.joint(column + 1, y, LEFT);
            }

            for row in y.min(to_y)..y.max(to_y) {
                self.joint(to_x, row, DOWN);
                self.joint(to_x, row + 1, UP);
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

    /// Words over whatever is there, cut at a column.
    pub(super) fn words(&mut self, x: usize, y: usize, words: &str, end: usize) {
        for (column, letter) in (x..end.min(self.width)).zip(words.chars()) {
            if let Some(cell) = self.rows.get_mut(y).and_then(|row| row.get_mut(column)) {
                *cell = Cell::Letter(letter);
            }
        }
    }

    fn joint(&mut self, x: usize, y: usize, joint: Joints) {
        let Some(cell) = self.rows.get_mut(y).and_then(|row| row.get_mut(x)) else {
            return;
        };
        *cell = match cell {
            Cell::Line(joints) => Cell::Line(*joints | joint),
            Cell::Empty => Cell::Line(joint),
            Cell::Letter(_) => return,
        };
    }

    /// The rows as text, without spaces at their ends.
    pub(super) fn text(&self) -> String {
        let row = |row: &Vec<Cell>| {
            let line: String = row.iter().map(|cell| cell.letter()).collect();
            line.trim_end().to_owned() + "\n"
        };
        self.rows.iter().map(row).collect()
    }
}

impl Cell {
    fn letter(self) -> char {
        match self {
            Self::Empty => ' ',
            Self::Letter(letter) => letter,
            Self::Line(joints) => LINES[usize::from(joints)],
        }
    }
}

/// By the sum of the joints.
const LINES: [char; 16] = [
    ' ', '│', '─', '└', '│', '│', '┌', '├', '─', '┘', '─', '┴', '┐', '┤', '┬', '┼',
];
