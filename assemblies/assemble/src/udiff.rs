//! Unified diffs of two texts.

use std::fmt::Write as _;

use similar::udiff::UnifiedHunkHeader;
use similar::{Algorithm, capture_diff_slices, group_diff_ops};

/// Returns a unified diff with three lines of context, or an empty string for equal texts.
pub(crate) fn diff(name: &str, before: &str, after: &str) -> String {
    if before == after {
        return String::new();
    }

    let (old, new) = (lines(before), lines(after));
    let changes = capture_diff_slices(Algorithm::Myers, &old, &new);

    let mut text = format!("--- {name}\n+++ {name}\n");
    for hunk in group_diff_ops(changes, CONTEXT) {
        let _ = writeln!(text, "{}", UnifiedHunkHeader::new(&hunk));
        for change in hunk.iter().flat_map(|op| op.iter_changes(&old, &new)) {
            write_line(&mut text, &change.tag().to_string(), change.value());
        }
    }

    text
}

/// Splits into lines with their ends, so that a last line without a newline differs from one with it.
///
/// `similar` would also split at a carriage return, which is not the end of a line to `patch`.
fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn write_line(text: &mut String, sign: &str, line: &str) {
    *text += sign;
    *text += line;
    // GNU diff and patch mark a missing final newline this way.
    if !line.ends_with('\n') {
        *text += "\n\\ No newline at end of file\n";
    }
}

const CONTEXT: usize = 3;

#[cfg(test)]
mod tests {
    use super::diff;

    #[test]
    fn prints_hunks_with_three_lines_of_context() {
        let before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n";
        let after = "1\n2\n3\n4\nfive\n6\n7\n8\n9\n10\n11\n12\n13\n";
        assert_eq!(
            diff("a", before, after),
            "--- a\n+++ a\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n@@ -10,3 +10,4 @@\n 10\n 11\n 12\n+13\n"
        );
        assert_eq!(diff("a", before, before), "");
    }

    #[test]
    fn marks_a_last_line_without_a_newline() {
        assert_eq!(
            diff("a", "x", "x\n"),
            // Both texts print as `x`; only the final newline differs.
            "--- a\n+++ a\n@@ -1 +1 @@\n-x\n\\ No newline at end of file\n+x\n"
        );
        assert_eq!(diff("a", "", "x\n"), "--- a\n+++ a\n@@ -0,0 +1 @@\n+x\n");
    }

    #[test]
    fn splits_at_newlines_only() {
        assert_eq!(
            diff("a", "x\ry\r", "x\ry\r\n"),
            "--- a\n+++ a\n@@ -1 +1 @@\n-x\ry\r\n\\ No newline at end of file\n+x\ry\r\n"
        );
    }
}
