//! Reads a task definition and the locations of its values from a text.

use diagnostics::source::{Key, Node, NodeValue, Source, Span, parse};
use diagnostics::{Finding, Fix, Location, LocationMap};
use diagnostics::{FixError, RuleRef, apply_fixes_below};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::partial::{PartialRecord, read_partial_record};
use crate::record::{HasSchema, Schema};
use crate::task::TaskDefinition;

mod correction;
mod reader;

use correction::parse_as;
pub(crate) use reader::RecordReading;

/// The rule about fields that the API does not have.
pub const UNKNOWN_FIELD: RuleRef = RuleRef {
    id: "C05",
    source: "ECS API, RegisterTaskDefinition; cfn-lint E3002",
};

/// The rule about missing fields and values of the wrong type.
pub const WRONG_TYPE: RuleRef = RuleRef {
    id: "C06",
    source: "ECS API, RegisterTaskDefinition",
};

/// The rule about conditions of dependsOn that ECS does not have.
pub const UNKNOWN_CONDITION: RuleRef = RuleRef {
    id: "D05",
    source: "ECS API, ContainerDependency, field condition; cfn-lint E3030",
};

/// A task definition with the locations of its values.
#[derive(Debug, Clone, PartialEq)]
pub struct LocatedDefinition {
    /// The definition.
    pub definition: TaskDefinition,
    /// The locations of its values.
    pub locations: LocationMap,
}

/// Reads a task definition from JSON or YAML.
///
/// Unknown fields, missing fields and values of the wrong type are all reported together. The fields that
/// `describe-task-definition` adds to its response are accepted and dropped.
pub fn read(source: &Source) -> Result<LocatedDefinition, Vec<Finding>> {
    read_node(source, unwrap_response(without_nulls(parse(source)?)))
}

/// Removes the fields that are null.
///
/// The JSON protocol of AWS, and the tools that read files for it (Terraform, ecspresso, the deploy action of GitHub),
/// treat a null as an absent field. An item of a list that is null stays, because it has a position.
pub fn without_nulls(mut node: Node) -> Node {
    remove_nulls(&mut node);
    node
}

fn remove_nulls(node: &mut Node) {
    match &mut node.value {
        NodeValue::Map(entries) => {
            entries.retain(|(_, value)| !matches!(value.value, NodeValue::Null));
            for (_, value) in entries {
                remove_nulls(value);
            }
        }
        NodeValue::List(items) => items.iter_mut().for_each(remove_nulls),
        _ => {}
    }
}

/// Reads a task definition from a node of a parsed text.
pub fn read_node(source: &Source, node: Node) -> Result<LocatedDefinition, Vec<Finding>> {
    reject_template(source, &node)?;
    Ok(LocatedDefinition {
        definition: read_record(source, &node, "the task definition", &RESPONSE_ONLY_FIELDS)?,
        locations: LocationMap::from_source(source, node),
    })
}

/// Reads the valid part of a task definition from a node of a parsed text.
pub fn read_partial_node(
    source: &Source,
    node: &Node,
) -> Result<PartialRecord<TaskDefinition>, Vec<Finding>> {
    reject_template(source, node)?;
    read_partial_record(source, node, "the task definition", &RESPONSE_ONLY_FIELDS)
}

/// Returns an error for a template: it has none of the expected fields, and one finding is better than one per key.
fn reject_template(source: &Source, node: &Node) -> Result<(), Vec<Finding>> {
    let mut entries = node.entries().iter();
    match entries.find(|(key, _)| is_template(&key.name)) {
        Some((key, _)) => Err(vec![template_finding(source, key.span)]),
        None => Ok(()),
    }
}

/// Reads the valid part of a task definition from JSON, with locations that the caller supplies.
///
/// Validates it like [`read_partial_node`]; findings point to the supplied locations. Text that the locations mark as interpolated
/// gets the type of its field.
pub fn read_value(
    mut value: Value,
    locations: &LocationMap,
) -> Result<PartialRecord<TaskDefinition>, Vec<Finding>> {
    convert_interpolated(&mut value, locations);
    let source = Source::new("task-definition.json", "");
    let node = Node::from_json(&value);
    let with_locations = |findings: Vec<Finding>| -> Vec<Finding> {
        let located = findings.into_iter().map(|mut finding| {
            if let Some(pointer) = finding.pointer.as_deref() {
                finding.location = locations.get(pointer);
            }
            finding
        });
        located.collect()
    };

    let what = "the task definition";
    let mut partial =
        read_partial_record(&source, &node, what, &RESPONSE_ONLY_FIELDS).map_err(with_locations)?;
    partial.findings = with_locations(partial.findings);
    Ok(partial)
}

