//! Something that is wrong: which rule, where, what, and what to do.

use std::fmt::Write as _;

use serde_json::Value;

use crate::place::Place;
use crate::rules::rule;

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The rule's id, for `explain`.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Where it is.
    pub place: Place,
    /// The JSON pointer of the value in the task definition.
    pub pointer: Option<String>,
    /// What is wrong: a lower-case sentence.
    pub message: String,
    /// What to do: a sentence that starts with a verb.
    pub hint: String,
    /// How to mend it, where there is nothing to decide.
    pub fix: Option<Fix>,
}

/// A way to mend a finding that leaves nothing to decide.
#[derive(Debug, Clone, PartialEq)]
pub struct Fix {
    /// What it does: a sentence that starts with a verb.
    pub title: String,
    /// The changes, all of which belong together.
    pub edits: Vec<Edit>,
}

/// A change of one value of a task definition.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// The value at a JSON pointer becomes this one, and is added where there is none.
    Set(String, Value),
    /// The value at a JSON pointer goes, with its key.
    Remove(String),
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// ECS refuses it, or its documentation forbids it.
    Error,
    /// It is accepted and will hurt.
    Warning,
}

impl Severity {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Whether text for a terminal may be coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// With escape sequences.
    Yes,
    /// Plain.
    No,
}

impl Finding {
    /// A finding that is an error.
    pub fn error(
        rule: &'static str,
        place: Place,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            rule,
            severity: Severity::Error,
            place,
            pointer: None,
            message: message.into(),
            hint: hint.into(),
            fix: None,
        }
    }

    /// The same finding, said to be about this value of the task definition.
    pub fn about(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// The finding as text for people, with the line it is about and a caret under the value.
    pub fn render(&self, color: Color) -> String {
        let paint = Paint(color);
        let tone = match self.severity {
            Severity::Error => "1;31",
            Severity::Warning => "1;33",
        };

        let head = paint.with(tone, &format!("{}[{}]", self.severity.word(), self.rule));
        let mut text = format!("{head}: {}\n", paint.with("1", &self.message));
        let gutter = gutter(&self.place);
        draw(&mut text, &self.place, gutter, tone, paint);

        let margin = " ".repeat(gutter);
        let mark = paint.with("1;34", "=");
        let pointer = self
            .pointer
            .as_deref()
            .filter(|pointer| !pointer.is_empty());

        if let (Some(pointer), false) = (pointer, matches!(self.place, Place::Pointer(_))) {
            let _ = writeln!(text, "{margin} {mark} value: {pointer}");
        }
        if !self.hint.is_empty() {
            let _ = writeln!(text, "{margin} {mark} hint: {}", self.hint);
        }

        if let Some(rule) = rule(self.rule) {
            let _ = writeln!(text, "{margin} {mark} source: {}", rule.source);
        }
        text
    }
}

fn draw(text: &mut String, place: &Place, gutter: usize, tone: &str, paint: Paint) {
    let margin = " ".repeat(gutter);
    let arrow = paint.with("1;34", "-->");
    let bar = paint.with("1;34", "|");

    match place {
        Place::Pointer(pointer) => {
            let name = if pointer.is_empty() {
                "the task definition"
            } else {
                pointer
            };
            let _ = writeln!(text, "{margin}{arrow} {name}");
        }
        Place::Derived { because, from } => {
            let _ = writeln!(text, "{margin}{arrow} worked out: {because}");
            if let Some(from) = from {
                draw(text, from, gutter, tone, paint);
            }
        }
        Place::Text {
            file,
            line,
            column,
            end_column,
            excerpt_line,
            excerpt_column,
        } => {
            let before = column.saturating_sub(*excerpt_column);
            // A tab is as wide as the terminal likes; spaces keep the caret under its value.
            let shown = excerpt_line.replace('\t', "    ");
            let tabs = excerpt_line
                .chars()
                .take(before)
                .filter(|c| *c == '\t')
                .count();

            // A long value of a long line ends where the line is cut.
            let width = excerpt_line.chars().count().saturating_sub(before);
            let width = width.min(end_column.saturating_sub(*column));
            let caret = "^".repeat(width.max(1));
            let number = paint.with("1;34", &format!("{line:>gutter$}"));
            let indent = " ".repeat(before + 3 * tabs);
            let _ = writeln!(text, "{margin}{arrow} {file}:{line}:{column}");
            let _ = writeln!(text, "{margin} {bar}");
            let _ = writeln!(text, "{number} {bar} {shown}");
            let _ = writeln!(text, "{margin} {bar} {indent}{}", paint.with(tone, &caret));
        }
    }
}

/// The width of the widest line number that will be drawn.
fn gutter(place: &Place) -> usize {
    match place {
        Place::Text { line, .. } => line.to_string().len(),
        Place::Derived {
            from: Some(from), ..
        } => gutter(from),
        Place::Derived { .. } | Place::Pointer(_) => 1,
    }
}

#[derive(Clone, Copy)]
struct Paint(Color);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        match self.0 {
            Color::Yes => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Color::No => text.to_owned(),
        }
    }
}
