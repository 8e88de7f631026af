//! Unified diffs of two texts.

use std::fmt::Write as _;

/// Returns a unified diff with three lines of context, or an empty string for equal texts.
pub(crate) fn diff(name: &str, before: &str, after: &str) -> String {
    if before == after {
        return String::new();
    }
    let (old, new) = (lines(before), lines(after));
    let steps = steps(&old, &new);
    let mut text = format!("--- {name}\n+++ {name}\n");
    for hunk in hunks(&steps) {
        write_hunk(&mut text, &steps, hunk);
    }
    text
}

/// A line of the diff: kept, removed or added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step<'t> {
    Kept(&'t str),
    Removed(&'t str),
    Added(&'t str),
}

/// Splits into lines with their ends, so that a last line without a newline differs from one with it.
fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn steps<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<Step<'t>> {
    // Equal lines at both ends are common and need no table, which is quadratic in size.
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let ends = old_rest.iter().rev().zip(new_rest.iter().rev());
    let tail = ends.take_while(|(a, b)| a == b).count();
    let old_middle = &old_rest[..old_rest.len() - tail];
    let new_middle = &new_rest[..new_rest.len() - tail];
    let mut steps: Vec<Step<'_>> = old[..head].iter().map(|line| Step::Kept(line)).collect();
    steps.extend(between(old_middle, new_middle));
    steps.extend(old[old.len() - tail..].iter().map(|line| Step::Kept(line)));
    steps
}

/// Computes the edit steps from the longest common subsequence.
fn between<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<Step<'t>> {
    let mut longest = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        // Row and column `len()` stay 0: nothing is common with an empty rest.
        for j in (0..new.len()).rev() {
            longest[i][j] = if old[i] == new[j] {
                longest[i + 1][j + 1] + 1
            } else {
                longest[i + 1][j].max(longest[i][j + 1])
            };
        }
    }

    let (mut i, mut j) = (0, 0);
    let mut steps = Vec::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            steps.push(Step::Kept(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && longest[i + 1][j] >= longest[i][j + 1]) {
            steps.push(Step::Removed(old[i]));
            i += 1;
        } else {
            steps.push(Step::Added(new[j]));
            j += 1;
        }
    }

    steps
}

/// Returns the ranges of steps around changes; ranges that touch are merged.
fn hunks(steps: &[Step<'_>]) -> Vec<std::ops::Range<usize>> {
    let mut hunks: Vec<std::ops::Range<usize>> = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        // Only changes start or extend a hunk; the kept lines around them come with `CONTEXT`.
        if matches!(step, Step::Kept(_)) {
            continue;
        }

        let end = (at + 1 + CONTEXT).min(steps.len());
        match hunks.last_mut() {
            // Overlapping context: one hunk, as `diff -u` writes it.
            Some(last) if at.saturating_sub(CONTEXT) <= last.end => last.end = end,
            _ => hunks.push(at.saturating_sub(CONTEXT)..end),
        }
    }

    hunks
}

fn write_hunk(text: &mut String, steps: &[Step<'_>], hunk: std::ops::Range<usize>) {
    let count = |steps: &[Step<'_>], absent: fn(&Step<'_>) -> bool| {
        steps.iter().filter(|step| !absent(step)).count()
    };
    let old = |steps: &[Step<'_>]| count(steps, |step| matches!(step, Step::Added(_)));
    let new = |steps: &[Step<'_>]| count(steps, |step| matches!(step, Step::Removed(_)));

    let (before, inside) = (&steps[..hunk.start], &steps[hunk]);
    let range = |skipped: usize, lines: usize| {
        // POSIX diff: an empty range is given by the line before it.
        let first = skipped + usize::from(lines > 0);
        if lines == 1 {
            first.to_string()
        } else {
            format!("{first},{lines}")
        }
    };

    let was = range(old(before), old(inside));
    let is = range(new(before), new(inside));
    let _ = writeln!(text, "@@ -{was} +{is} @@");

    for step in inside {
        let (sign, line) = match step {
            Step::Kept(line) => (' ', line),
            Step::Removed(line) => ('-', line),
            Step::Added(line) => ('+', line),
        };

        let _ = write!(text, "{sign}{line}");
        // GNU diff and patch mark a missing final newline this way.
        if !line.ends_with('\n') {
            *text += "\n\\ No newline at end of file\n";
        }
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
}
