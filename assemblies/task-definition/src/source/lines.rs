//! From byte offsets to lines and columns.

use super::{Source, Span};
use crate::location::Location;

/// The offsets at which lines begin.
pub(super) fn starts(text: &str) -> Vec<usize> {
    let after = text.match_indices('\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(after).collect()
}

/// The line and column, both from 1, of a byte offset. Columns count characters.
pub(crate) fn position(source: &Source, offset: usize) -> (usize, usize) {
    let text = &source.text;
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

/// The place of a span; of a span over several lines, its part in the first.
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

/// Minified JSON is one line: a place holds what a person can look at, not the file again.
fn excerpt(line: &str, end: usize, column: usize) -> (usize, String) {
    if end <= LONGEST_EXCERPT {
        return (1, line.to_owned());
    }
    let from = column.saturating_sub(BEFORE).max(1);
    let shown = line.chars().skip(from - 1).take(SHOWN);
    (from, shown.collect())
}

/// Characters of a line that is kept as it is.
const LONGEST_EXCERPT: usize = 2000;
/// Characters kept of a longer one, and how many of them stand before the value.
const SHOWN: usize = 200;
const BEFORE: usize = 60;

/// Whether the line that holds the offset begins with a tab: the one trap of YAML nobody can see.
pub(crate) fn begins_with_tab(text: &str, offset: usize) -> bool {
    let before = text.get(..offset).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    text[start..]
        .chars()
        .take_while(|c| c.is_whitespace())
        .any(|c| c == '\t')
}
