//! Formats spans as trees: parents above children, times relative to the start of the trace.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Write;

/// The part of a span that is printed.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) trace: String,
    pub(super) id: String,
    pub(super) parent: String,
    pub(super) service: String,
    pub(super) name: String,
    pub(super) notes: Vec<String>,
    pub(super) start: u64,
    pub(super) end: u64,
}

/// Formats the traces with an id that starts with `id_prefix`, the earliest first.
pub(super) fn format_trees(spans: &[Span], id_prefix: &str) -> String {
    let mut traces: BTreeMap<&str, Vec<&Span>> = BTreeMap::new();
    for span in spans
        .iter()
        .filter(|span| span.trace.starts_with(id_prefix))
    {
        traces.entry(&span.trace).or_default().push(span);
    }

    let mut traces: Vec<Vec<&Span>> = traces.into_values().collect();
    for spans in &mut traces {
        spans.sort_by_key(|span| (span.start, span.end));
    }

    // Sorted within a trace above, so the first span is its start.
    traces.sort_by_key(|spans| spans.first().map(|span| span.start));
    traces
        .iter()
        .map(|spans| Tree::new(spans).print())
        .collect()
}

/// A trace.
struct Tree<'a> {
    spans: &'a [&'a Span],
    children: HashMap<&'a str, Vec<&'a Span>>,
    start: u64,
}

impl<'a> Tree<'a> {
    fn new(spans: &'a [&'a Span]) -> Self {
        let mut children: HashMap<&str, Vec<&Span>> = HashMap::new();
        for span in spans.iter().copied().filter(|span| !span.parent.is_empty()) {
            children.entry(&span.parent).or_default().push(span);
        }
        Self {
            spans,
            children,
            start: spans.first().map_or(0, |span| span.start),
        }
    }

    fn print(&self) -> String {
        let services: BTreeSet<&str> = self.spans.iter().map(|span| &*span.service).collect();
        let end = self.spans.iter().map(|span| span.end).max().unwrap_or(0);
        let mut rows = Vec::new();
        let mut visited = HashSet::new();
        let roots = self.roots();

        for (index, root) in roots.iter().enumerate() {
            self.add(root, "", branch_at(index, &roots), &mut rows, &mut visited);
        }

        // Spans in a cycle have no root; they are printed as roots.
        for span in self.spans {
            if !visited.contains(&*span.id) {
                self.add(span, "", Branch::Last, &mut rows, &mut visited);
            }
        }

        let mut out = format!(
            "trace {}  {}, {}, {}\n",
            self.spans.first().map_or("", |span| &*span.trace),
            format_count(self.spans.len(), "span"),
            format_count(services.len(), "service"),
            format_milliseconds(end.saturating_sub(self.start)),
        );

        let width = rows
            .iter()
            .map(|(text, _)| text.chars().count())
            .max()
            .unwrap_or(0);

        for (text, span) in rows {
            let offset = format_milliseconds(span.start.saturating_sub(self.start));
            let length = format_milliseconds(span.end.saturating_sub(span.start));
            let _ = writeln!(out, "{text:width$}  +{offset}  {length}");
        }

        out.push('\n');
        out
    }

    /// Returns the spans without a parent in the trace.
    fn roots(&self) -> Vec<&'a Span> {
        let known: HashSet<&str> = self.spans.iter().map(|span| &*span.id).collect();
        let orphan = |span: &&Span| !known.contains(&*span.parent);
        self.spans.iter().copied().filter(orphan).collect()
    }

    fn add(
        &self,
        span: &'a Span,
        indent: &str,
        branch: Branch,
        rows: &mut Vec<(String, &'a Span)>,
        visited: &mut HashSet<&'a str>,
    ) {
        // Ends the recursion for cycles, and prints a span with a duplicate id once.
        if !visited.insert(&span.id) {
            return;
        }
        let (marker, child_indent) = match branch {
            Branch::Middle => ("├─ ", "│  "),
            Branch::Last => ("└─ ", "   "),
        };

        let notes = match span.notes.join(", ") {
            notes if notes.is_empty() => notes,
            notes => format!(" ({notes})"),
        };

        rows.push((
            format!("{indent}{marker}{}  {}{notes}", span.service, span.name),
            span,
        ));

        let children = self.children.get(&*span.id).map_or(&[][..], Vec::as_slice);
        for (index, child) in children.iter().enumerate() {
            self.add(
                child,
                &format!("{indent}{child_indent}"),
                branch_at(index, children),
                rows,
                visited,
            );
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Branch {
    Middle,
    Last,
}

fn branch_at<T>(index: usize, all: &[T]) -> Branch {
    if index + 1 == all.len() {
        Branch::Last
    } else {
        Branch::Middle
    }
}

fn format_count(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

/// Formats nanoseconds as milliseconds with about three significant digits.
fn format_milliseconds(nanos: u64) -> String {
    let millis = nanos as f64 / 1e6;
    let decimals = match millis {
        ..10.0 => 2,
        10.0..100.0 => 1,
        _ => 0,
    };
    format!("{millis:.decimals$} ms")
}
