//! What has changed between two texts, line by line, as every tool for patches understands it.

use std::fmt::Write as _;

/// A unified diff with three lines around each change; nothing when the texts are the same.
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

/// A line that stays, goes or comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step<'t> {
    Same(&'t str),
    Gone(&'t str),
    New(&'t str),
}

/// Lines with their ends, so that a last one without an end is another line.
fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn steps<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<Step<'t>> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let ends = old_rest.iter().rev().zip(new_rest.iter().rev());
    let tail = ends.take_while(|(a, b)| a == b).count();
    let old_middle = &old_rest[..old_rest.len() - tail];
    let new_middle = &new_rest[..new_rest.len() - tail];
    let mut steps: Vec<Step<'_>> = old[..head].iter().map(|line| Step::Same(line)).collect();
    steps.extend(between(old_middle, new_middle));
    steps.extend(old[old.len() - tail..].iter().map(|line| Step::Same(line)));
    steps
}

/// The longest common subsequence; what lies between two equal ends of a file is short.
fn between<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<Step<'t>> {
    let mut longest = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
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
            steps.push(Step::Same(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && longest[i + 1][j] >= longest[i][j + 1]) {
            steps.push(Step::Gone(old[i]));
            i += 1;
        } else {
            steps.push(Step::New(new[j]));
            j += 1;
        }
    }

    steps
}

/// Ranges of steps around the changes; ranges that touch are one.
fn hunks(steps: &[Step<'_>]) -> Vec<std::ops::Range<usize>> {
    let mut hunks: Vec<std::ops::Range<usize>> = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        if matches!(step, Step::Same(_)) {
            continue;
        }

        let end = (at + 1 + AROUND).min(steps.len());
        match hunks.last_mut() {
            Some(last) if at.saturating_sub(AROUND) <= last.end => last.end = end,
            _ => hunks.push(at.saturating_sub(AROUND)..end),
        }
    }

    hunks
}

fn write_hunk(text: &mut String, steps: &[Step<'_>], hunk: std::ops::Range<usize>) {
    let old = |steps: &[Step<'_>]| {
        steps
            .iter()
            .filter(|one| !matches!(one, Step::New(_)))
            .count()
    };

    let new = |steps: &[Step<'_>]| {
        steps
            .iter()
            .filter(|one| !matches!(one, Step::Gone(_)))
            .count()
    };

    let (before, inside) = (&steps[..hunk.start], &steps[hunk]);
    let range = |skipped: usize, lines: usize| {
        // A range without lines is named by the line before it.
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
            Step::Same(line) => (' ', line),
            Step::Gone(line) => ('-', line),
            Step::New(line) => ('+', line),
        };

        let _ = write!(text, "{sign}{line}");
        if !line.ends_with('\n') {
            *text += "\n\\ No newline at end of file\n";
        }
    }
}

const AROUND: usize = 3;

#[cfg(test)]
mod tests {
    use super::diff;

    #[test]
    fn shows_what_goes_and_what_comes_with_three_lines_around() {
        let before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n";
        let after = "1\n2\n3\n4\nfive\n6\n7\n8\n9\n10\n11\n12\n13\n";
        assert_eq!(
            diff("a", before, after),
            "--- a\n+++ a\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n@@ -10,3 +10,4 @@\n 10\n 11\n 12\n+13\n"
        );
        assert_eq!(diff("a", before, before), "");
    }

    #[test]
    fn tells_of_a_last_line_without_an_end() {
        assert_eq!(
            diff("a", "x", "x\n"),
            "--- a\n+++ a\n@@ -1 +1 @@\n-x\n\\ No newline at end of file\n+x\n"
        );
        assert_eq!(diff("a", "", "x\n"), "--- a\n+++ a\n@@ -0,0 +1 @@\n+x\n");
    }
}
