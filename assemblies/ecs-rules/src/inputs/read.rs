//! Reads the documents of a text.

use diagnostics::source::{Key, Node, NodeValue, Source, parse};
use diagnostics::{Finding, Location, LocationMap};
use task_definition::{
    HasSchema, LocatedDefinition, PartialRecord, RunTask, Schema, Service, TaskDefinition,
    read_partial_node, read_partial_record, without_nulls,
};

use crate::launch::Request;

use super::compose;
use super::convert::UnknownValue;
use super::copilot;
use super::detect::{Form, Part, parts};
use super::document::{Document, DocumentKind, NotEvaluated, ParsedInput};
use super::ecspresso;
use super::evaluate::Piece;
use super::express;
use super::resources::{read_resource, template};
use super::source_map::SourceMap;
use super::terraform;

/// A document, if enough of it could be read, and the findings about the values that could not.
pub(super) type Reading = (Option<Document>, Vec<Finding>);

/// Returns whether a text contains a document in a supported format.
pub fn has_documents(node: &Node) -> bool {
    is_convertible(node) || !parts(node).is_empty()
}

/// Returns whether a text has a format with documents that are derived from its values.
fn is_convertible(node: &Node) -> bool {
    compose::is_compose(node) || copilot::is_copilot(node)
}

/// Returns the form of the documents of a text, with its article: `a CloudFormation template`.
pub fn form_of(node: &Node) -> Option<&'static str> {
    if compose::is_compose(node) {
        return Some("a Compose file");
    }
    if copilot::is_copilot(node) {
        return Some("an AWS Copilot manifest");
    }
    Some(match parts(node).first()?.form {
        Form::Definition => DEFINITION_FORM,
        Form::Containers => "a list of containers",
        Form::Service => "a service",
        Form::RunTask => "a RunTask request",
        Form::Template => "a CloudFormation template",
        Form::Express | Form::Properties(express::EXPRESS) | Form::Resource(express::EXPRESS) => {
            "a service of ECS Express Mode"
        }
        Form::NotEvaluated(what) => what,
        Form::Terraform => "the output of `terraform show -json`",
        Form::Resource(_) | Form::Properties(_) => "a part of a CloudFormation template",
    })
}

/// The form of a task definition, as registered or as ECS returns it.
pub const DEFINITION_FORM: &str = "a task definition";

/// Reads every task definition, service and RunTask request of a text, in any supported format.
pub fn read_input(source: &Source) -> ParsedInput {
    let root = match parse_input(source) {
        Ok(root) => root,
        Err(findings) => return ParsedInput::from_findings(findings),
    };

    if compose::is_compose(&root) {
        return compose::read(source, &root);
    }
    if copilot::is_copilot(&root) {
        return copilot::read(source, &root);
    }

    let parts = parts(&root);
    // A text without any known format is read as a definition, so the findings say what is missing.
    let is_definition = match parts.as_slice() {
        [] => true,
        [part] => part.form == Form::Definition && part.pointer.is_empty(),
        _ => false,
    };

    if is_definition {
        // The most common input is not copied: its tree has many times the size of the text.
        let (document, findings) = definition(source, without_nulls(root), SourceMap::for_api(""));
        return ParsedInput {
            variants: vec![document.into_iter().collect()],
            findings,
            not_evaluated: Vec::new(),
            converted_from: None,
        };
    }

    read_parts(source, &root, parts)
}

/// Parses a text, also one with template functions of ecspresso, which keep their offsets.
pub fn parse_input(source: &Source) -> Result<Node, Vec<Finding>> {
    match ecspresso::quote_calls(source) {
        Some(text) => parse(&text),
        None => parse(source),
    }
}

