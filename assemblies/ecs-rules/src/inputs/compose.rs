//! Reads Compose files as one Fargate task with a container for each service.
//!
//! | file | does |
//! |---|---|
//! | `service` | converts a service to a container |
//! | `linux` | converts capabilities, devices, tmpfs and ulimits |
//! | `ports` | converts ports |
//! | `volumes` | converts volumes, bind mounts and tmpfs |
//! | `resources` | converts CPU, memory and GPUs, and chooses the size of the task |
//! | `known` | the fields of Compose that have no counterpart |
//!
//! Facts: the Compose specification, <https://github.com/compose-spec/compose-spec/blob/main/spec.md>.

use std::collections::BTreeSet;

use diagnostics::source::{Key, Node, NodeValue, Source, Span};
use task_definition::{Schema, WRONG_TYPE};

use super::convert::UnknownValue;
use super::derived::interpolate::Syntax;
use super::derived::merge::expand_merge_keys;
use super::derived::record::{Record, list, text, texts};
use super::derived::{Draft, Notes, optional_unknown, read as read_draft};
use super::document::{Document, ParsedInput};

mod known;
mod linux;
mod ports;
mod resources;
mod service;
mod volumes;

use resources::TaskSize;
use volumes::Volumes;

/// Returns whether a text is a Compose file.
pub(super) fn is_compose(root: &Node) -> bool {
    let services = root.get("services").map_or(&[][..], Node::entries);
    let is_map = |(_, service): &(Key, Node)| matches!(service.value, NodeValue::Map(_));
    // A service of an assembly manifest, or of a template, is something else.
    let has_other_kind = [
        "app",
        "service",
        "Resources",
        "containerDefinitions",
        "family",
    ]
    .iter()
    .any(|key| root.get(key).is_some());
    !has_other_kind && services.iter().any(is_map)
}

/// Reads a Compose file.
pub(super) fn read(source: &Source, root: &Node) -> ParsedInput {
    let mut notes = Notes::new(source, Syntax::Compose);
    let merged = expand_merge_keys(root.clone());
    let mut task = Task::new(&merged);
    known::report_top_level(&merged, &mut notes);

    let services = merged.get("services").map_or(&[][..], Node::entries);
    let (optional, started): (Vec<_>, Vec<_>) = services
        .iter()
        .partition(|(_, service)| has_profiles(service));
    for (key, _) in optional {
        let message = format!(
            "the service `{}` is not evaluated: it starts only with one of its `profiles`",
            key.name
        );
        notes.add(key.span, message);
    }

    // The largest difference from Compose, where each service has its own address.
    if started.len() > 1 {
        let message = "the services are evaluated as containers of one Fargate task: they share a network, and reach \
                       each other on 127.0.0.1, not by their names";
        notes.add(started[0].0.span, message);
    }

    for (key, service) in &started {
        if !matches!(service.value, NodeValue::Map(_) | NodeValue::Null) {
            let message = format!("the service `{}` is {}", key.name, service.kind());
            notes.error(
                WRONG_TYPE,
                service.span,
                message,
                "write a map with `image`",
            );
            continue;
        }
        service::convert(key, service, &mut task, &mut notes);
    }

    let document = if started.is_empty() {
        None
    } else {
        let node = task.into_definition(&merged, &mut notes);
        let (document, findings) =
            read_draft(source, Syntax::Compose, root, Draft::Definition(node));
        notes.findings.extend(findings);
        document.map(with_unknown_fields)
    };
    ParsedInput {
        variants: vec![document.into_iter().collect()],
        findings: notes.findings,
        not_evaluated: notes.not_evaluated,
        converted_from: Some("a Compose file"),
    }
}

fn has_profiles(service: &Node) -> bool {
    service
        .get("profiles")
        .is_some_and(|profiles| !profiles.items().is_empty() || profiles.text().is_some())
}

/// Adds the fields of the task that a Compose file cannot have.
fn with_unknown_fields(mut document: Document) -> Document {
    let fields = UNKNOWN_FIELDS.iter().map(|(name, schema)| {
        let unknown: UnknownValue = optional_unknown(&format!("/{name}"), *schema);
        unknown
    });
    document.unknowns.extend(fields);
    document
}

const UNKNOWN_FIELDS: [(&str, Schema); 2] = [
    ("executionRoleArn", Schema::Text),
    ("taskRoleArn", Schema::Text),
];

/// The task under construction.
struct Task {
    containers: Vec<Node>,
    volumes: Volumes,
    size: TaskSize,
    /// Services that others wait for to end.
    ending: BTreeSet<String>,
    platform: Option<Node>,
    pid_mode: Option<Node>,
    ipc_mode: Option<Node>,
}

impl Task {
    fn new(root: &Node) -> Self {
        let services = root.get("services").map_or(&[][..], Node::entries);
        let dependencies = services
            .iter()
            .flat_map(|(_, service)| service.get("depends_on").map_or(&[][..], Node::entries));
        let is_end = |condition: &Node| {
            condition.get("condition").and_then(Node::text)
                == Some("service_completed_successfully")
        };
        Self {
            containers: Vec::new(),
            volumes: Volumes::new(root.get("volumes")),
            size: TaskSize::default(),
            ending: dependencies
                .filter(|(_, condition)| is_end(condition))
                .map(|(key, _)| key.name.clone())
                .collect(),
            platform: None,
            pid_mode: None,
            ipc_mode: None,
        }
    }

    fn into_definition(self, root: &Node, notes: &mut Notes<'_>) -> Node {
        let services = root
            .entries()
            .iter()
            .find(|(key, _)| key.name == "services");
        let span = services.map_or(root.span, |(key, _)| key.span);
        let family = match root.get("name") {
            Some(name) => super::derived::fields::scalar_text(name, notes),
            None => None,
        };

        // The values of the containers divide this size; Compose has none for the whole project.
        let (cpu, memory) = self.size.fargate_size(span);

        let mut record = Record::new(span);
        record.add("family", family.unwrap_or_else(|| text(FAMILY, span)));
        record.add("requiresCompatibilities", texts(["FARGATE"], span));
        record.add("networkMode", text("awsvpc", span));
        record.add("cpu", cpu);
        record.add("memory", memory);
        record.add("containerDefinitions", list(self.containers, span));
        record.add_some("volumes", self.volumes.into_list(span, notes));
        record.add_some("runtimePlatform", self.platform);
        record.add_some("pidMode", self.pid_mode);
        record.add_some("ipcMode", self.ipc_mode);
        record.into_node()
    }
}

/// The family of a project without a name, which Compose takes from the directory.
const FAMILY: &str = "compose";

/// Returns the span of a key's entry in a map, for values that have none of their own.
fn key_span(map: &Node, name: &str) -> Span {
    let entry = map.entries().iter().find(|(key, _)| key.name == name);
    entry.map_or(map.span, |(key, _)| key.span)
}
