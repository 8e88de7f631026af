//! From the properties of a resource to a record in the API's words, with what is unknown set apart.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::finding::{Finding, Fix};
use crate::place::{Place, escape};
use crate::record::{Field, Shape};
use crate::rules::renaming;
use crate::source::{Key, Node, NodeValue, Source, Span};
use crate::spelling::nearest;

use super::evaluate::{Evaluator, Meant, Piece, scalar};
use super::names::{ONLY_API, ONLY_CLOUDFORMATION, cloudformation};

/// A value that nobody knows yet.
#[derive(Debug, Clone)]
pub(super) struct Hole {
    /// Where it is, in the API's words.
    pub(super) pointer: String,
    /// What it must look like.
    pub(super) shape: Shape,
    /// What is known of it; of a part of a definition that is not in the file, nothing.
    pub(super) pieces: Vec<Piece>,
    /// Whether it may as well be absent.
    pub(super) optional: bool,
    /// Whether its key is the user's own, so that something can be wrong with that.
    pub(super) own_key: bool,
}

/// The properties of a resource in the API's words.
#[derive(Debug, Default)]
pub(super) struct Converted {
    /// The unknown values.
    pub(super) holes: Vec<Hole>,
    /// From pointers in the API's words to the user's.
    pub(super) words: BTreeMap<String, String>,
    /// Why a value is what it is, where the text does not show it.
    pub(super) reasons: BTreeMap<String, String>,
    /// Properties that nobody knows.
    pub(super) findings: Vec<Finding>,
}

/// Where a value stands.
#[derive(Clone, Copy)]
struct At<'a> {
    /// The field that holds it or the list it is in.
    field: &'a str,
    /// The pointer in the API's words.
    api: &'a str,
    /// The pointer in the file.
    user: &'a str,
    /// Whether the key is the user's own.
    own_key: bool,
}

/// Turns properties of resources of one type into records.
pub(super) struct Converter<'a, 't> {
    pub(super) source: &'a Source,
    /// The resource's type.
    pub(super) resource: &'static str,
    pub(super) evaluator: &'a mut Evaluator<'t>,
    pub(super) converted: Converted,
}

impl Converter<'_, '_> {
    /// The record, with stand-ins for what is unknown.
    pub(super) fn properties(&mut self, node: &Node, shape: Shape, user: &str) -> Option<Node> {
        let (field, api) = ("", "");
        let own_key = false;
        let at = At {
            field,
            api,
            user,
            own_key,
        };
        self.value(node, shape, at)
    }

    fn value(&mut self, node: &Node, shape: Shape, at: At<'_>) -> Option<Node> {
        match self.evaluator.meant(node, at.user) {
            Meant::Nothing => None,
            Meant::Unknown(pieces) => {
                let api = at.api.to_owned();
                self.converted.words.insert(api.clone(), at.user.to_owned());
                let stand_in = super::stand_in::plainest(shape, &pieces);
                self.converted.holes.push(Hole {
                    pointer: api,
                    shape,
                    pieces,
                    optional: false,
                    own_key: at.own_key,
                });
                Some(node_of(&stand_in, node.span))
            }
            Meant::Plain {
                node,
                pointer,
                because,
            } => {
                let api = at.api.to_owned();
                self.converted.words.insert(api.clone(), pointer.clone());
                if let Some(because) = because {
                    self.converted.reasons.insert(api, because);
                }

                let user = &pointer;
                Some(self.plain(node, shape, At { user, ..at }))
            }
        }
    }

    fn plain(&mut self, node: Node, shape: Shape, at: At<'_>) -> Node {
        let span = node.span;
        let value = match (shape, &node.value) {
            (Shape::Record(fields), NodeValue::Map(entries)) => {
                NodeValue::Map(self.record(entries, fields, at))
            }
            (Shape::List(inner), NodeValue::List(items)) => {
                let mut kept = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    let api = format!("{}/{}", at.api, kept.len());
                    let user = format!("{}/{index}", at.user);
                    let (api, user) = (&*api, &*user);
                    kept.extend(self.value(item, *inner, At { api, user, ..at }));
                }
                NodeValue::List(kept)
            }
            (Shape::TextMap, NodeValue::Map(entries)) => {
                let mut kept = Vec::new();
                for (key, value) in entries {
                    let api = format!("{}/{}", at.api, escape(&key.name));
                    let user = format!("{}/{}", at.user, escape(&key.name));
                    let (api, user) = (&*api, &*user);
                    let own_key = true;
                    let below = At {
                        api,
                        user,
                        own_key,
                        ..at
                    };

                    let value = self.value(value, Shape::Text, below);
                    kept.extend(value.map(|value| (key.clone(), value)));
                }
                NodeValue::Map(kept)
            }
            _ => as_expected(self.source, &node, shape).unwrap_or(node.value),
        };