fn read_parts(source: &Source, root: &Node, parts: Vec<Part>) -> ParsedInput {
    let mut input = ParsedInput::from_findings(Vec::new());
    // Documents outside templates are the same under every assignment.
    let mut fixed = Vec::new();

    for part in parts {
        let Some(node) = root.at(&part.pointer) else {
            continue;
        };
        // A template fills the variants itself, one per assignment.
        if part.form == Form::Template {
            template(source, node, &part.pointer, &mut input);
            continue;
        }

        if let Form::NotEvaluated(what) = part.form {
            input.not_evaluated.push(not_evaluated(source, node, what));
            continue;
        }
        // A response has what was configured in a part of its own.
        if part.form == Form::Express && node.get("activeConfigurations").is_some() {
            let what = "a response about a service of ECS Express Mode";
            input.not_evaluated.push(not_evaluated(source, node, what));
            continue;
        }

        let (document, findings) = read_part(source, root, node, &part);
        fixed.extend(document);
        input.findings.extend(findings);
    }

    if input.variants.is_empty() {
        input.variants.push(Vec::new());
    }
    for documents in &mut input.variants {
        documents.extend(fixed.iter().cloned());
    }

    input
}

fn read_part(source: &Source, root: &Node, node: &Node, part: &Part) -> Reading {
    let source_map = SourceMap::for_api(&part.pointer);
    match part.form {
        // CloudFormation rejects nulls, so only the forms of the API lose theirs.
        Form::Definition => {
            let node = with_tags(root, node, &part.pointer);
            definition(source, without_nulls(node), source_map)
        }
        Form::Containers => containers(source, &without_nulls(node.clone()), source_map),
        Form::Service => service(source, without_nulls(node.clone()), source_map),
        Form::RunTask => run_task(source, without_nulls(node.clone()), source_map),
        // `read_parts` handles these, so this arm is never the result of one.
        Form::Template | Form::NotEvaluated(_) => (None, Vec::new()),
        Form::Express => {
            let node = without_nulls(node.clone());
            express::read(source, &node, &source_map, Vec::new())
        }
        Form::Terraform => terraform::resource(source, root, node, &part.pointer),
        Form::Resource(kind) => {
            let pointer = format!("{}/Properties", part.pointer);
            let inner = node.get("Properties").unwrap_or(node);
            read_resource(source, kind, inner, &pointer)
        }
        Form::Properties(kind) => read_resource(source, kind, node, &part.pointer),
    }
}

fn not_evaluated(source: &Source, node: &Node, what: &str) -> NotEvaluated {
    NotEvaluated {
        location: Location::from_span(source, node.span),
        message: format!(
            "{what} is not evaluated; the rules read task definitions, services and RunTask requests"
        ),
    }
}

/// Adds the tags of an ECS response, which has them beside the definition.
fn with_tags(root: &Node, node: &Node, pointer: &str) -> Node {
    let mut node = node.clone();
    let tags = root.entries().iter().find(|(key, _)| key.name == "tags");
    if let (NodeValue::Map(fields), Some(tags), "/taskDefinition") =
        (&mut node.value, tags, pointer)
    {
        fields.push(tags.clone());
    }
    node
}

pub(super) fn definition(source: &Source, mut node: Node, mut source_map: SourceMap) -> Reading {
    let templates = templates(source, &mut node, TaskDefinition::SCHEMA);
    if source_map
        .pointers
        .get("")
        // In a response the tags are beside the definition, so their pointer does not move with it.
        .is_some_and(|at| at == "/taskDefinition")
    {
        source_map
            .pointers
            .insert("/tags".to_owned(), "/tags".to_owned());
    }

    let partial = match read_partial_node(source, &node) {
        Ok(partial) => partial,
        Err(findings) => return (None, translate(&source_map, findings)),
    };

    let PartialRecord {
        record,
        json,
        unread,
        findings,
    } = partial;
    let findings = translate(&source_map, findings);
    let names = vec![record.family.clone()];
    let kind = DocumentKind::Definition(Box::new(LocatedDefinition {
        definition: record,
        locations: LocationMap::from_source(source, node),
    }));
    let mut document = Document::new(kind, json, source_map).with_unread(unread);
    document.unknowns.extend(templates);
    (Some(document.with_names(names)), findings)
}

/// Takes the calls of template functions out of a document.
fn templates(source: &Source, node: &mut Node, schema: Schema) -> Vec<UnknownValue> {
    // Most texts have none, and are not searched.
    if source.text.contains("{{") {
        ecspresso::take_unknowns(node, schema)
    } else {
        Vec::new()
    }
}

