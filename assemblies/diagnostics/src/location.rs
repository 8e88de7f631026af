//! The location of a value: a line of a text, or the derivation it comes from.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::source::{Node, Source, lines};

/// The location of a value: a part of a text, a derivation, or a JSON pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A range of columns on a line of a text.
    Text {
        /// The file's name.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The first character's column, from 1.
        column: usize,
        /// One after the last character's column, in the same line.
        end_column: usize,
        /// The line, or the part around the first character if the line is too long to print.
        excerpt_line: String,
        /// The column at which `excerpt_line` begins: 1 unless the line is too long to print.
        excerpt_column: usize,
    },
    /// Derived from another value.
    Derived {
        /// The derivation, as a sentence.
        reason: String,
        /// The location of the value it is derived from.
        from: Option<Box<Location>>,
    },
    /// A value without a recorded origin, by its JSON pointer.
    Pointer(String),
}

impl Location {
    /// Returns the location of a span of a text.
    pub fn from_span(source: &Source, span: crate::source::Span) -> Self {
        lines::location(source, span)
    }

    /// Creates the location of a derived value.
    pub fn from_derivation(reason: impl Into<String>, from: Option<Self>) -> Self {
        Self::Derived {
            reason: reason.into(),
            from: from.map(Box::new),
        }
    }

    /// Returns line and column of the text at the end of the derivation, for sorting.
    pub fn sort_key(&self) -> (usize, usize) {
        match self {
            Self::Text { line, column, .. } => (*line, *column),
            Self::Derived {
                from: Some(from), ..
            } => from.sort_key(),
            Self::Derived { .. } | Self::Pointer(_) => (0, 0),
        }
    }
}

/// The locations of a document's values, by JSON pointer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LocationMap {
    recorded: BTreeMap<String, Location>,
    /// Pointers below which the text no longer applies.
    replaced: BTreeSet<String>,
    /// Pointers of texts that were written as `${…}` alone.
    interpolated: BTreeSet<String>,
    /// The text for values without a recorded location. Locations are computed on demand: each holds its line,
    /// and storing one for every value of a long line would multiply the text. Shared, because the tree of a large
    /// text has several times its size.
    text: Option<Arc<(Source, Node)>>,
}

impl LocationMap {
    /// Creates an empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a map with the locations of all values of a text.
    pub fn from_source(source: &Source, node: Node) -> Self {
        Self {
            text: Some(Arc::new((source.clone(), node))),
            ..Self::default()
        }
    }

    /// Records the location of a value and replaces the one recorded before.
    pub fn insert(&mut self, pointer: impl Into<String>, location: Location) {
        self.recorded.insert(pointer.into(), location);
    }

    /// Records the location of a value that was replaced as a whole. Locations recorded inside the old value
    /// are dropped.
    pub fn replace(&mut self, pointer: impl Into<String>, location: Location) {
        let pointer = pointer.into();
        let inside = format!("{pointer}/");
        self.recorded.retain(|known, _| !known.starts_with(&inside));
        self.interpolated
            .retain(|known| *known != pointer && !known.starts_with(&inside));
        // The text still contains the old value and its members.
        self.replaced.insert(pointer.clone());
        self.recorded.insert(pointer, location);
    }

    /// Records that a value is text which was written as `${…}` alone, until the value is replaced.
    pub fn mark_interpolated(&mut self, pointer: impl Into<String>) {
        self.interpolated.insert(pointer.into());
    }

    /// Returns the JSON pointers of the values that were written as `${…}` alone.
    pub fn interpolated_pointers(&self) -> impl Iterator<Item = &str> {
        self.interpolated.iter().map(String::as_str)
    }

    /// Returns the location of a value, or of the nearest enclosing value that has one.
    pub fn get(&self, pointer: &str) -> Location {
        let mut enclosing = pointer;
        loop {
            if let Some(location) = self.recorded.get(enclosing) {
                return location.clone();
            }
            if let Some(location) = self.in_text(enclosing) {
                return location;
            }

            match enclosing.rfind('/') {
                Some(end) => enclosing = &enclosing[..end],
                None => return Location::Pointer(pointer.to_owned()),
            }
        }
    }

    fn in_text(&self, pointer: &str) -> Option<Location> {
        let encloses = |replaced: &String| {
            pointer
                .strip_prefix(&**replaced)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        if self.replaced.iter().any(encloses) {
            return None;
        }
        let (source, node) = self.text.as_deref()?;
        Some(lines::location(source, node.at(pointer)?.span))
    }
}

/// Escapes a key as a token of a JSON pointer (RFC 6901, section 3).
pub fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::{Location, LocationMap};
    use crate::source::Source;

    #[test]
    fn replacing_a_value_of_a_text_hides_the_locations_inside_it() {
        let source = Source::new("a.yaml", "list: [{ a: 1 }]\nother: 2\n");
        let node = crate::source::parse(&source).unwrap();
        let mut locations = LocationMap::from_source(&source, node);
        let after = Location::Pointer("after".to_owned());
        locations.replace("/list", after.clone());
        assert_eq!(locations.get("/list/0/a"), after);
        assert_eq!(locations.get("/other/x"), locations.get("/other"));
        assert_eq!(locations.get("/other").sort_key(), (2, 8));
    }

    #[test]
    fn replacing_a_value_drops_the_marks_of_interpolated_text_in_it() {
        let mut locations = LocationMap::new();
        for pointer in ["/a", "/b/0", "/bc"] {
            locations.mark_interpolated(pointer);
        }
        locations.replace("/a", Location::Pointer(String::new()));
        locations.replace("/b", Location::Pointer(String::new()));
        assert_eq!(
            locations.interpolated_pointers().collect::<Vec<_>>(),
            ["/bc"]
        );
    }

    #[test]
    fn replacing_a_recorded_value_leaves_its_siblings_alone() {
        let location = |text: &str| Location::Pointer(text.to_owned());
        let mut locations = LocationMap::new();
        for pointer in ["/list", "/list/0", "/list/0/value", "/lists"] {
            locations.insert(pointer, location("before"));
        }
        locations.replace("/list", location("after"));
        assert_eq!(locations.get("/list/0/value"), location("after"));
        assert_eq!(locations.get("/lists"), location("before"));
    }
}
