//! From YAML events to [`Node`]s.

use std::collections::HashMap;

use granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, Tag};

use super::{Key, Node, NodeValue, Source, Span, limits, lines, scalar, tag};
use crate::finding::Finding;
use crate::rules::syntax::y03_placeholder;

pub(super) fn parse(source: &Source) -> Result<Node, Vec<Finding>> {
    let mut builder = Builder::new(source);
    let length = source.text.len() as u64;
    if length > limits::BYTES {
        builder.refuse_length(limits::too_long_message(length), Span::default());
        return builder.finish();
    }

    let mut options = Options::default();
    options.flow_nesting_limit = limits::DEPTH;
    options.block_nesting_limit = limits::DEPTH;

    for next in Parser::new_from_str_with_options(&source.text, options) {
        match next {
            Ok((event, span)) => builder.event(event, bytes(&span)),
            Err(error) => {
                builder.findings.push(syntax(source, &error));
                break;
            }
        }
        if builder.is_over() {
            break;
        }
    }

    builder.finish()
}

/// A collection that is still open.
enum Open {
    List(Vec<Node>),
    Map {
        entries: Vec<(Key, Node)>,
        key: Option<Key>,
        /// Where each key stands: a look at all of them for each new one would be too slow.
        names: HashMap<String, Span>,
    },
}

struct Builder<'s> {
    source: &'s Source,
    open: Vec<(Open, usize, Span, Option<&'static str>)>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    findings: Vec<Finding>,
    documents: usize,
    nodes: usize,
    /// Bytes that anchors and aliases made twice.
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

    fn event(&mut self, event: Event<'_>, span: Span) {
        match event {
            Event::DocumentStart(..) => self.document(span),
            Event::Scalar(text, style, anchor, tag) => {
                let quoted = style != ScalarStyle::Plain;
                let function = tag.as_deref().and_then(tag::function);
                let as_text = quoted
                    || function.is_some()
                    || tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
                let value = if as_text {
                    NodeValue::Text(text.into_owned())
                } else {
                    scalar::plain(&text)
                };

                let node = tag::applied(function, Node { value, span });
                self.insert(node, anchor);
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.open(Open::List(Vec::new()), anchor, span, tag.as_deref());
            }
            Event::MappingStart(_, anchor, tag) => {
                let map = Open::Map {
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
            self.refuse(span, "a second document begins here");
        }
    }

    /// Whether a limit is passed, which is told once, or there is more wrong than anybody reads.
    fn is_over(&mut self) -> bool {
        let at = self
            .open
            .last()
            .map_or_else(Span::default, |(_, _, span, _)| *span);
        let passed = if self.open.len() > limits::DEPTH {
            format!(
                "lists and maps stand {} deep in each other; the limit is {}",
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

        self.refuse_length(passed, at);
        true
    }

    fn open(&mut self, collection: Open, anchor: usize, span: Span, tag: Option<&Tag>) {
        let function = tag.and_then(tag::function);
        self.open.push((collection, anchor, span, function));
    }

    fn close(&mut self, end: Span) {
        let Some((collection, anchor, start, function)) = self.open.pop() else {
            return;
        };
        let value = match collection {
            Open::List(items) => NodeValue::List(items),
            Open::Map { entries, .. } => NodeValue::Map(entries),
        };

        let span = Span {
            start: start.start,
            end: end.end.max(start.end),
        };
        self.insert(tag::applied(function, Node { value, span }), anchor);
    }

    fn alias(&mut self, anchor: usize, span: Span) {
        match self.anchors.get(&anchor).cloned() {
            Some(mut node) => {
                self.repeat(&node);
                node.span = span;
                self.insert(node, 0);
            }
            // An anchor is known only once its value is complete.
            None => self.refuse(span, "the alias is inside of what it stands for"),
        }
    }

    /// Counts a value that is there once more.
    fn repeat(&mut self, node: &Node) {
        let (values, bytes) = size(node);
        self.nodes += values;
        self.repeated += bytes;
    }

    fn insert(&mut self, node: Node, anchor: usize) {
        self.nodes += 1;
        if anchor != 0 {
            self.repeat(&node);
            self.anchors.insert(anchor, node.clone());
        }

        match self.open.last_mut() {
            None => self.root = self.root.take().or(Some(node)),
            Some((Open::List(items), ..)) => items.push(node),
            Some((Open::Map { entries, key, .. }, ..)) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => self.key(node),
            },
        }
    }

    fn key(&mut self, node: Node) {
        let Some(name) = scalar::key(&node, self.source) else {
            match self.braces(node.span) {
                Some(found) => self.findings.push(Finding::error(
                    y03_placeholder::RULE.id,
                    lines::location(self.source, node.span),
                    y03_placeholder::message(found),
                    y03_placeholder::HINT,
                )),
                None => self.refuse(node.span, "a key must be a word"),
            }
            return self.set_key(String::new(), node.span);
        };

        if name.len() > limits::KEY {
            let limit = limits::group_digits(limits::KEY as u64);
            let length = limits::group_digits(name.len() as u64);
            self.refuse_length(
                format!("a key has {length} bytes; the limit is {limit}"),
                node.span,
            );
            return self.set_key(String::new(), node.span);
        }

        let twice = match self.open.last_mut() {
            Some((Open::Map { names, .. }, ..)) => {
                let first = names.get(&name).copied();
                names.entry(name.clone()).or_insert(node.span);
                first
            }
            _ => None,
        };

        if let Some(first) = twice {
            let line = lines::position(self.source, first.start).0;
            self.findings.push(Finding::error(
                "Y02",
                lines::location(self.source, node.span),
                format!("the key `{name}` comes twice; the first is in line {line}"),
                format!("remove one `{name}`, or join the two values"),
            ));
        }

        self.set_key(name, node.span);
    }

    /// `{{x}}` around a map that stands where a key should.
    fn braces(&self, span: Span) -> Option<&'s str> {
        let text = self.source.text.as_str();
        let outer = text.get(span.start.checked_sub(1)?..)?;
        let end = outer.find("}}")? + 2;
        let found = &outer[..end];
        (found.starts_with("{{") && !found.contains('\n')).then_some(found)
    }

    fn set_key(&mut self, name: String, span: Span) {
        if let Some((Open::Map { key, .. }, ..)) = self.open.last_mut() {
            *key = Some(Key { name, span });
        }
    }

    fn refuse(&mut self, span: Span, message: &str) {
        self.findings.push(Finding::error(
            "Y01",
            lines::location(self.source, span),
            message,
            "write one plain YAML or JSON document",
        ));
    }

    fn refuse_length(&mut self, message: String, span: Span) {
        self.findings.push(Finding::error(
            "Y01",
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

/// Values and bytes of text.
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

const WRONG_FILE_HINT: &str =
    "check that this is the file that was meant; a task definition has up to 64 KiB";

/// Whoever has this many keys twice has pasted something wrong.
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
            "lists and maps stand too deep in each other; the limit is {}",
            limits::DEPTH
        );
        return Finding::error("Y01", location, message, WRONG_FILE_HINT);
    }

    let hint = if lines::begins_with_tab(&source.text, start) {
        "replace the tab at the start of the line by spaces"
    } else {
        "correct the syntax here or just before; quotes, brackets, commas and indentation are the usual reasons"
    };

    Finding::error(
        "Y01",
        location,
        format!("not YAML or JSON: {}", error.info()),
        hint,
    )
}
