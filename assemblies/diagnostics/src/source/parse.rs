//! Builds [`Node`]s from YAML events.

use std::collections::HashMap;

use granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, Tag};

use super::{
    DUPLICATE_KEY, Key, Node, NodeValue, SYNTAX, Source, Span, limits, lines, scalar, tag,
};
use crate::finding::Finding;
use crate::placeholder::{self, PLACEHOLDER};

pub(super) fn parse(source: &Source) -> Result<Node, Vec<Finding>> {
    let mut builder = Builder::new(source);
    let length = source.text.len() as u64;
    if length > limits::BYTES {
        builder.report_limit(limits::too_long_message(length), Span::default());
        return builder.finish();
    }

    let mut options = Options::default();
    options.flow_nesting_limit = limits::DEPTH;
    options.block_nesting_limit = limits::DEPTH;

    for next in Parser::new_from_str_with_options(&source.text, options) {
        match next {
            Ok((event, span)) => builder.handle(event, bytes(&span)),
            Err(error) => {
                builder.findings.push(syntax(source, &error));
                break;
            }
        }
        if builder.should_stop() {
            break;
        }
    }

    builder.finish()
}

/// A collection that is not closed yet.
enum Collection {
    List(Vec<Node>),
    Map {
        entries: Vec<(Key, Node)>,
        key: Option<Key>,
        /// The spans of the keys, because a linear search per key would take quadratic time.
        names: HashMap<String, Span>,
    },
}

struct Builder<'s> {
    source: &'s Source,
    open: Vec<(Collection, usize, Span, Option<&'static str>)>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    findings: Vec<Finding>,
    documents: usize,
    nodes: usize,
    /// The bytes that anchors and aliases have repeated.
    repeated: usize,
}

impl<'s> Builder<'s> {
    fn new(source: &'s Source) -> Self {
        Self {
            source,
            open: Vec::new(),
            root: None,
            anchors: HashMap::new(),
            findings: Vec::new(),
            documents: 0,
            nodes: 0,
            repeated: 0,
        }
    }

    fn handle(&mut self, event: Event<'_>, span: Span) {
        match event {
            Event::DocumentStart(..) => self.document(span),
            Event::Scalar(text, style, anchor, tag) => {
                let quoted = style != ScalarStyle::Plain;
                let function = tag.as_deref().and_then(tag::function);
                // A quoted scalar, a `!!str` and an argument of a function are strings.
                let as_text = quoted
                    || function.is_some()
                    || tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
                let value = if as_text {
                    NodeValue::Text(text.into_owned())
                } else {
                    scalar::plain(&text)
                };

                let node = tag::apply(function, Node { value, span });
                self.insert(node, anchor);
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.open(Collection::List(Vec::new()), anchor, span, tag.as_deref());
            }
            Event::MappingStart(_, anchor, tag) => {
                let map = Collection::Map {
                    entries: Vec::new(),
                    key: None,
                    names: HashMap::new(),
                };
                self.open(map, anchor, span, tag.as_deref());
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(anchor) => self.alias(anchor, span),
            _ => {}
        }
    }

    fn document(&mut self, span: Span) {
        self.documents += 1;
        if self.documents == 2 {
            self.report_syntax(span, "a second document begins here");
        }
    }

    /// Returns whether parsing stops, because a limit is exceeded or there are too many findings.
    fn should_stop(&mut self) -> bool {
        let at = self
            .open
            .last()
            .map_or_else(Span::default, |(_, _, span, _)| *span);
        let exceeded = if self.open.len() > limits::DEPTH {
            format!(
                "lists and maps are nested {} deep; the limit is {}",
                self.open.len(),
                limits::DEPTH
            )
        } else if self.nodes > limits::VALUES {
            let limit = limits::group_digits(limits::VALUES as u64);
            format!(
                "the file has more values than the limit of {limit}, those repeated by aliases included"
            )
        } else if self.repeated > limits::REPEATED {
            let limit = limits::group_digits(limits::REPEATED as u64);
            format!("anchors and aliases repeat more than the limit of {limit} bytes")
        } else {
            return self.findings.len() >= MAX_FINDINGS;
        };

        self.report_limit(exceeded, at);
        true
    }

    fn open(&mut self, collection: Collection, anchor: usize, span: Span, tag: Option<&Tag>) {
        let function = tag.and_then(tag::function);
        self.open.push((collection, anchor, span, function));
    }

    fn close(&mut self, end: Span) {
        let Some((collection, anchor, start, function)) = self.open.pop() else {
            return;
        };
        let value = match collection {
            Collection::List(mut items) => {
                // Most collections are small, and growing leaves room for four items.
                items.shrink_to_fit();
                NodeValue::List(items)
            }
            Collection::Map { mut entries, .. } => {
                entries.shrink_to_fit();
                NodeValue::Map(entries)
            }
        };

        let span = Span {
            start: start.start,
            end: end.end.max(start.end),
        };
        self.insert(tag::apply(function, Node { value, span }), anchor);
    }

    fn alias(&mut self, anchor: usize, span: Span) {
        match self.anchors.get(&anchor).cloned() {
            Some(mut node) => {
                self.repeat(&node);
                node.span = span;
                self.insert(node, 0);
            }
            // The parser rejects unknown anchors, so this one is not complete yet.
            None => self.report_syntax(span, "the alias is inside its own anchor"),
        }
    }

    /// Counts the values and bytes of a repeated value.
    fn repeat(&mut self, node: &Node) {
        let (values, bytes) = size(node);
        self.nodes += values;
        self.repeated += bytes;
    }

    fn insert(&mut self, node: Node, anchor: usize) {
        self.nodes += 1;
        // The parser numbers anchors from 1.
        if anchor != 0 {
            self.repeat(&node);
            self.anchors.insert(anchor, node.clone());
        }

        match self.open.last_mut() {
            None => self.root = self.root.take().or(Some(node)),
            Some((Collection::List(items), ..)) => items.push(node),
            Some((Collection::Map { entries, key, .. }, ..)) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => self.key(node),
            },
        }
    }

