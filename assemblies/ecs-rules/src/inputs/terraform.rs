//! Reads the resources of `terraform show -json`: a plan's `planned_values`, or a state's `values`.
//!
//! Terraform's AWS provider names attributes like the API, in snake case, and writes a record as a list with one
//! block. Attributes that are known only after apply are missing from the values; `after_unknown` lists them.

use diagnostics::source::{Key, Node, NodeValue, Source, parse};
use diagnostics::{Finding, escape};
use serde_json::Value;
use task_definition::{HasSchema, Schema, Service, TaskDefinition};

use super::convert::UnknownValue;
use super::evaluate::Piece;
use super::read::{Reading, definition, service};
use super::source_map::SourceMap;

pub(super) const TASK_DEFINITION: &str = "aws_ecs_task_definition";
pub(super) const SERVICE: &str = "aws_ecs_service";

/// Returns the pointers of all task definitions and services.
pub(super) fn resources(root: &Node) -> Vec<String> {
    let mut found = Vec::new();
    if root.get("format_version").is_none() {
        return found;
    }
    for values in ["planned_values", "values"] {
        let at = format!("/{values}/root_module");
        if let Some(module) = root.at(&at) {
            collect(module, &at, 0, &mut found);
        }
    }
    found
}

fn collect(module: &Node, pointer: &str, depth: usize, found: &mut Vec<String>) {
    let resources = module.get("resources").map_or(&[][..], Node::items);
    for (index, resource) in resources.iter().enumerate() {
        let kind = resource.get("type").and_then(Node::text);
        let is_data = resource.get("mode").and_then(Node::text) == Some("data");
        if !is_data && matches!(kind, Some(TASK_DEFINITION | SERVICE)) {
            found.push(format!("{pointer}/resources/{index}"));
        }
    }

    let modules = module.get("child_modules").map_or(&[][..], Node::items);
    for (index, child) in modules.iter().enumerate().filter(|_| depth < MAX_DEPTH) {
        let below = format!("{pointer}/child_modules/{index}");
        collect(child, &below, depth + 1, found);
    }
}

/// More levels of modules than anyone nests.
const MAX_DEPTH: usize = 32;

/// Reads one resource.
pub(super) fn resource(source: &Source, root: &Node, resource: &Node, pointer: &str) -> Reading {
    let is_definition = resource.get("type").and_then(Node::text) == Some(TASK_DEFINITION);
    let schema = if is_definition {
        TaskDefinition::SCHEMA
    } else {
        Service::SCHEMA
    };
    let (Schema::Record(fields), Some(values)) = (schema, resource.get("values")) else {
        return (None, Vec::new());
    };

    let mut source_map = SourceMap::for_api(&format!("{pointer}/values"));
    // Terraform writes these files, so there is nothing to edit in them.
    source_map.not_editable.insert(String::new());
    let unknown = unknown_attributes(root, resource);
    let (mut entries, mut unknowns, mut findings) = (Vec::new(), Vec::new(), Vec::new());

    for field in fields {
        let api = format!("/{}", field.name);
        let attribute = |name: &str| attribute_of(is_definition, field.name, name);
        let written = values
            .entries()
            .iter()
            .find(|(key, _)| attribute(&key.name));
        if let Some((key, _)) = written {
            let at = format!("{pointer}/values/{}", escape(&key.name));
            source_map.pointers.insert(api.clone(), at);
        }

        let value = written.and_then(|(key, value)| match key.name.as_str() {
            "container_definitions" => containers(source, value, &mut findings),
            _ => convert(value, field.schema),
        });
        let is_unknown = unknown.iter().any(|name| attribute(name));
        if is_unknown || (value.is_none() && written.is_some_and(|(_, value)| has_content(value))) {
            unknowns.push(unknown_value(api, field.schema, field.name));
        } else if let Some(value) = value {
            let (name, span) = (field.name.to_owned(), value.span);
            entries.push((Key { name, span }, value));
        }
    }

    let node = Node {
        value: NodeValue::Map(entries),
        span: resource.get("address").unwrap_or(resource).span,
    };
    let (document, more) = if is_definition {
        definition(source, node, source_map)
    } else {
        service(source, node, source_map)
    };
    findings.extend(more);
    let document = document.map(|mut document| {
        document.unknowns.extend(unknowns);
        document
    });
    (document, findings)
}

/// Returns the attributes of which a part is known only after apply.
fn unknown_attributes(root: &Node, resource: &Node) -> Vec<String> {
    let address = resource.get("address").and_then(Node::text);
    let changes = root.get("resource_changes").map_or(&[][..], Node::items);
    let change = changes
        .iter()
        .find(|change| address.is_some() && change.get("address").and_then(Node::text) == address);
    let unknown = change.and_then(|change| change.at("/change/after_unknown"));
    let entries = unknown.map_or(&[][..], Node::entries).iter();
    entries
        .filter(|(_, value)| contains_true(&value.to_json()))
        .map(|(key, _)| key.name.clone())
        .collect()
}

