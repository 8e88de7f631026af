//! Converts the properties of a resource to a record with the API's names, and collects the unknown values.

use std::collections::BTreeMap;

use diagnostics::source::{Key, Node, NodeValue, Source, Span};
use diagnostics::{Finding, Fix, Location, escape, nearest};
use serde_json::Value;
use task_definition::{Field, Schema, UNKNOWN_FIELD};

use super::evaluate::{Evaluator, Piece, Resolved, scalar};
use super::names::{ONLY_API, ONLY_CLOUDFORMATION, cloudformation_name};

/// A value that is unknown until the stack is created.
#[derive(Debug, Clone)]
pub(super) struct UnknownValue {
    /// The pointer with the API's names.
    pub(super) pointer: String,
    /// The schema of the value.
    pub(super) schema: Schema,
    /// The known and unknown parts of its text; empty for a value that is not in the file.
    pub(super) pieces: Vec<Piece>,
    /// Whether the value may be absent.
    pub(super) optional: bool,
    /// Whether the user chose the key, which may then cause findings of its own.
    pub(super) own_key: bool,
}

/// The result of converting the properties of a resource.
#[derive(Debug, Default)]
pub(super) struct Conversion {
    /// The unknown values.
    pub(super) unknowns: Vec<UnknownValue>,
    /// From pointers with the API's names to pointers in the file.
    pub(super) pointers: BTreeMap<String, String>,
    /// The derivation of values that differ from the text.
    pub(super) reasons: BTreeMap<String, String>,
    /// Findings about unknown properties.
    pub(super) findings: Vec<Finding>,
}

/// The position of a value.
#[derive(Clone, Copy)]
struct Position<'a> {
    /// The field that holds it, or that holds its list.
    field: &'a str,
    /// The pointer with the API's names.
    api: &'a str,
    /// The pointer in the file.
    user: &'a str,
    /// Whether the user chose the key.
    own_key: bool,
}

/// Converts properties of one resource type to records.
pub(super) struct Converter<'a, 't> {
    pub(super) source: &'a Source,
    /// The resource's type.
    pub(super) resource: &'static str,
    pub(super) evaluator: &'a mut Evaluator<'t>,
    pub(super) conversion: Conversion,
}

impl Converter<'_, '_> {
    /// Returns the record, with minimal values in place of unknown ones.
    pub(super) fn properties(&mut self, node: &Node, schema: Schema, user: &str) -> Option<Node> {
        let position = Position {
            field: "",
            api: "",
            user,
            own_key: false,
        };
        self.value(node, schema, position)
    }

    fn value(&mut self, node: &Node, schema: Schema, position: Position<'_>) -> Option<Node> {
        match self.evaluator.resolve(node, position.user) {
            Resolved::NoValue => None,
            Resolved::Unknown(pieces) => {
                let macro_key = node.entries().iter().find(|(key, _)| is_macro(&key.name));
                if let Some((key, _)) = macro_key {
                    let message = format!("the result of `{}` is not evaluated", key.name);
                    self.evaluator.not_evaluated.push((key.span, message));
                }
                let api = position.api.to_owned();
                self.conversion
                    .pointers
                    .insert(api.clone(), position.user.to_owned());
                let minimal = super::candidates::minimal_value(schema, &pieces);
                self.conversion.unknowns.push(UnknownValue {
                    pointer: api,
                    schema,
                    pieces,
                    optional: false,
                    own_key: position.own_key,
                });
                Some(node_from_json(&minimal, node.span))
            }
            Resolved::Known {
                node,
                pointer,
                reason,
            } => {
                let api = position.api.to_owned();
                self.conversion
                    .pointers
                    .insert(api.clone(), pointer.clone());
                if let Some(reason) = reason {
                    self.conversion.reasons.insert(api, reason);
                }

                let user = &pointer;
                Some(self.convert(node, schema, Position { user, ..position }))
            }
        }
    }

