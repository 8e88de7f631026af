//! Where a value comes from.

use std::collections::BTreeMap;

use crate::source::{Node, NodeValue, Source, lines};

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
        /// The whole line.
        excerpt_line: String,
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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places(BTreeMap<String, Place>);

impl Places {
    /// No places yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The place of every value of a text.
    pub fn of_text(source: &Source, node: &Node) -> Self {
        let mut places = Self::new();
        places.walk(source, node, &mut String::new());
        places
    }

    /// Records where a value comes from, in place of what was recorded before.
    pub fn insert(&mut self, pointer: impl Into<String>, place: Place) {
        self.0.insert(pointer.into(), place);
    }

    /// Records where a value comes from that was replaced as a whole: what was recorded inside it no
    /// longer speaks.
    pub fn replace(&mut self, pointer: impl Into<String>, place: Place) {
        let pointer = pointer.into();
        let inside = format!("{pointer}/");
        self.0.retain(|known, _| !known.starts_with(&inside));
        self.0.insert(pointer, place);
    }

    /// Where the value comes from; the nearest value around it speaks for one that was not recorded.
    pub fn of(&self, pointer: &str) -> Place {
        let mut around = pointer;
        loop {
            if let Some(place) = self.0.get(around) {
                return place.clone();
            }
            match around.rfind('/') {
                Some(end) => around = &around[..end],
                None => return Place::Pointer(pointer.to_owned()),
            }
        }
    }

    fn walk(&mut self, source: &Source, node: &Node, pointer: &mut String) {
        self.insert(pointer.clone(), lines::place(source, node.span));
        let length = pointer.len();
        match &node.value {
            NodeValue::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    pointer.push('/');
                    pointer.push_str(&index.to_string());
                    self.walk(source, item, pointer);
                    pointer.truncate(length);
                }
            }
            NodeValue::Map(entries) => {
                for (key, value) in entries {
                    pointer.push('/');
                    pointer.push_str(&escape(&key.name));
                    self.walk(source, value, pointer);
                    pointer.truncate(length);
                }
            }
            _ => {}
        }
    }
}

/// A key as a step of a JSON pointer.
pub fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::{Place, Places};

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