fn contains_true(value: &Value) -> bool {
    match value {
        Value::Bool(value) => *value,
        Value::Array(items) => items.iter().any(contains_true),
        Value::Object(entries) => entries.values().any(contains_true),
        _ => false,
    }
}

fn unknown_value(pointer: String, schema: Schema, name: &str) -> UnknownValue {
    UnknownValue {
        pointer,
        schema,
        pieces: vec![Piece::Unknown(name.to_owned())],
        optional: true,
        own_key: false,
    }
}

/// Returns whether an attribute of a resource is a field of the API.
fn attribute_of(is_definition: bool, field: &str, attribute: &str) -> bool {
    match (is_definition, field) {
        (false, "serviceName") => attribute == "name",
        (_, "tags") => false,
        (false, "loadBalancers") => attribute == "load_balancer",
        (true, "volumes") => attribute == "volume",
        (_, "placementStrategy") => attribute == "ordered_placement_strategy",
        _ => simplify(field) == simplify(attribute),
    }
}

/// Returns a name without case and separators: `size_in_gib` is `sizeInGiB`.
fn simplify(name: &str) -> String {
    let letters = name.chars().filter(|letter| *letter != '_');
    letters.map(|letter| letter.to_ascii_lowercase()).collect()
}

/// Returns whether a value is set: Terraform writes an absent text as `""` and an absent block as `[]`.
fn has_content(node: &Node) -> bool {
    match &node.value {
        NodeValue::Null => false,
        NodeValue::Text(text) => !text.is_empty(),
        NodeValue::List(items) => !items.is_empty(),
        NodeValue::Map(entries) => !entries.is_empty(),
        _ => true,
    }
}

/// Converts an attribute, or returns `None` if it is absent or has no counterpart of this type.
fn convert(node: &Node, schema: Schema) -> Option<Node> {
    if !has_content(node) {
        return None;
    }
    let value = match (schema, &node.value) {
        // A record is a list with one block.
        (Schema::Record(_), NodeValue::List(items)) if items.len() == 1 => {
            return convert(&items[0], schema);
        }
        (Schema::Record(fields), NodeValue::Map(entries)) => {
            let mut converted = Vec::new();
            for (key, value) in entries.iter().filter(|(_, value)| has_content(value)) {
                let name = simplify(&key.name);
                // A block that the API does not have makes the record unknown.
                let field = fields.iter().find(|field| simplify(field.name) == name);
                // The provider writes 0 where no port is set.
                if key.name == "transit_encryption_port" && value.to_json() == 0 {
                    continue;
                }
                let field = field?;
                let key = Key {
                    name: field.name.to_owned(),
                    span: key.span,
                };
                converted.push((key, convert(value, field.schema)?));
            }
            NodeValue::Map(converted)
        }
        (Schema::List(inner), NodeValue::List(items)) => {
            let items: Option<Vec<_>> = items.iter().map(|item| convert(item, *inner)).collect();
            NodeValue::List(items?)
        }
        (Schema::TextMap | Schema::Any, NodeValue::Map(_))
        | (Schema::Text | Schema::Choice(_), NodeValue::Text(_))
        | (Schema::Integer(_) | Schema::Number, NodeValue::Number(_))
        | (Schema::Bool, NodeValue::Bool(_)) => node.value.clone(),
        (Schema::Text, NodeValue::Number(number)) => NodeValue::Text(number.to_string()),
        _ => return None,
    };
    Some(Node {
        value,
        span: node.span,
    })
}

/// Parses the JSON text of `container_definitions`. The provider drops nulls before it registers the definition.
fn containers(source: &Source, text: &Node, findings: &mut Vec<Finding>) -> Option<Node> {
    let json = text.text()?;
    let inner = Source::new(source.name.clone(), json);
    match parse(&inner) {
        Ok(list) => {
            let mut list = list;
            drop_nulls(&mut list);
            set_span(&mut list, text);
            Some(list)
        }
        Err(more) => {
            let location = diagnostics::Location::from_span(source, text.span);
            findings.extend(more.into_iter().map(|finding| Finding {
                location: location.clone(),
                fix: None,
                ..finding
            }));
            None
        }
    }
}

fn drop_nulls(node: &mut Node) {
    match &mut node.value {
        NodeValue::Map(entries) => {
            entries.retain(|(_, value)| value.value != NodeValue::Null);
            for (_, value) in entries.iter_mut() {
                drop_nulls(value);
            }
        }
        NodeValue::List(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Sets the span of a value and all values in it to that of the text that they were parsed from.
fn set_span(node: &mut Node, text: &Node) {
    node.span = text.span;
    match &mut node.value {
        NodeValue::Map(entries) => {
            for (key, value) in entries {
                key.span = text.span;
                set_span(value, text);
            }
        }
        NodeValue::List(items) => items.iter_mut().for_each(|item| set_span(item, text)),
        _ => {}
    }
}