    fn key(&mut self, node: Node) {
        let Some(name) = scalar::key(&node, self.source) else {
            match self.braces(node.span) {
                Some(found) => self.findings.push(PLACEHOLDER.error(
                    lines::location(self.source, node.span),
                    placeholder::message(found),
                    placeholder::HINT,
                )),
                None => self.report_syntax(node.span, "a key must be a scalar"),
            }
            return self.set_key(String::new(), node.span);
        };

        if name.len() > limits::KEY {
            let limit = limits::group_digits(limits::KEY as u64);
            let length = limits::group_digits(name.len() as u64);
            self.report_limit(
                format!("a key has {length} bytes; the limit is {limit}"),
                node.span,
            );
            return self.set_key(String::new(), node.span);
        }

        let duplicate = match self.open.last_mut() {
            Some((Collection::Map { names, .. }, ..)) => {
                let first = names.get(&name).copied();
                names.entry(name.clone()).or_insert(node.span);
                first
            }
            _ => None,
        };

        if let Some(first) = duplicate {
            let line = lines::position(self.source, first.start).0;
            self.findings.push(DUPLICATE_KEY.error(
                lines::location(self.source, node.span),
                format!("duplicate key `{name}`; the first is on line {line}"),
                format!("remove one `{name}`, or merge the two values"),
            ));
        }

        self.set_key(name, node.span);
    }

    /// Returns `{{x}}` if the map in place of a key is the inner part of an unquoted placeholder.
    fn braces(&self, span: Span) -> Option<&'s str> {
        let text = self.source.text.as_str();
        let outer = text.get(span.start.checked_sub(1)?..)?;
        let end = outer.find("}}")? + 2;
        let found = &outer[..end];
        (found.starts_with("{{") && !found.contains('\n')).then_some(found)
    }

    fn set_key(&mut self, name: String, span: Span) {
        if let Some((Collection::Map { key, .. }, ..)) = self.open.last_mut() {
            *key = Some(Key { name, span });
        }
    }

    fn report_syntax(&mut self, span: Span, message: &str) {
        self.findings.push(SYNTAX.error(
            lines::location(self.source, span),
            message,
            "write a single YAML or JSON document",
        ));
    }

    fn report_limit(&mut self, message: String, span: Span) {
        self.findings.push(SYNTAX.error(
            lines::location(self.source, span),
            message,
            WRONG_FILE_HINT,
        ));
    }

    fn finish(self) -> Result<Node, Vec<Finding>> {
        if self.findings.is_empty() {
            Ok(self.root.unwrap_or(Node {
                value: NodeValue::Null,
                span: Span::default(),
            }))
        } else {
            Err(self.findings)
        }
    }
}

/// Returns the number of values and the bytes of their texts and keys.
fn size(node: &Node) -> (usize, usize) {
    let mut all = (1, node.text().map_or(0, str::len));
    let keys = node.entries().iter().map(|(key, _)| key.name.len());
    all.1 += keys.sum::<usize>();
    let below = node.entries().iter().map(|(_, value)| value);
    for (values, bytes) in node.items().iter().chain(below).map(size) {
        all.0 += values;
        all.1 += bytes;
    }
    all
}

const WRONG_FILE_HINT: &str = "check that this is the right file";

/// The number of findings after which parsing stops.
const MAX_FINDINGS: usize = 100;

fn bytes(span: &granit_parser::Span) -> Span {
    span.byte_range().map_or_else(Span::default, |range| Span {
        start: range.start,
        end: range.end,
    })
}

fn syntax(source: &Source, error: &ScanError) -> Finding {
    let start = error.marker().byte_offset().unwrap_or(source.text.len());
    let location = lines::location(source, Span { start, end: start });
    if *error.kind() == ErrorKind::RecursionLimitExceeded {
        let message = format!(
            "lists and maps are nested too deep; the limit is {}",
            limits::DEPTH
        );
        return SYNTAX.error(location, message, WRONG_FILE_HINT);
    }

    let hint = if lines::begins_with_tab(&source.text, start) {
        "indent the line with spaces instead of a tab"
    } else {
        "correct the syntax here or just before; common causes are quotes, brackets, commas and indentation"
    };

    SYNTAX.error(
        location,
        format!("not YAML or JSON: {}", error.info()),
        hint,
    )
}
