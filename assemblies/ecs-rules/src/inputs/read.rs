//! Reads the documents of a text.

use std::collections::BTreeMap;

use diagnostics::source::{Key, Node, NodeValue, Source, parse};
use diagnostics::{Finding, Location, LocationMap};
use serde_json::Value;
use task_definition::{
    HasSchema, LocatedDefinition, RunTask, Schema, Service, TaskDefinition, read_node, read_record,
};

use crate::launch::Request;

use super::convert::UnknownValue;
use super::detect::{Form, Part, parts};
use super::evaluate::Piece;
use super::resources::{read_resource, template};
use super::source_map::SourceMap;

/// The documents of a text.
#[derive(Debug, Clone)]
pub struct ParsedInput {
    /// The documents, once per assignment of the conditions of a template.
    pub variants: Vec<Vec<Document>>,
    /// Findings about parts that could not be read.
    pub findings: Vec<Finding>,
}

impl ParsedInput {
    /// Creates an input without documents.
    pub fn from_findings(findings: Vec<Finding>) -> Self {
        Self {
            variants: Vec::new(),
            findings,
        }
    }

    /// Returns the documents under the default assignment.
    pub fn documents(&self) -> &[Document] {
        self.variants.first().map_or(&[], Vec::as_slice)
    }
}

/// A task definition, service or RunTask request in a text.
#[derive(Debug, Clone)]
pub struct Document {
    /// The kind and content of the document.
    pub kind: DocumentKind,
    /// The JSON pointer of the document in the text.
    pub pointer: String,
    /// The names by which other documents of the text refer to it.
    pub(super) names: Vec<String>,
    /// The name of the task definition that it uses.
    pub(super) task_definition: Option<String>,
    pub(super) json: Value,
    pub(super) unknowns: Vec<UnknownValue>,
    pub(super) source_map: SourceMap,
}

/// The content of a document. Unknown values are replaced by minimal ones.
#[derive(Debug, Clone)]
pub enum DocumentKind {
    /// A task definition.
    Definition(Box<LocatedDefinition>),
    /// A service or RunTask request, and the locations of its values.
    Launch(Request, LocationMap),
}

/// Returns whether a text contains a document in a supported format.
pub fn has_documents(node: &Node) -> bool {
    !parts(node).is_empty()
}

/// Reads every task definition, service and RunTask request of a text, in any supported format.
pub fn read_input(source: &Source) -> ParsedInput {
    let root = match parse(source) {
        Ok(root) => root,
        Err(findings) => return ParsedInput::from_findings(findings),
    };

    let parts = parts(&root);
    // A text without any known format is read as a definition, so the findings say what is missing.
    let is_definition = match parts.as_slice() {
        [] => true,
        [part] => part.form == Form::Definition && part.pointer.is_empty(),
        _ => false,
    };

    if is_definition {
        // The most common input is not copied: its tree has many times the size of the text.
        let (variants, findings) = match definition(source, root, SourceMap::for_api("")) {
            Ok(document) => (vec![document], Vec::new()),
            Err(findings) => (Vec::new(), findings),
        };
        return ParsedInput {
            variants: vec![variants],
            findings,
        };
    }

    read_parts(source, &root, parts)
}

fn read_parts(source: &Source, root: &Node, parts: Vec<Part>) -> ParsedInput {
    let mut input = ParsedInput {
        variants: Vec::new(),
        findings: Vec::new(),
    };
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

        match read_part(source, root, node, &part) {
            Ok(document) => fixed.push(document),
            Err(findings) => input.findings.extend(findings),
        }
    }

    if input.variants.is_empty() {
        input.variants.push(Vec::new());
    }
    for documents in &mut input.variants {
        documents.extend(fixed.iter().cloned());
    }

    input
}

