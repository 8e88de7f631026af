//! From a text to a task definition whose values know their places.

use serde::de::DeserializeOwned;
use serde_json::{Number, Value, json};

use crate::finding::{Edit, Finding, Fix, Severity};
use crate::place::{Place, Places, escape};
use crate::placeholder::placeholder;
use crate::record::{Field, Shape, Shaped};
use crate::rules::{renaming, y03};
use crate::source::{Key, Node, NodeValue, Source, Span, parse};
use crate::spelling::nearest;
use crate::task::TaskDefinition;

/// A task definition and where each of its values comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Located {
    /// The definition.
    pub definition: TaskDefinition,
    /// Where its values come from.
    pub places: Places,
}

/// Reads a task definition from JSON or YAML.
///
/// Unknown fields, missing fields and values of the wrong type are all reported together. What
/// `describe-task-definition` adds to an answer is accepted and dropped.
pub fn read(source: &Source) -> Result<Located, Vec<Finding>> {
    read_node(source, &unwrapped(parse(source)?))
}

/// Reads a task definition from a part of a text that has been parsed already.
pub fn read_node(source: &Source, node: &Node) -> Result<Located, Vec<Finding>> {
    let template = node
        .entries()
        .iter()
        .find(|(key, _)| is_template(&key.name));

    if let Some((key, _)) = template {
        return Err(vec![a_template(source, key.span)]);
    }
    Ok(Located {
        definition: record(source, node, "the task definition", &RESPONSE_ONLY)?,
        places: Places::of_text(source, node),
    })
}

/// Reads a task definition that was put together as JSON by somebody who knows where its values come from.
///
/// It is judged as [`read`] judges a text; the findings speak of the places.
pub fn read_value(value: &Value, places: &Places) -> Result<TaskDefinition, Vec<Finding>> {
    let source = Source::new("task-definition.json", "");
    let node = Node::without_place(value);
    let placed = |mut finding: Finding| {
        if let Some(pointer) = finding.pointer.as_deref() {
            finding.place = places.of(pointer);
        }
        finding
    };

    let what = "the task definition";
    judged(&source, &node, TaskDefinition::SHAPE, what, &RESPONSE_ONLY)
        .and_then(|()| typed(&source, &node, value))
        .map_err(|findings| findings.into_iter().map(placed).collect())
}

/// Reads any record of the API, which messages call `what`; fields of answers are passed over.
pub(crate) fn record<T: Shaped + DeserializeOwned>(
    source: &Source,
    node: &Node,
    what: &'static str,
    of_answers: &'static [&'static str],
) -> Result<T, Vec<Finding>> {
    judged(source, node, T::SHAPE, what, of_answers)?;
    typed(source, node, &node.to_json())
}

/// Everything that keeps a record from being read.
fn judged(
    source: &Source,
    node: &Node,
    shape: Shape,
    what: &'static str,
    of_answers: &'static [&'static str],
) -> Result<(), Vec<Finding>> {
    let mut reader = Reader {
        source,
        what,
        of_answers,
        findings: Vec::new(),
    };

    reader.value(node, shape, "");
    if reader.findings.is_empty() {
        Ok(())
    } else {
        Err(reader.findings)
    }
}

/// A record that has been judged.
fn typed<T: DeserializeOwned>(
    source: &Source,
    node: &Node,
    value: &Value,
) -> Result<T, Vec<Finding>> {
    T::deserialize(value).map_err(|error| {
        let place = Place::in_text(source, node.span);
        vec![Finding::error("C06", place, error.to_string(), "correct the value").about("")]
    })
}

/// `aws ecs describe-task-definition` wraps its answer once and puts the tags beside it.
fn unwrapped(node: Node) -> Node {
    let NodeValue::Map(entries) = node.value else {
        return node;
    };
    let is_answer =
        |(key, inner): &(Key, Node)| key.name == "taskDefinition" && inner.get("family").is_some();
    let Some(at) = entries.iter().position(is_answer) else {
        return Node {
            value: NodeValue::Map(entries),
            ..node
        };
    };

    let tags = entries.iter().find(|(key, _)| key.name == "tags").cloned();
    let (_, mut definition) = entries[at].clone();
    if let (NodeValue::Map(fields), Some(tags)) = (&mut definition.value, tags) {
        fields.push(tags);
    }

    definition
}

/// What an answer of ECS holds that an input may not.
pub(crate) const RESPONSE_ONLY: [&str; 9] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
];

/// Fields with a rule of their own for being absent, which says more than "missing".
const ABSENCE_HAS_A_RULE: [&str; 3] = ["family", "name", "image"];

struct Reader<'s> {
    source: &'s Source,
    what: &'static str,
    of_answers: &'static [&'static str],
    findings: Vec<Finding>,
}