    fn convert(&mut self, node: Node, schema: Schema, position: Position<'_>) -> Node {
        let span = node.span;
        let value = match (schema, &node.value) {
            (Schema::Record(fields), NodeValue::Map(entries)) => {
                NodeValue::Map(self.record(entries, fields, position))
            }
            (Schema::List(inner), NodeValue::List(items)) => {
                let mut result = Vec::new();
                // `AWS::NoValue` removes an item, so API indices can be smaller than those of the file.
                for (index, item) in items.iter().enumerate() {
                    let api = format!("{}/{}", position.api, result.len());
                    let user = format!("{}/{index}", position.user);
                    let (api, user) = (&*api, &*user);
                    result.extend(self.value(
                        item,
                        *inner,
                        Position {
                            api,
                            user,
                            ..position
                        },
                    ));
                }
                NodeValue::List(result)
            }
            // Keys such as log options are not field names and stay as they are.
            (Schema::TextMap, NodeValue::Map(entries)) => {
                let mut result = Vec::new();
                for (key, value) in entries {
                    let api = format!("{}/{}", position.api, escape(&key.name));
                    let user = format!("{}/{}", position.user, escape(&key.name));
                    let (api, user) = (&*api, &*user);
                    let own_key = true;
                    let below = Position {
                        api,
                        user,
                        own_key,
                        ..position
                    };

                    let value = self.value(value, Schema::Text, below);
                    result.extend(value.map(|value| (key.clone(), value)));
                }
                NodeValue::Map(result)
            }
            _ => coerce_scalar(self.source, &node, schema).unwrap_or(node.value),
        };

        Node { value, span }
    }