/// Reads a list of containers. All other fields of the task are unknown.
fn containers(source: &Source, list: &Node, mut source_map: SourceMap) -> Reading {
    let span = list.span;
    let name = "containerDefinitions".to_owned();
    let node = Node {
        value: NodeValue::Map(vec![(Key { name, span }, list.clone())]),
        span,
    };
    let list_pointer = source_map.pointers.get("").cloned().unwrap_or_default();

    source_map
        .pointers
        .insert("/containerDefinitions".to_owned(), list_pointer);
    let (mut document, findings) = definition(source, node, source_map);

    // Terraform sets the other fields in attributes that are not in this file.
    if let Some(document) = &mut document {
        document.unknowns.extend(task_fields());
    }
    (document, findings)
}

fn task_fields() -> Vec<UnknownValue> {
    let Schema::Record(fields) = TaskDefinition::SCHEMA else {
        return Vec::new();
    };
    let others = fields
        .iter()
        .filter(|field| field.name != "containerDefinitions");
    let unknowns = others.map(|field| UnknownValue {
        pointer: format!("/{}", field.name),
        schema: field.schema,
        pieces: vec![Piece::Unknown(field.name.to_owned())],
        optional: true,
        own_key: false,
    });

    unknowns.collect()
}

pub(super) fn service(source: &Source, mut node: Node, source_map: SourceMap) -> Reading {
    let templates = templates(source, &mut node, Service::SCHEMA);
    let fields = &SERVICE_RESPONSE_ONLY_FIELDS;
    let partial = read_partial_record::<Service>(source, &node, "the service", fields);
    launch(source, node, source_map, (partial, templates), |service| {
        Request::Service(Box::new(service))
    })
}

fn run_task(source: &Source, mut node: Node, source_map: SourceMap) -> Reading {
    let templates = templates(source, &mut node, RunTask::SCHEMA);
    let partial = read_partial_record::<RunTask>(source, &node, "the request", &[]);
    launch(source, node, source_map, (partial, templates), |run| {
        Request::RunTask(Box::new(run))
    })
}

fn launch<T>(
    source: &Source,
    node: Node,
    source_map: SourceMap,
    (partial, templates): (Result<PartialRecord<T>, Vec<Finding>>, Vec<UnknownValue>),
    to_request: impl FnOnce(T) -> Request,
) -> Reading {
    let partial = match partial {
        Ok(partial) => partial,
        Err(findings) => return (None, translate(&source_map, findings)),
    };

    let findings = translate(&source_map, partial.findings);
    let request = to_request(partial.record);
    // The revision does not matter: one file has one definition of a family.
    let task_definition = request.task_definition().map(family);
    let kind = DocumentKind::Launch(request, LocationMap::from_source(source, node));
    let mut document = Document::new(kind, partial.json, source_map).with_unread(partial.unread);
    document.unknowns.extend(templates);
    document.task_definition = task_definition;
    (Some(document), findings)
}

/// Returns the family of `family:revision` or of an ARN.
fn family(name: &str) -> String {
    // The resource part of the ARN is `task-definition/family:revision`.
    let name = name.rsplit('/').next().unwrap_or(name);
    name.split(':').next().unwrap_or(name).to_owned()
}

fn translate(source_map: &SourceMap, findings: Vec<Finding>) -> Vec<Finding> {
    findings
        .into_iter()
        .map(|finding| source_map.translate(finding))
        .collect()
}

/// Fields of a DescribeServices response that the input of CreateService does not have.
const SERVICE_RESPONSE_ONLY_FIELDS: [&str; 15] = [
    "serviceArn",
    "clusterArn",
    "status",
    "runningCount",
    "pendingCount",
    "platformFamily",
    "taskSets",
    "deployments",
    "roleArn",
    "events",
    "createdAt",
    "createdBy",
    "resourceManagementType",
    "currentServiceDeployment",
    "currentServiceRevisions",
];
