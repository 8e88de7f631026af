//! From a text to the documents it holds.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::finding::Finding;
use crate::place::{Place, Places};
use crate::read::{Located, read_node, record};
use crate::record::{Shape, Shaped};
use crate::request::Request;
use crate::run_task::RunTask;
use crate::service::Service;
use crate::source::{Key, Node, NodeValue, Source, parse};
use crate::task::TaskDefinition;

use super::convert::Hole;
use super::evaluate::Piece;
use super::recognise::{Form, Part, parts};
use super::resources::{alone, template};
use super::words::Words;

/// The documents of a text.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The documents; of a template with conditions, once for each way in which it can turn out.
    pub worlds: Vec<Vec<Document>>,
    /// What could not be read.
    pub findings: Vec<Finding>,
}

impl Reading {
    /// A text in which nothing could be read, and why.
    pub fn failed(findings: Vec<Finding>) -> Self {
        let worlds = Vec::new();
        Self { worlds, findings }
    }

    /// The documents; of a template with conditions, those of its usual way to turn out.
    pub fn documents(&self) -> &[Document] {
        self.worlds.first().map_or(&[], Vec::as_slice)
    }
}

/// A task definition, a service or a request to run tasks, and where it stands.
#[derive(Debug, Clone)]
pub struct Document {
    /// What it is.
    pub subject: Subject,
    /// The JSON pointer in the text at which it stands.
    pub pointer: String,
    /// The names under which others of the same text speak of it.
    pub(super) names: Vec<String>,
    /// Which definition it uses.
    pub(super) uses: Option<String>,
    pub(super) json: Value,
    pub(super) holes: Vec<Hole>,
    pub(super) words: Words,
}

/// What a document is about. Values that the text does not know are stand-ins.
#[derive(Debug, Clone)]
pub enum Subject {
    /// A task definition.
    Definition(Box<Located>),
    /// A service or a request to run tasks, and where its values come from.
    Use(Request, Places),
}

/// Whether a text is in one of the forms that can be judged here.
pub fn recognises(node: &Node) -> bool {
    !parts(node).is_empty()
}

/// Reads every task definition, service and request of a text, whatever its form.
pub fn read_any(source: &Source) -> Reading {
    let root = match parse(source) {
        Ok(root) => root,
        Err(findings) => return Reading::failed(findings),
    };

    let mut parts = parts(&root);
    if parts.is_empty() {
        // Whoever says that this is a definition is told what is missing from it.
        let (form, pointer) = (Form::Definition, String::new());
        parts.push(Part { form, pointer });
    }

    read_parts(source, &root, parts)
}

fn read_parts(source: &Source, root: &Node, parts: Vec<Part>) -> Reading {
    let mut reading = Reading {
        worlds: Vec::new(),
        findings: Vec::new(),
    };
    let mut always = Vec::new();

    for part in parts {
        let Some(node) = root.at(&part.pointer) else {
            continue;
        };
        if part.form == Form::Template {
            template(source, node, &part.pointer, &mut reading);
            continue;
        }

        match single(source, root, node, &part) {
            Ok(document) => always.push(document),
            Err(findings) => reading.findings.extend(findings),
        }
    }

    if reading.worlds.is_empty() {
        reading.worlds.push(Vec::new());
    }
    for world in &mut reading.worlds {
        world.extend(always.iter().cloned());
    }

    reading
}

fn single(
    source: &Source,
    root: &Node,
    node: &Node,
    part: &Part,
) -> Result<Document, Vec<Finding>> {
    let words = Words::at(&part.pointer);
    match part.form {
        Form::Definition => definition(source, with_tags(root, node, &part.pointer), words),
        Form::Containers => containers(source, node, words),
        Form::Service => service(source, node, words),
        Form::RunTask => run_task(source, node, words),
        Form::Template => Err(Vec::new()),
        Form::Resource(kind) => {
            let pointer = format!("{}/Properties", part.pointer);
            let inner = node.get("Properties").unwrap_or(node);
            alone(source, kind, inner, &pointer)
        }
        Form::Properties(kind) => alone(source, kind, node, &part.pointer),
    }
}

/// An answer of ECS has the tags beside the definition.
fn with_tags(root: &Node, node: &Node, pointer: &str) -> Node {
    let mut node = node.clone();
    let beside = root.entries().iter().find(|(key, _)| key.name == "tags");
    if let (NodeValue::Map(fields), Some(tags), "/taskDefinition") =
        (&mut node.value, beside, pointer)
    {
        fields.push(tags.clone());
    }
    node
}

