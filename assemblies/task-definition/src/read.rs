//! Reads a task definition and the locations of its values from a text.

use diagnostics::placeholder::{self, PLACEHOLDER};
use diagnostics::source::{Key, Node, NodeValue, Source, Span, parse};
use diagnostics::{Edit, Finding, Fix, Location, LocationMap, Severity, escape, nearest};
use diagnostics::{FixError, RuleRef, apply_fixes_below};
use serde::de::DeserializeOwned;
use serde_json::{Number, Value, json};

use crate::partial::{PartialRecord, UnreadValue, read_partial_record};
use crate::placeholder::find_placeholder;
use crate::record::{Field, HasSchema, Schema};
use crate::task::TaskDefinition;

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

/// Reads a task definition from JSON, with locations that the caller supplies.
///
/// Validates it like [`read`]; findings point to the supplied locations. Text that the locations mark as interpolated
/// gets the type of its field.
pub fn read_value(
    mut value: Value,
    locations: &LocationMap,
) -> Result<TaskDefinition, Vec<Finding>> {
    convert_interpolated(&mut value, locations);
    let source = Source::new("task-definition.json", "");
    let node = Node::from_json(&value);
    let with_location = |mut finding: Finding| {
        if let Some(pointer) = finding.pointer.as_deref() {
            finding.location = locations.get(pointer);
        }
        finding
    };

    let what = "the task definition";
    validate(
        &source,
        &node,
        TaskDefinition::SCHEMA,
        what,
        &RESPONSE_ONLY_FIELDS,
    )
    .and_then(|()| deserialize(&source, &node, &value))
    .map_err(|findings| findings.into_iter().map(with_location).collect())
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

/// Parses a text as a value of another type, if no decision is needed.
fn parse_as(schema: Schema, text: &str) -> Option<Value> {
    match schema {
        Schema::Integer(_) => text.parse::<u32>().ok().map(Value::from),
        Schema::Bool => text.parse::<bool>().ok().map(Value::from),
        Schema::List(Schema::Text) => split_words(text).map(|words| json!(words)),
        _ => None,
    }
}

/// Splits a command line into words, if no shell is needed to do so.
///
/// A line with quotes, variables or operators has no certain list of words: `None`.
fn split_words(text: &str) -> Option<Vec<&str>> {
    // The line of a health check stays one item.
    if let Some((first, line)) = text.split_once(' ')
        && first == "CMD-SHELL"
    {
        return Some(vec![first, line]);
    }
    let needs_shell = |c: char| "|&;<>()$`\\\"'*?#~\n".contains(c);
    let is_line = text.contains(char::is_whitespace);
    if is_line && text.contains(needs_shell) {
        return None;
    }
    Some(text.split_whitespace().collect())
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

/// The result of validating a record.
pub(crate) struct RecordReading {
    /// The findings about values and fields.
    pub(crate) findings: Vec<Finding>,
    /// The values that could not be read.
    pub(crate) unread: Vec<UnreadValue>,
    /// The values with one possible meaning, by pointer.
    pub(crate) corrections: Vec<(String, Value)>,
}

impl RecordReading {
    pub(crate) fn new(
        source: &Source,
        node: &Node,
        schema: Schema,
        what: &'static str,
        response_only: &'static [&'static str],
    ) -> Self {
        let mut reader = Reader {
            source,
            what,
            response_only,
            findings: Vec::new(),
            unread: Vec::new(),
            corrections: Vec::new(),
        };
        reader.value(node, schema, "");
        Self {
            findings: reader.findings,
            unread: reader.unread,
            corrections: reader.corrections,
        }
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

/// Fields with a separate rule for their absence, which has a better message than "missing". The name of a service is
/// often outside its file: in the configuration of ecspresso, or on the command line.
const ABSENCE_HAS_A_RULE: [&str; 4] = ["family", "name", "image", "serviceName"];

struct Reader<'s> {
    source: &'s Source,
    what: &'static str,
    response_only: &'static [&'static str],
    findings: Vec<Finding>,
    unread: Vec<UnreadValue>,
    corrections: Vec<(String, Value)>,
}

impl Reader<'_> {
    fn value(&mut self, node: &Node, schema: Schema, pointer: &str) {
        match (schema, &node.value) {
            (Schema::Text, NodeValue::Text(_))
            | (Schema::Bool, NodeValue::Bool(_))
            | (Schema::Number, NodeValue::Number(_))
            | (Schema::Any, _) => {}
            (Schema::Integer(least), NodeValue::Number(number)) => {
                // serde reads integers as u32 or i64; a larger one would fail without a location.
                let fits = number
                    .as_i64()
                    .is_some_and(|n| n >= least && n <= i64::from(u32::MAX));
                if !fits {
                    self.report_wrong_type(node, schema, pointer);
                }
            }
            (Schema::Choice(words), NodeValue::Text(word)) => {
                self.choice(node, words, word, pointer);
            }
            (Schema::List(inner), NodeValue::List(items)) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(item, *inner, &format!("{pointer}/{index}"));
                }
            }
            (Schema::TextMap, NodeValue::Map(entries)) => {
                let known = self.unread.len();
                for (key, value) in entries {
                    self.value(
                        value,
                        Schema::Text,
                        &format!("{pointer}/{}", escape(&key.name)),
                    );
                }
                for unread in &mut self.unread[known..] {
                    unread.own_key = true;
                }
            }
            (Schema::Record(fields), NodeValue::Map(_)) => self.record(node, fields, pointer),
            _ => self.report_wrong_type(node, schema, pointer),
        }
    }

    fn record(&mut self, node: &Node, fields: &[Field], pointer: &str) {
        for (key, value) in node.entries() {
            let below = format!("{pointer}/{}", escape(&key.name));
            match fields.iter().find(|field| field.name == key.name) {
                Some(field) => self.value(value, field.schema, &below),
                // Response-only fields occur at the top level only.
                None if pointer.is_empty() && self.response_only.contains(&key.name.as_str()) => {}
                None => self.report_unknown_field(node, (key, value), fields, &below),
            }
        }

        // The finding points to the record, because the missing field has no span.
        let missing = fields
            .iter()
            .filter(|f| f.required && node.get(f.name).is_none());
        for field in missing.filter(|field| !has_absence_rule(field.name, pointer)) {
            let message = format!("{} needs `{}`", self.describe(pointer), field.name);
            let hint = format!("add \"{}\": {}", field.name, example(field.schema));
            let finding = self.type_error(node.span, pointer, message, hint);
            self.findings.push(finding);
            self.add_unread(field.schema, format!("{pointer}/{}", field.name));
        }
    }

    fn add_unread(&mut self, schema: Schema, pointer: String) {
        // A misspelt field that is required is reported twice, but is one value.
        if self.unread.iter().all(|unread| unread.pointer != pointer) {
            self.unread.push(UnreadValue {
                pointer,
                schema,
                own_key: false,
            });
        }
    }

    fn report_unknown_field(
        &mut self,
        node: &Node,
        (key, value): (&Key, &Node),
        fields: &[Field],
        pointer: &str,
    ) {
        let name = &key.name;
        let known = fields.iter().map(|field| field.name);
        let suggestion = nearest(name, known.clone());
        let hint = match suggestion {
            Some(suggestion) => format!("did you mean `{suggestion}`?"),
            None => format!(
                "remove it; known fields: {}",
                known.collect::<Vec<_>>().join(", ")
            ),
        };

        let location = Location::from_span(self.source, key.span);
        let enclosing = pointer.rfind('/').map_or("", |end| &pointer[..end]);
        let message = format!("{} has no field `{name}`", self.describe(enclosing));
        let mut finding = UNKNOWN_FIELD
            .error(location, message, hint)
            .with_pointer(pointer);

        // Renaming must not overwrite a field that exists with another value.
        let value = value.to_json();
        finding.fix = suggestion
            .filter(|suggestion| {
                node.get(suggestion)
                    .is_none_or(|other| other.to_json() == value)
            })
            .map(|suggestion| Fix::rename(enclosing, name, suggestion, value));
        self.findings.push(finding);

        // The value of the field that was meant is unknown, so that no rule reports its absence.
        let meant = fields
            .iter()
            .find(|field| Some(field.name) == suggestion && node.get(field.name).is_none());
        if let Some(field) = meant {
            self.add_unread(field.schema, format!("{enclosing}/{}", field.name));
        }
    }

    fn choice(&mut self, node: &Node, words: &'static [&'static str], word: &str, pointer: &str) {
        if words.contains(&word) {
            return;
        }
        self.add_unread(Schema::Choice(words), pointer.to_owned());
        if self.report_placeholder(node, pointer) {
            return;
        }

        let suggestion = nearest(word, words.iter().copied());
        let hint = match suggestion {
            Some(suggestion) => format!("write `{suggestion}`"),
            None => format!("choose one of {}", words.join(", ")),
        };

        let location = Location::from_span(self.source, node.span);
        let message = format!(
            "`{word}` is not a condition; ECS accepts {}",
            words.join(", ")
        );
        let mut finding = UNKNOWN_CONDITION
            .error(location, message, hint)
            .with_pointer(pointer);
        finding.fix = suggestion.map(|suggestion| Fix {
            title: format!("write `{suggestion}`"),
            edits: vec![Edit::Set(pointer.to_owned(), suggestion.into())],
        });
        self.findings.push(finding);
    }

    /// Reports a text that contains a placeholder, and returns whether it does.
    fn report_placeholder(&mut self, node: &Node, pointer: &str) -> bool {
        let Some(found) = node.text().and_then(find_placeholder) else {
            return false;
        };
        let location = Location::from_span(self.source, node.span);
        let mut finding =
            PLACEHOLDER.error(location, placeholder::message(found), placeholder::HINT);
        finding.severity = Severity::Warning;
        self.findings.push(finding.with_pointer(pointer));
        true
    }

    fn report_wrong_type(&mut self, node: &Node, schema: Schema, pointer: &str) {
        match self.certain_value(node, schema) {
            Some(value) => self.corrections.push((pointer.to_owned(), value)),
            None => self.add_unread(schema, pointer.to_owned()),
        }
        if self.report_placeholder(node, pointer) {
            return;
        }

        // For a number out of range, the number is more helpful than its type.
        let actual = match (schema, &node.value) {
            (Schema::Integer(_), NodeValue::Number(number)) => number.to_string(),
            _ => node.kind().to_owned(),
        };

        let message = format!(
            "{} must be {}, not {actual}",
            self.describe(pointer),
            kind(schema)
        );
        let mut finding = self.type_error(
            node.span,
            pointer,
            message,
            self.correction_hint(node, schema),
        );

        finding.fix = self.correction(node, schema, pointer);
        self.findings.push(finding);
    }

    fn type_error(
        &self,
        span: Span,
        pointer: &str,
        message: String,
        hint: impl Into<String>,
    ) -> Finding {
        WRONG_TYPE
            .error(Location::from_span(self.source, span), message, hint)
            .with_pointer(pointer)
    }

    fn describe(&self, pointer: &str) -> String {
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

    /// Returns a hint with the corrected value, if it is certain.
    fn correction_hint(&self, node: &Node, schema: Schema) -> String {
        match (schema, &node.value) {
            (_, NodeValue::Null) => "leave the field out; ECS does not accept null".to_owned(),
            (Schema::Text, NodeValue::Number(number)) => {
                format!("write \"{}\", with quotes", self.as_written(node, number))
            }
            (Schema::Text, NodeValue::Bool(value)) => format!("write \"{value}\", with quotes"),
            (Schema::Integer(_), NodeValue::Text(text)) if text.parse::<u32>().is_ok() => {
                format!("write {text}, without quotes")
            }
            (Schema::Bool, NodeValue::Text(text)) if text.parse::<bool>().is_ok() => {
                format!("write {text}, without quotes")
            }
            (Schema::List(Schema::Text), NodeValue::Text(text)) => match split_words(text) {
                Some(words) => format!("write {}", json!(words)),
                None => {
                    "write a list with one item per word, or [\"sh\", \"-c\", \"…\"]".to_owned()
                }
            },
            (Schema::List(_), NodeValue::Map(_)) => "put the map into a list: [{…}]".to_owned(),
            _ => format!("write {}", kind(schema)),
        }
    }

    /// Converts a scalar of another type to the expected one, if only one value is possible.
    fn certain_value(&self, node: &Node, schema: Schema) -> Option<Value> {
        match (schema, &node.value) {
            (Schema::Text, NodeValue::Number(number)) => Some(json!(self.as_written(node, number))),
            (Schema::Text, NodeValue::Bool(value)) => Some(json!(value.to_string())),
            (Schema::Integer(_) | Schema::Bool, NodeValue::Text(text)) => parse_as(schema, text),
            _ => None,
        }
    }

    /// Returns the correction as edits, if no decision is needed.
    fn correction(&self, node: &Node, schema: Schema, pointer: &str) -> Option<Fix> {
        let value: Value = match (schema, &node.value) {
            // An empty text has no field to remove.
            (_, NodeValue::Null) if pointer.is_empty() => return None,
            (_, NodeValue::Null) => {
                return Some(Fix {
                    title: "leave the field out".to_owned(),
                    edits: vec![Edit::Remove(pointer.to_owned())],
                });
            }
            (Schema::Text, NodeValue::Number(number)) => json!(self.as_written(node, number)),
            (Schema::Text, NodeValue::Bool(value)) => json!(value.to_string()),
            (_, NodeValue::Text(text)) => parse_as(schema, text)?,
            (Schema::List(_), NodeValue::Map(entries)) if !entries.is_empty() => {
                json!([node.to_json()])
            }
            _ => return None,
        };

        Some(Fix {
            title: format!("write {value}"),
            edits: vec![Edit::Set(pointer.to_owned(), value)],
        })
    }

    /// Returns a number as it is written, so that the version 1.10 keeps its zero.
    fn as_written(&self, node: &Node, number: &Number) -> String {
        let text = self.source.excerpt(node.span);
        // The span of an alias covers `*name`, not the number.
        let is_alias = text.is_empty() || text.starts_with('*');
        if is_alias {
            number.to_string()
        } else {
            text.to_owned()
        }
    }
}

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

fn has_absence_rule(field: &str, pointer: &str) -> bool {
    // `/containerDefinitions/0` has two steps; deeper records have no such rule.
    let depth = pointer.matches('/').count();
    ABSENCE_HAS_A_RULE.contains(&field)
        && (pointer.is_empty() || (pointer.starts_with("/containerDefinitions/") && depth == 2))
}

fn kind(schema: Schema) -> &'static str {
    match schema {
        Schema::Text | Schema::Choice(_) => "a string",
        Schema::Integer(0) => "a non-negative integer",
        Schema::Integer(_) => "an integer",
        Schema::Number => "a number",
        Schema::Any => "a value",
        Schema::Bool => "true or false",
        Schema::TextMap => "a map of strings",
        Schema::List(_) => "a list",
        Schema::Record(_) => "a map",
    }
}

fn example(schema: Schema) -> &'static str {
    match schema {
        Schema::Text | Schema::Choice(_) => "\"…\"",
        Schema::Integer(_) | Schema::Number => "1",
        Schema::Bool => "true",
        Schema::List(_) => "[…]",
        Schema::TextMap | Schema::Record(_) | Schema::Any => "{…}",
    }
}