    fn record(
        &mut self,
        entries: &[(Key, Node)],
        fields: &[Field],
        position: Position<'_>,
    ) -> Vec<(Key, Node)> {
        let mut result = Vec::new();
        for (key, value) in entries.iter().filter(|(key, _)| !is_macro(&key.name)) {
            let user = format!("{}/{}", position.user, escape(&key.name));
            // A field that CloudFormation does not have yet is unknown, even though the API has it.
            let known = fields.iter().find(|field| {
                cloudformation_name(position.field, field.name) == key.name
                    && self.is_in_cloudformation(&key.name)
            });

            if let Some(field) = known {
                let api = format!("{}/{}", position.api, field.name);
                let below = Position {
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

                result.extend(
                    self.value(value, field.schema, below)
                        .map(|value| (key, value)),
                );
            // Properties without a counterpart in CreateService are dropped.
            } else if !ONLY_CLOUDFORMATION.contains(&(self.resource, &key.name)) {
                self.report_unknown_property((key, value), entries, fields, position, user);
            }
        }

        if let Some((key, _)) = entries.iter().find(|(key, _)| is_macro(&key.name)) {
            self.add_included(key, fields, position, &mut result);
        }
        result
    }

    /// Adds the fields that a macro may add to the record: every absent one is unknown.
    fn add_included(
        &mut self,
        include: &Key,
        fields: &[Field],
        position: Position<'_>,
        result: &mut Vec<(Key, Node)>,
    ) {
        let message = format!(
            "the properties that `{}` adds are not evaluated",
            include.name
        );
        self.evaluator.not_evaluated.push((include.span, message));

        for field in fields {
            if result.iter().any(|(key, _)| key.name == field.name) {
                continue;
            }
            let pointer = format!("{}/{}", position.api, field.name);
            let user = format!("{}/{}", position.user, escape(&include.name));
            self.conversion.pointers.insert(pointer.clone(), user);
            let pieces = vec![Piece::Unknown(field.name.to_owned())];

            if field.required {
                let minimal = super::candidates::minimal_value(field.schema, &pieces);
                let key = Key {
                    name: field.name.to_owned(),
                    span: include.span,
                };
                result.push((key, node_from_json(&minimal, include.span)));
            }
            self.conversion.unknowns.push(UnknownValue {
                pointer,
                schema: field.schema,
                pieces,
                optional: !field.required,
                own_key: false,
            });
        }
    }

    fn is_in_cloudformation(&self, name: &str) -> bool {
        !ONLY_API.iter().any(|(resource, path)| {
            *resource == self.resource && path.rsplit('/').next() == Some(name)
        })
    }

    fn report_unknown_property(
        &mut self,
        (key, value): (&Key, &Node),
        beside: &[(Key, Node)],
        fields: &[Field],
        position: Position<'_>,
        user: String,
    ) {
        let all = fields
            .iter()
            .map(|field| cloudformation_name(position.field, field.name));
        let known: Vec<String> = all.filter(|name| self.is_in_cloudformation(name)).collect();
        let suggestion = nearest(&key.name, known.iter().map(String::as_str));
        let hint = match suggestion {
            Some(suggestion) => format!("did you mean `{suggestion}`?"),
            None => format!("remove it; known properties: {}", known.join(", ")),
        };

        let holder = match position.field {
            "" => self.resource.to_owned(),
            "containerDefinitions" => "a container".to_owned(),
            field => format!("`{}`", cloudformation_name("", field)),
        };

        let message = format!("{holder} has no property `{}`", key.name);
        let location = Location::from_span(self.source, key.span);
        let mut finding = UNKNOWN_FIELD
            .error(location, message, hint)
            .with_pointer(user);

        // Renaming must not overwrite an existing property.
        let target = suggestion
            .filter(|suggestion| beside.iter().all(|(other, _)| other.name != *suggestion));
        finding.fix = target
            .map(|suggestion| Fix::rename(position.user, &key.name, suggestion, value.to_json()));
        self.conversion.findings.push(finding);

        // The value of the property that was meant is unknown, so that no rule reports its absence.
        let meant = fields
            .iter()
            .find(|field| target == Some(&cloudformation_name(position.field, field.name)));
        self.conversion
            .unknowns
            .extend(meant.map(|field| UnknownValue {
                pointer: format!("{}/{}", position.api, field.name),
                schema: field.schema,
                pieces: Vec::new(),
                optional: false,
                own_key: false,
            }));
    }
}

/// Returns whether a key is a macro that adds properties beside it.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-transform.html
fn is_macro(key: &str) -> bool {
    key == "Fn::Transform" || key.starts_with("Fn::ForEach::")
}

/// Converts a scalar to the type of its schema, because CloudFormation accepts `"80"` for a number and 80 for a
/// string.
fn coerce_scalar(source: &Source, node: &Node, schema: Schema) -> Option<NodeValue> {
    match (schema, &node.value) {
        (Schema::Text | Schema::Choice(_), NodeValue::Number(_)) => {
            let written = source.excerpt(node.span).trim();
            // The number as written keeps trailing zeros; the span of a function covers no number.
            let is_number = written.starts_with(|c: char| c.is_ascii_digit() || c == '.');
            let text = if is_number {
                written.to_owned()
            } else {
                scalar(node)?
            };
            Some(NodeValue::Text(text))
        }
        (Schema::Text | Schema::Choice(_), NodeValue::Bool(_)) => {
            Some(NodeValue::Text(scalar(node)?))
        }
        (Schema::Integer(_), NodeValue::Text(text)) => {
            let whole: i64 = text.trim().parse().ok()?;
            Some(NodeValue::Number(whole.into()))
        }
        (Schema::Number, NodeValue::Text(text)) => {
            let number = serde_json::Number::from_f64(text.trim().parse().ok()?)?;
            Some(NodeValue::Number(number))
        }
        // Only these two strings are certain to be booleans.
        (Schema::Bool, NodeValue::Text(text)) => match text.as_str() {
            "true" => Some(NodeValue::Bool(true)),
            "false" => Some(NodeValue::Bool(false)),
            _ => None,
        },
        _ => None,
    }
}

/// Converts a value to a node with one span for all of it.
pub(super) fn node_from_json(value: &Value, span: Span) -> Node {
    let value = match value {
        Value::Null => NodeValue::Null,
        Value::Bool(value) => NodeValue::Bool(*value),
        Value::Number(number) => NodeValue::Number(number.clone()),
        Value::String(text) => NodeValue::Text(text.clone()),
        Value::Array(items) => NodeValue::List(
            items
                .iter()
                .map(|item| node_from_json(item, span))
                .collect(),
        ),
        Value::Object(entries) => {
            let entries = entries.iter().map(|(name, value)| {
                let name = name.clone();
                (Key { name, span }, node_from_json(value, span))
            });
            NodeValue::Map(entries.collect())
        }
    };

    Node { value, span }
}