pub(super) fn definition(
    source: &Source,
    node: Node,
    mut words: Words,
) -> Result<Document, Vec<Finding>> {
    if words
        .pointers
        .get("")
        .is_some_and(|at| at == "/taskDefinition")
    {
        words
            .pointers
            .insert("/tags".to_owned(), "/tags".to_owned());
    }

    let located = read_node(source, &node).map_err(|findings| said(&words, findings))?;
    let names = vec![located.definition.family.clone()];
    Ok(document(
        Subject::Definition(Box::new(located)),
        node.to_json(),
        words,
    )
    .named(names))
}

/// Of a list of containers everything else about the task is unknown.
fn containers(source: &Source, list: &Node, mut words: Words) -> Result<Document, Vec<Finding>> {
    let span = list.span;
    let name = "containerDefinitions".to_owned();
    let node = Node {
        value: NodeValue::Map(vec![(Key { name, span }, list.clone())]),
        span,
    };
    let at = words.pointers.get("").cloned().unwrap_or_default();

    words
        .pointers
        .insert("/containerDefinitions".to_owned(), at);
    let mut document = definition(source, node, words)?;

    document.holes = task_fields();
    Ok(document)
}

fn task_fields() -> Vec<Hole> {
    let Shape::Record(fields) = TaskDefinition::SHAPE else {
        return Vec::new();
    };
    let others = fields
        .iter()
        .filter(|field| field.name != "containerDefinitions");
    let holes = others.map(|field| Hole {
        pointer: format!("/{}", field.name),
        shape: field.shape,
        pieces: vec![Piece::Open(field.name.to_owned())],
        optional: true,
        own_key: false,
    });

    holes.collect()
}

pub(super) fn service(
    source: &Source,
    node: &Node,
    words: Words,
) -> Result<Document, Vec<Finding>> {
    let service: Service = record(source, node, "the service", &ANSWERS_OF_SERVICES)
        .map_err(|findings| said(&words, findings))?;
    let request = Request::Service(Box::new(service));
    Ok(usage(source, node, request, words))
}

fn run_task(source: &Source, node: &Node, words: Words) -> Result<Document, Vec<Finding>> {
    let run: RunTask =
        record(source, node, "the request", &[]).map_err(|findings| said(&words, findings))?;
    let request = Request::RunTask(Box::new(run));
    Ok(usage(source, node, request, words))
}

fn usage(source: &Source, node: &Node, request: Request, words: Words) -> Document {
    let uses = request.task_definition().map(family);
    let places = Places::of_text(source, node);
    let mut document = document(Subject::Use(request, places), node.to_json(), words);
    document.uses = uses;
    document
}

/// The family of `family:revision` or of an ARN.
fn family(name: &str) -> String {
    let name = name.rsplit('/').next().unwrap_or(name);
    name.split(':').next().unwrap_or(name).to_owned()
}

fn document(subject: Subject, json: Value, words: Words) -> Document {
    Document {
        subject,
        pointer: words.pointer(""),
        names: Vec::new(),
        uses: None,
        json,
        holes: Vec::new(),
        words,
    }
}

impl Document {
    fn named(self, names: Vec<String>) -> Self {
        Self { names, ..self }
    }
}

fn said(words: &Words, findings: Vec<Finding>) -> Vec<Finding> {
    findings.into_iter().map(|one| words.said(one)).collect()
}

impl Document {
    /// Says where the whole of it stands.
    pub(super) fn stands_at(&mut self, place: Place) {
        self.places().insert("", place);
    }

    /// What tells it from the same document in another world.
    pub(super) fn identity(&self) -> String {
        let holes: Vec<_> = self.holes.iter().map(|hole| &hole.pointer).collect();
        format!("{} {} {holes:?}", self.pointer, self.json)
    }

    fn places(&mut self) -> &mut Places {
        match &mut self.subject {
            Subject::Definition(located) => &mut located.places,
            Subject::Use(_, places) => places,
        }
    }

    /// Says of values whose text does not show them why they are what they are.
    pub(super) fn explain(&mut self, reasons: &BTreeMap<String, String>) {
        let places = self.places();
        for (pointer, because) in reasons {
            let from = places.of(pointer);
            places.replace(pointer.clone(), Place::derived(because.clone(), Some(from)));
        }
    }
}

/// What an answer of ECS says of a service that an input may not.
const ANSWERS_OF_SERVICES: [&str; 15] = [
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