impl Reader<'_> {
    fn value(&mut self, node: &Node, shape: Shape, pointer: &str) {
        match (shape, &node.value) {
            (Shape::Text, NodeValue::Text(_))
            | (Shape::Bool, NodeValue::Bool(_))
            | (Shape::Number, NodeValue::Number(_))
            | (Shape::Any, _) => {}
            (Shape::Integer(least), NodeValue::Number(number)) => {
                let fits = number
                    .as_i64()
                    .is_some_and(|n| n >= least && n <= i64::from(u32::MAX));
                if !fits {
                    self.mistyped(node, shape, pointer);
                }
            }
            (Shape::Choice(words), NodeValue::Text(word)) => {
                self.choice(node, words, word, pointer);
            }
            (Shape::List(inner), NodeValue::List(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(item, *inner, &format!("{pointer}/{index}"));
                }
            }
            (Shape::TextMap, NodeValue::Map(entries)) => {
                for (key, value) in entries {
                    self.value(
                        value,
                        Shape::Text,
                        &format!("{pointer}/{}", escape(&key.name)),
                    );
                }
            }
            (Shape::Record(fields), NodeValue::Map(_)) => self.record(node, fields, pointer),
            _ => self.mistyped(node, shape, pointer),
        }
    }

    fn record(&mut self, node: &Node, fields: &[Field], pointer: &str) {
        for (key, value) in node.entries() {
            let below = format!("{pointer}/{}", escape(&key.name));
            match fields.iter().find(|field| field.name == key.name) {
                Some(field) => self.value(value, field.shape, &below),
                None if pointer.is_empty() && self.of_answers.contains(&key.name.as_str()) => {}
                None => self.unknown(node, (key, value), fields, &below),
            }
        }

        let missing = fields
            .iter()
            .filter(|f| f.required && node.get(f.name).is_none());
        for field in missing.filter(|field| !has_rule(field.name, pointer)) {
            let message = format!("{} needs `{}`", self.name_of(pointer), field.name);
            let hint = format!("add \"{}\": {}", field.name, example(field.shape));
            let finding = self.wrong(node.span, pointer, message, hint);
            self.findings.push(finding);
        }
    }

    fn unknown(
        &mut self,
        node: &Node,
        (key, value): (&Key, &Node),
        fields: &[Field],
        pointer: &str,
    ) {
        let name = &key.name;
        let known = fields.iter().map(|field| field.name);
        let meant = nearest(name, known.clone());
        let hint = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!(
                "remove it; known here: {}",
                known.collect::<Vec<_>>().join(", ")
            ),
        };

        let place = Place::in_text(self.source, key.span);
        let around = pointer.rfind('/').map_or("", |end| &pointer[..end]);
        let message = format!("{} has no field `{name}`", self.name_of(around));
        let mut finding = Finding::error("C05", place, message, hint).about(pointer);

        // A field that is there already stays, and the other one has nothing to add to it.
        let value = value.to_json();
        finding.fix = meant
            .filter(|meant| node.get(meant).is_none_or(|other| other.to_json() == value))
            .map(|meant| Fix {
                title: format!("rename it to `{meant}`"),
                edits: renaming(around, name, meant, value),
            });
        self.findings.push(finding);
    }

    fn choice(&mut self, node: &Node, words: &[&'static str], word: &str, pointer: &str) {
        if words.contains(&word) || self.open(node, pointer) {
            return;
        }

        let meant = nearest(word, words.iter().copied());
        let hint = match meant {
            Some(meant) => format!("write `{meant}`"),
            None => format!("choose one of {}", words.join(", ")),
        };

        let place = Place::in_text(self.source, node.span);
        let message = format!("`{word}` is no condition; ECS knows {}", words.join(", "));
        let mut finding = Finding::error("D05", place, message, hint).about(pointer);
        finding.fix = meant.map(|meant| Fix {
            title: format!("write `{meant}`"),
            edits: vec![Edit::Set(pointer.to_owned(), meant.into())],
        });
        self.findings.push(finding);
    }

    /// Says so when a text is a value that is still to be filled in.
    fn open(&mut self, node: &Node, pointer: &str) -> bool {
        let Some(found) = node.text().and_then(placeholder) else {
            return false;
        };
        let place = Place::in_text(self.source, node.span);
        let mut finding = Finding::error("Y03", place, y03::message(found), y03::HINT);
        finding.severity = Severity::Warning;
        self.findings.push(finding.about(pointer));
        true
    }

    fn mistyped(&mut self, node: &Node, shape: Shape, pointer: &str) {
        if self.open(node, pointer) {
            return;
        }

        // Of a number that is not the right one, the number says more than its kind.
        let given = match (shape, &node.value) {
            (Shape::Integer(_), NodeValue::Number(number)) => number.to_string(),
            _ => node.kind().to_owned(),
        };

        let message = format!(
            "{} must be {}, not {given}",
            self.name_of(pointer),
            kind(shape)
        );
        let mut finding = self.wrong(node.span, pointer, message, self.correction(node, shape));

        finding.fix = self.corrected(node, shape, pointer);
        self.findings.push(finding);
    }

    fn wrong(
        &self,
        span: Span,
        pointer: &str,
        message: String,
        hint: impl Into<String>,
    ) -> Finding {
        Finding::error("C06", Place::in_text(self.source, span), message, hint).about(pointer)
    }

    fn name_of(&self, pointer: &str) -> String {
        let last = pointer
            .rsplit('/')
            .find(|step| step.parse::<usize>().is_err())
            .unwrap_or_default();
        match last {
            "" => self.what.to_owned(),
            "containerDefinitions" => "a container".to_owned(),
            name => format!("`{name}`"),
        }
    }

    /// The value as it should have been written, where that can be told.
    fn correction(&self, node: &Node, shape: Shape) -> String {
        match (shape, &node.value) {
            (_, NodeValue::Null) => "leave the field out; ECS does not take null".to_owned(),
            (Shape::Text, NodeValue::Number(number)) => {
                format!("write \"{}\", with quotes", self.as_written(node, number))
            }
            (Shape::Text, NodeValue::Bool(value)) => format!("write \"{value}\", with quotes"),
            (Shape::Integer(_), NodeValue::Text(text)) if text.parse::<u32>().is_ok() => {
                format!("write {text}, without quotes")
            }
            (Shape::Bool, NodeValue::Text(text)) if text.parse::<bool>().is_ok() => {
                format!("write {text}, without quotes")
            }
            (Shape::List(Shape::Text), NodeValue::Text(text)) => {
                format!("write [\"{text}\"]")
            }
            (Shape::List(_), NodeValue::Map(_)) => "put the map into a list: [{…}]".to_owned(),
            _ => format!("write {}", kind(shape)),
        }
    }

    /// The same as an edit, where nothing is to be decided.
    fn corrected(&self, node: &Node, shape: Shape, pointer: &str) -> Option<Fix> {
        let value: Value = match (shape, &node.value) {
            // A text without any value has nothing that could be left out.
            (_, NodeValue::Null) if pointer.is_empty() => return None,
            (_, NodeValue::Null) => {
                return Some(Fix {
                    title: "leave the field out".to_owned(),
                    edits: vec![Edit::Remove(pointer.to_owned())],
                });
            }
            (Shape::Text, NodeValue::Number(number)) => json!(self.as_written(node, number)),
            (Shape::Text, NodeValue::Bool(value)) => json!(value.to_string()),
            (Shape::Integer(_), NodeValue::Text(text)) => json!(text.parse::<u32>().ok()?),
            (Shape::Bool, NodeValue::Text(text)) => json!(text.parse::<bool>().ok()?),
            (Shape::List(Shape::Text), NodeValue::Text(text)) => json!([text]),
            (Shape::List(_), NodeValue::Map(entries)) if !entries.is_empty() => {
                json!([node.to_json()])
            }
            _ => return None,
        };

        Some(Fix {
            title: format!("write {value}"),
            edits: vec![Edit::Set(pointer.to_owned(), value)],
        })
    }

    /// A number as it was written: of the version 1.10 no digit is lost.
    fn as_written(&self, node: &Node, number: &Number) -> String {
        let text = self.source.excerpt(node.span);
        let is_elsewhere = text.is_empty() || text.starts_with('*');
        if is_elsewhere {
            number.to_string()
        } else {
            text.to_owned()
        }
    }
}