        Node { value, span }
    }

    fn record(
        &mut self,
        entries: &[(Key, Node)],
        fields: &[Field],
        at: At<'_>,
    ) -> Vec<(Key, Node)> {
        let mut kept = Vec::new();
        for (key, value) in entries {
            let user = format!("{}/{}", at.user, escape(&key.name));
            let known = fields.iter().find(|field| {
                cloudformation(at.field, field.name) == key.name && self.is_known(&key.name)
            });

            if let Some(field) = known {
                let api = format!("{}/{}", at.api, field.name);
                let below = At {
                    field: field.name,
                    api: &api,
                    user: &user,
                    own_key: false,
                };

                let name = field.name.to_owned();
                let key = Key {
                    name,
                    ..key.clone()
                };

                kept.extend(
                    self.value(value, field.shape, below)
                        .map(|value| (key, value)),
                );
            } else if !ONLY_CLOUDFORMATION.contains(&(self.resource, &key.name)) {
                self.unknown((key, value), entries, fields, at, user);
            }
        }

        kept
    }

    fn is_known(&self, name: &str) -> bool {
        !ONLY_API.iter().any(|(resource, path)| {
            *resource == self.resource && path.rsplit('/').next() == Some(name)
        })
    }

    fn unknown(
        &mut self,
        (key, value): (&Key, &Node),
        beside: &[(Key, Node)],
        fields: &[Field],
        at: At<'_>,
        user: String,
    ) {
        let all = fields
            .iter()
            .map(|field| cloudformation(at.field, field.name));
        let known: Vec<String> = all.filter(|name| self.is_known(name)).collect();
        let meant = nearest(&key.name, known.iter().map(String::as_str));
        let hint = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("remove it; known here: {}", known.join(", ")),
        };

        let holder = match at.field {
            "" => self.resource.to_owned(),
            "containerDefinitions" => "a container".to_owned(),
            field => format!("`{}`", cloudformation("", field)),
        };

        let message = format!("{holder} has no property `{}`", key.name);
        let place = Place::in_text(self.source, key.span);
        let mut finding = Finding::error("C05", place, message, hint).about(user);

        // What is there already under the right name stays.
        let free = meant.filter(|meant| beside.iter().all(|(other, _)| other.name != *meant));
        finding.fix = free.map(|meant| Fix {
            title: format!("rename it to `{meant}`"),
            edits: renaming(at.user, &key.name, meant, value.to_json()),
        });
        self.converted.findings.push(finding);
    }
}

/// CloudFormation takes `"80"` for a number and 80 for a text; so does the value that is judged.
fn as_expected(source: &Source, node: &Node, shape: Shape) -> Option<NodeValue> {
    match (shape, &node.value) {
        (Shape::Text | Shape::Choice(_), NodeValue::Number(_)) => {
            let written = source.excerpt(node.span).trim();
            let is_number = written.starts_with(|c: char| c.is_ascii_digit() || c == '.');
            let text = if is_number {
                written.to_owned()
            } else {
                scalar(node)?
            };
            Some(NodeValue::Text(text))
        }
        (Shape::Text | Shape::Choice(_), NodeValue::Bool(_)) => {
            Some(NodeValue::Text(scalar(node)?))
        }
        (Shape::Integer(_), NodeValue::Text(text)) => {
            let whole: i64 = text.trim().parse().ok()?;
            Some(NodeValue::Number(whole.into()))
        }
        (Shape::Number, NodeValue::Text(text)) => {
            let number = serde_json::Number::from_f64(text.trim().parse().ok()?)?;
            Some(NodeValue::Number(number))
        }
        (Shape::Bool, NodeValue::Text(text)) => match text.as_str() {
            "true" => Some(NodeValue::Bool(true)),
            "false" => Some(NodeValue::Bool(false)),
            _ => None,
        },
        _ => None,
    }
}

/// A value as a node, all of it at one place.
pub(super) fn node_of(value: &Value, span: Span) -> Node {
    let value = match value {
        Value::Null => NodeValue::Null,
        Value::Bool(value) => NodeValue::Bool(*value),
        Value::Number(number) => NodeValue::Number(number.clone()),
        Value::String(text) => NodeValue::Text(text.clone()),
        Value::Array(items) => {
            NodeValue::List(items.iter().map(|one| node_of(one, span)).collect())
        }
        Value::Object(entries) => {
            let entries = entries.iter().map(|(name, value)| {
                let name = name.clone();
                (Key { name, span }, node_of(value, span))
            });
            NodeValue::Map(entries.collect())
        }
    };

    Node { value, span }
}
