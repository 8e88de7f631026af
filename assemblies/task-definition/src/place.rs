//! Where a value comes from.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Node, Source, lines};

/// Where a value comes from: a line of a text, a derivation, or just its name in the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A part of a line of a text.
    Text {
        /// The file's name.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The first character's column, from 1.
        column: usize,
        /// One after the last character's column, in the same line.
        end_column: usize,
        /// The line; of one that is too long to be shown, the part around the first character.
        excerpt_line: String,
        /// The column at which `excerpt_line` begins: 1 but for lines too long to be shown.
        excerpt_column: usize,
    },
    /// Worked out from something else.
    Derived {
        /// Why it is what it is: a sentence.
        because: String,
        /// What it was worked out from.
        from: Option<Box<Place>>,
    },
    /// A value whose origin nobody recorded, by its JSON pointer.
    Pointer(String),
}

impl Place {
    /// The place of a part of a text.
    pub fn in_text(source: &Source, span: crate::source::Span) -> Self {
        lines::place(source, span)
    }

    /// A value worked out from something else.
    pub fn derived(because: impl Into<String>, from: Option<Self>) -> Self {
        Self::Derived {
            because: because.into(),
            from: from.map(Box::new),
        }
    }

    /// The line and column in the end, for sorting.
    pub(crate) fn order(&self) -> (usize, usize) {
        match self {
            Self::Text { line, column, .. } => (*line, *column),
            Self::Derived {
                from: Some(from), ..
            } => from.order(),
            Self::Derived { .. } | Self::Pointer(_) => (0, 0),
        }
    }
}

/// JSON pointers of a document and where their values come from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Places {
    recorded: BTreeMap<String, Place>,
    /// Pointers inside which only what was recorded speaks.
    replaced: BTreeSet<String>,
    /// A text speaks for what was not recorded. It is looked into when somebody asks: a place holds its
    /// line, and one for every value of a long line would be the text many times over.
    text: Option<(Source, Node)>,
}

impl Places {
    /// No places yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The place of every value of a text.
    pub fn of_text(source: &Source, node: &Node) -> Self {
        Self {
            text: Some((source.clone(), node.clone())),
            ..Self::default()
        }
    }

    /// Records where a value comes from, in place of what was recorded before.
    pub fn insert(&mut self, pointer: impl Into<String>, place: Place) {
        self.recorded.insert(pointer.into(), place);
    }

    /// Records where a value comes from that was replaced as a whole: what was recorded inside it no
    /// longer speaks.
    pub fn replace(&mut self, pointer: impl Into<String>, place: Place) {
        let pointer = pointer.into();
        let inside = format!("{pointer}/");
        self.recorded.retain(|known, _| !known.starts_with(&inside));
        self.replaced.insert(pointer.clone());
        self.recorded.insert(pointer, place);
    }

    /// Where the value comes from; the nearest value around it speaks for one that was not recorded.
    pub fn of(&self, pointer: &str) -> Place {
        let mut around = pointer;
        loop {
            if let Some(place) = self.recorded.get(around) {
                return place.clone();
            }
            if let Some(place) = self.in_text(around) {
                return place;
            }

            match around.rfind('/') {
                Some(end) => around = &around[..end],
                None => return Place::Pointer(pointer.to_owned()),
            }
        }
    }

    fn in_text(&self, pointer: &str) -> Option<Place> {
        let is_around = |one: &String| {
            pointer
                .strip_prefix(&**one)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        if self.replaced.iter().any(is_around) {
            return None;
        }
        let (source, node) = self.text.as_ref()?;
        Some(lines::place(source, node.at(pointer)?.span))
    }
}

/// A key as a step of a JSON pointer.
pub fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::{Place, Places};
    use crate::source::Source;

    #[test]
    fn a_replaced_value_of_a_text_speaks_for_all_inside_it_too() {
        let source = Source::new("a.yaml", "list: [{ a: 1 }]\nother: 2\n");
        let node = crate::source::parse(&source).unwrap();
        let mut places = Places::of_text(&source, &node);
        let after = Place::Pointer("after".to_owned());
        places.replace("/list", after.clone());
        assert_eq!(places.of("/list/0/a"), after);
        assert_eq!(places.of("/other/x"), places.of("/other"));
        assert_eq!(places.of("/other").order(), (2, 8));
    }

    #[test]
    fn a_value_that_was_replaced_speaks_for_all_inside_it_and_for_nothing_beside_it() {
        let place = |text: &str| Place::Pointer(text.to_owned());
        let mut places = Places::new();
        for pointer in ["/list", "/list/0", "/list/0/value", "/lists"] {
            places.insert(pointer, place("before"));
        }
        places.replace("/list", place("after"));
        assert_eq!(places.of("/list/0/value"), place("after"));
        assert_eq!(places.of("/lists"), place("before"));
    }
}
