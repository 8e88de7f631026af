//! Converts byte offsets to lines and columns.

use super::{Source, Span};
use crate::location::Location;

/// Returns the offsets of line starts.
pub(super) fn starts(text: &str) -> Vec<usize> {
    let after = text.match_indices('\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(after).collect()
}

/// Returns the line and column of a byte offset, both from 1. Columns count characters.
pub(crate) fn position(source: &Source, offset: usize) -> (usize, usize) {
    let text = &source.text;
    // An offset of the parser inside a character would make the slice below panic.
    let offset = if text.is_char_boundary(offset) {
        offset
    } else {
        text.len()
    };

    let line = source
        .line_starts
        .partition_point(|start| *start <= offset)
        .max(1);
    let before = &text[source.line_starts[line - 1]..offset];

    (line, before.chars().count() + 1)
}

/// Returns the location of a span. For a span over several lines it covers the part on the first line.
pub(crate) fn location(source: &Source, span: Span) -> Location {
    let (line, column) = position(source, span.start);
    let whole_line = whole_line(source, line);
    let last = whole_line.chars().count() + 1;
    let covered = source
        .excerpt(span)
        .lines()
        .next()
        .unwrap_or_default()
        .trim_end()
        .chars()
        .count();

    let end_column = (column + covered).min(last).max(column + 1);
    let (excerpt_column, excerpt_line) = excerpt(whole_line, last, column);
    Location::Text {
        file: source.name.clone(),
        line,
        column,
        end_column,
        excerpt_line,
        excerpt_column,
    }
}

fn whole_line(source: &Source, line: usize) -> &str {
    let start = source.line_starts[line - 1];
    let end = source.line_starts.get(line).copied();
    source.text[start..end.unwrap_or(source.text.len())].trim_end()
}

/// Returns the excerpt of a line and the column where it starts. Minified JSON is one line, which must not be copied
/// into every location.
fn excerpt(line: &str, end: usize, column: usize) -> (usize, String) {
    if end <= MAX_LINE_LENGTH {
        return (1, line.to_owned());
    }
    let from = column.saturating_sub(BEFORE).max(1);
    let characters = line.chars().skip(from - 1).take(EXCERPT_LENGTH);
    (from, characters.collect())
}

/// The longest line, in characters, that is kept completely.
const MAX_LINE_LENGTH: usize = 2000;
/// The length of the excerpt of a longer line, and the number of characters before the value.
const EXCERPT_LENGTH: usize = 200;
const BEFORE: usize = 60;

/// Returns whether the line of an offset is indented with a tab, which YAML forbids and editors do not show.
pub(crate) fn begins_with_tab(text: &str, offset: usize) -> bool {
    let before = text.get(..offset).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    text[start..]
        .chars()
        .take_while(|c| c.is_whitespace())
        .any(|c| c == '\t')
}
