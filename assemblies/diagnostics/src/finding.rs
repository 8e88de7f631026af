//! Findings: rule, severity, location, message, hint and fix, and how they are rendered.

use std::fmt::Write as _;

use serde_json::Value;

use crate::location::Location;

/// A violation of a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The rule's id, for `explain`.
    pub rule: &'static str,
    /// The severity.
    pub severity: Severity,
    /// The location of the value.
    pub location: Location,
    /// The JSON pointer of the value in the document.
    pub pointer: Option<String>,
    /// The problem, as a lower-case sentence.
    pub message: String,
    /// What to do, as a sentence that starts with a verb.
    pub hint: String,
    /// The documentation that states the rule, if any.
    pub source: Option<&'static str>,
    /// The edits that resolve the finding, if no decision is needed.
    pub fix: Option<Fix>,
}

/// Edits that resolve a finding without a decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Fix {
    /// The effect, as a sentence that starts with a verb.
    pub title: String,
    /// The edits, which are applied together.
    pub edits: Vec<Edit>,
}

/// An edit of one value of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// Sets the value at a JSON pointer and adds it if it is missing.
    Set(String, Value),
    /// Removes the value at a JSON pointer with its key.
    Remove(String),
}

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// It is rejected, or the documentation forbids it.
    Error,
    /// It is accepted, and it causes problems at run time.
    Warning,
}

impl Severity {
    /// Returns `error` or `warning`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Whether rendered text contains colors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// With ANSI escape sequences.
    Yes,
    /// Plain text.
    No,
}

impl Finding {
    /// Creates a finding with severity error.
    pub fn error(
        rule: &'static str,
        location: Location,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            rule,
            severity: Severity::Error,
            location,
            pointer: None,
            message: message.into(),
            hint: hint.into(),
            source: None,
            fix: None,
        }
    }

    /// Sets the documentation that states the rule.
    pub fn with_source(mut self, source: &'static str) -> Self {
        self.source = Some(source);
        self
    }

    /// Sets the JSON pointer of the value.
    pub fn with_pointer(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// Renders the finding with the source line and a caret under the value.
    pub fn render(&self, color: Color) -> String {
        let paint = Paint(color);
        let tone = match self.severity {
            Severity::Error => "1;31",
            Severity::Warning => "1;33",
        };

        let head = paint.wrap(tone, &format!("{}[{}]", self.severity.as_str(), self.rule));
        let mut text = format!("{head}: {}\n", paint.wrap("1", &self.message));
        let gutter = gutter_width(&self.location);
        draw_location(&mut text, &self.location, gutter, tone, paint);

        let margin = " ".repeat(gutter);
        let mark = paint.wrap("1;34", "=");
        // The pointer of a `Location::Pointer` is printed behind the arrow already.
        let pointer = self
            .pointer
            .as_deref()
            .filter(|pointer| !pointer.is_empty());

        if let (Some(pointer), false) = (pointer, matches!(self.location, Location::Pointer(_))) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{margin} {mark} value: {pointer}");
        }
        if !self.hint.is_empty() {
            let _ = writeln!(text, "{margin} {mark} hint: {}", self.hint);
        }

        if let Some(source) = self.source {
            let _ = writeln!(text, "{margin} {mark} source: {source}");
        }
        text
    }
}

fn draw_location(text: &mut String, location: &Location, gutter: usize, tone: &str, paint: Paint) {
    let margin = " ".repeat(gutter);
    let arrow = paint.wrap("1;34", "-->");
    let bar = paint.wrap("1;34", "|");

    match location {
        Location::Pointer(pointer) => {
            let name = if pointer.is_empty() {
                "the document"
            } else {
                pointer
            };
            let _ = writeln!(text, "{margin}{arrow} {name}");
        }
        Location::Derived { reason, from } => {
            let _ = writeln!(text, "{margin}{arrow} derived: {reason}");
            if let Some(from) = from {
                draw_location(text, from, gutter, tone, paint);
            }
        }
        Location::Text {
            file,
            line,
            column,
            end_column,
            excerpt_line,
            excerpt_column,
        } => {
            let before = column.saturating_sub(*excerpt_column);
            // The width of a tab depends on the terminal; spaces keep the caret under its value.
            let expanded = excerpt_line.replace('\t', "    ");
            let tabs = excerpt_line
                .chars()
                .take(before)
                .filter(|c| *c == '\t')
                .count();

            // The caret ends where a long line is cut.
            let remaining = excerpt_line.chars().count().saturating_sub(before);
            let width = remaining.min(end_column.saturating_sub(*column));
            let caret = "^".repeat(width.max(1));
            let number = paint.wrap("1;34", &format!("{line:>gutter$}"));
            let indent = " ".repeat(before + 3 * tabs);
            let _ = writeln!(text, "{margin}{arrow} {file}:{line}:{column}");
            let _ = writeln!(text, "{margin} {bar}");
            let _ = writeln!(text, "{number} {bar} {expanded}");
            let _ = writeln!(text, "{margin} {bar} {indent}{}", paint.wrap(tone, &caret));
        }
    }
}

/// Returns the width of the widest line number of a location and its derivation.
fn gutter_width(location: &Location) -> usize {
    match location {
        Location::Text { line, .. } => line.to_string().len(),
        Location::Derived {
            from: Some(from), ..
        } => gutter_width(from),
        Location::Derived { .. } | Location::Pointer(_) => 1,
    }
}

#[derive(Clone, Copy)]
struct Paint(Color);

impl Paint {
    fn wrap(self, code: &str, text: &str) -> String {
        match self.0 {
            Color::Yes => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Color::No => text.to_owned(),
        }
    }
}