fn a_template(source: &Source, span: Span) -> Finding {
    let hint = "give the Properties of its AWS::ECS::TaskDefinition, with names that begin small";
    let message = "this is a CloudFormation template, not a task definition";
    Finding::error("C05", Place::in_text(source, span), message, hint).about("")
}

/// Whether only a CloudFormation template has such a key.
fn is_template(key: &str) -> bool {
    matches!(key, "AWSTemplateFormatVersion" | "Resources")
}

fn has_rule(field: &str, pointer: &str) -> bool {
    let depth = pointer.matches('/').count();
    ABSENCE_HAS_A_RULE.contains(&field)
        && (pointer.is_empty() || (pointer.starts_with("/containerDefinitions/") && depth == 2))
}

fn kind(shape: Shape) -> &'static str {
    match shape {
        Shape::Text | Shape::Choice(_) => "a string",
        Shape::Integer(0) => "a whole number from 0",
        Shape::Integer(_) => "a whole number",
        Shape::Number => "a number",
        Shape::Any => "a value",
        Shape::Bool => "true or false",
        Shape::TextMap => "a map of strings",
        Shape::List(_) => "a list",
        Shape::Record(_) => "a map",
    }
}

fn example(shape: Shape) -> &'static str {
    match shape {
        Shape::Text | Shape::Choice(_) => "\"…\"",
        Shape::Integer(_) | Shape::Number => "1",
        Shape::Bool => "true",
        Shape::List(_) => "[…]",
        Shape::TextMap | Shape::Record(_) | Shape::Any => "{…}",
    }
}