fn read_part(
    source: &Source,
    root: &Node,
    node: &Node,
    part: &Part,
) -> Result<Document, Vec<Finding>> {
    let source_map = SourceMap::for_api(&part.pointer);
    match part.form {
        Form::Definition => definition(source, with_tags(root, node, &part.pointer), source_map),
        Form::Containers => containers(source, node, source_map),
        Form::Service => service(source, node.clone(), source_map),
        Form::RunTask => run_task(source, node.clone(), source_map),
        // `read_parts` handles templates, so this arm is never the result of one.
        Form::Template => Err(Vec::new()),
        Form::Resource(kind) => {
            let pointer = format!("{}/Properties", part.pointer);
            let inner = node.get("Properties").unwrap_or(node);
            read_resource(source, kind, inner, &pointer)
        }
        Form::Properties(kind) => read_resource(source, kind, node, &part.pointer),
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

pub(super) fn definition(
    source: &Source,
    node: Node,
    mut source_map: SourceMap,
) -> Result<Document, Vec<Finding>> {
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

    let json = node.to_json();
    let located = read_node(source, node).map_err(|findings| translate(&source_map, findings))?;
    let names = vec![located.definition.family.clone()];
    let kind = DocumentKind::Definition(Box::new(located));
    Ok(document(kind, json, source_map).with_names(names))
}

/// Reads a list of containers. All other fields of the task are unknown.
fn containers(
    source: &Source,
    list: &Node,
    mut source_map: SourceMap,
) -> Result<Document, Vec<Finding>> {
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
    let mut document = definition(source, node, source_map)?;

    // Terraform sets the other fields in attributes that are not in this file.
    document.unknowns = task_fields();
    Ok(document)
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

pub(super) fn service(
    source: &Source,
    node: Node,
    source_map: SourceMap,
) -> Result<Document, Vec<Finding>> {
    let service: Service = read_record(source, &node, "the service", &SERVICE_RESPONSE_ONLY_FIELDS)
        .map_err(|findings| translate(&source_map, findings))?;
    let request = Request::Service(Box::new(service));
    Ok(usage(source, node, request, source_map))
}

fn run_task(source: &Source, node: Node, source_map: SourceMap) -> Result<Document, Vec<Finding>> {
    let run: RunTask = read_record(source, &node, "the request", &[])
        .map_err(|findings| translate(&source_map, findings))?;
    let request = Request::RunTask(Box::new(run));
    Ok(usage(source, node, request, source_map))
}

fn usage(source: &Source, node: Node, request: Request, source_map: SourceMap) -> Document {
    // The revision does not matter: one file has one definition of a family.
    let task_definition = request.task_definition().map(family);
    let json = node.to_json();
    let locations = LocationMap::from_source(source, node);
    let kind = DocumentKind::Launch(request, locations);
    let mut document = document(kind, json, source_map);
    document.task_definition = task_definition;
    document
}

/// Returns the family of `family:revision` or of an ARN.
fn family(name: &str) -> String {
    // The resource part of the ARN is `task-definition/family:revision`.
    let name = name.rsplit('/').next().unwrap_or(name);
    name.split(':').next().unwrap_or(name).to_owned()
}

fn document(kind: DocumentKind, json: Value, source_map: SourceMap) -> Document {
    Document {
        kind,
        pointer: source_map.pointer(""),
        names: Vec::new(),
        task_definition: None,
        json,
        unknowns: Vec::new(),
        source_map,
    }
}

impl Document {
    fn with_names(self, names: Vec<String>) -> Self {
        Self { names, ..self }
    }
}

fn translate(source_map: &SourceMap, findings: Vec<Finding>) -> Vec<Finding> {
    findings
        .into_iter()
        .map(|finding| source_map.translate(finding))
        .collect()
}

impl Document {
    /// Returns the JSON pointers of values that are unknown until something else fills them in: a template's parameters,
    /// or attributes that are not in the file.
    pub fn unknown_values(&self) -> impl Iterator<Item = &str> {
        self.unknowns.iter().map(|unknown| unknown.pointer.as_str())
    }

    /// Sets the location of the whole document.
    pub(super) fn set_location(&mut self, location: Location) {
        // The empty pointer is the fallback for every value without a location.
        self.locations().insert("", location);
    }

    /// Returns a key that is equal for documents with equal content.
    pub(super) fn identity(&self) -> String {
        let unknowns: Vec<_> = self
            .unknowns
            .iter()
            .map(|unknown| &unknown.pointer)
            .collect();
        format!("{} {} {unknowns:?}", self.pointer, self.json)
    }

    fn locations(&mut self) -> &mut LocationMap {
        match &mut self.kind {
            DocumentKind::Definition(located) => &mut located.locations,
            DocumentKind::Launch(_, locations) => locations,
        }
    }

    /// Records the derivation of values that differ from the text.
    pub(super) fn add_derivations(&mut self, reasons: &BTreeMap<String, String>) {
        let locations = self.locations();
        for (pointer, reason) in reasons {
            let from = locations.get(pointer);
            locations.replace(
                pointer.clone(),
                Location::from_derivation(reason.clone(), Some(from)),
            );
        }
    }
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
