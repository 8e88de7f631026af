//! From byte offsets to lines and columns.

use super::{Source, Span};
use crate::place::Place;

/// The line and column, both from 1, of a byte offset. Columns count characters.
pub(crate) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.matches('\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

/// The place of a span; of a span over several lines, its part in the first.
pub(crate) fn place(source: &Source, span: Span) -> Place {
    let (line, column) = position(&source.text, span.start);
    let excerpt_line = source
        .text
        .lines()
        .nth(line - 1)
        .unwrap_or_default()
        .trim_end()
        .to_owned();
    let last = excerpt_line.chars().count() + 1;
    let covered = source
        .excerpt(span)
        .lines()
        .next()
        .unwrap_or_default()
        .trim_end()
        .chars()
        .count();
    let end_column = (column + covered).min(last).max(column + 1);
    Place::Text {
        file: source.name.clone(),
        line,
        column,
        end_column,
        excerpt_line,
    }
}

/// Whether the line that holds the offset begins with a tab: the one trap of YAML nobody can see.
pub(crate) fn begins_with_tab(text: &str, offset: usize) -> bool {
    let before = text.get(..offset).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    text[start..]
        .chars()
        .take_while(|c| c.is_whitespace())
        .any(|c| c == '\t')
}