/// Converts interpolated text, such as `"45"` for `${patience}`, to the type of its field. Text that does not fit is
/// left as it is, and the validation reports it.
fn convert_interpolated(value: &mut Value, locations: &LocationMap) {
    for pointer in locations.interpolated_pointers() {
        let schema = TaskDefinition::SCHEMA.at(pointer);
        let (Some(schema), Some(value)) = (schema, value.pointer_mut(pointer)) else {
            continue;
        };
        if let Some(typed) = value.as_str().and_then(|text| parse_as(schema, text)) {
            *value = typed;
        }
    }
}

/// Applies fixes to the text of a task definition. Everything else keeps its bytes.
///
/// The pointers of the fixes are those of [`read`]: relative to the definition in the text, or to the definition
/// inside a `describe-task-definition` response. All indices are those of the original text, so the fixes of one
/// check can be applied together.
pub fn apply_fixes(source: &Source, fixes: &[Fix]) -> Result<String, FixError> {
    let root = parse(source).map_err(FixError::Syntax)?;
    // The same test as in `unwrap_response`, so that pointers of findings match.
    let is_response = root.at("/taskDefinition/family").is_some();
    let prefix = if is_response { "/taskDefinition" } else { "" };
    apply_fixes_below(source, &root, prefix, fixes)
}

/// Reads a record of the API, called `what` in messages. Response-only fields are ignored.
pub fn read_record<T: HasSchema + DeserializeOwned>(
    source: &Source,
    node: &Node,
    what: &'static str,
    response_only: &'static [&'static str],
) -> Result<T, Vec<Finding>> {
    validate(source, node, T::SCHEMA, what, response_only)?;
    deserialize(source, node, &node.to_json())
}

/// Reports everything that prevents a record from being deserialized.
fn validate(
    source: &Source,
    node: &Node,
    schema: Schema,
    what: &'static str,
    response_only: &'static [&'static str],
) -> Result<(), Vec<Finding>> {
    let reading = RecordReading::new(source, node, schema, what, response_only);
    if reading.findings.is_empty() {
        Ok(())
    } else {
        Err(reading.findings)
    }
}

/// Deserializes a record that passed validation.
pub(crate) fn deserialize<T: DeserializeOwned>(
    source: &Source,
    node: &Node,
    value: &Value,
) -> Result<T, Vec<Finding>> {
    // Validation covers every schema, so an error here is a disagreement between schema and serde.
    T::deserialize(value).map_err(|error| {
        let location = Location::from_span(source, node.span);
        vec![
            WRONG_TYPE
                .error(location, error.to_string(), "correct the value")
                .with_pointer(""),
        ]
    })
}

/// Unwraps the response of `aws ecs describe-task-definition`, which has the tags beside the definition.
fn unwrap_response(node: Node) -> Node {
    let NodeValue::Map(entries) = node.value else {
        return node;
    };
    // A RunTask request also has `taskDefinition`, but as a string.
    let is_response =
        |(key, inner): &(Key, Node)| key.name == "taskDefinition" && inner.get("family").is_some();
    let Some(position) = entries.iter().position(is_response) else {
        return Node {
            value: NodeValue::Map(entries),
            ..node
        };
    };

    let tags = entries.iter().find(|(key, _)| key.name == "tags").cloned();
    let (_, mut definition) = entries[position].clone();
    if let (NodeValue::Map(fields), Some(tags)) = (&mut definition.value, tags) {
        fields.push(tags);
    }

    definition
}

/// Fields of a response that the input of RegisterTaskDefinition does not have.
const RESPONSE_ONLY_FIELDS: [&str; 9] = [
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

fn template_finding(source: &Source, span: Span) -> Finding {
    let hint =
        "pass the Properties of its AWS::ECS::TaskDefinition, with field names in lower camel case";
    let message = "this is a CloudFormation template, not a task definition";
    UNKNOWN_FIELD
        .error(Location::from_span(source, span), message, hint)
        .with_pointer("")
}

/// Returns whether a key occurs only in CloudFormation templates.
fn is_template(key: &str) -> bool {
    matches!(key, "AWSTemplateFormatVersion" | "Resources")
}
