//! What a text is: which documents it holds, and where.

use crate::source::Node;

/// What a part of a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The input of RegisterTaskDefinition, or what an answer of ECS shows of it.
    Definition,
    /// A list of containers, as Terraform's `container_definitions` takes it.
    Containers,
    /// A service.
    Service,
    /// The input of RunTask.
    RunTask,
    /// A template with resources.
    Template,
    /// One resource of a template, by itself.
    Resource(&'static str),
    /// The properties of a resource, by themselves.
    Properties(&'static str),
}

/// A part of a text and what it is.
pub(super) struct Part {
    pub(super) form: Form,
    /// The pointer at which it stands.
    pub(super) pointer: String,
}

pub(super) const TASK_DEFINITION: &str = "AWS::ECS::TaskDefinition";
pub(super) const SERVICE: &str = "AWS::ECS::Service";

/// The documents of a text.
pub(super) fn parts(node: &Node) -> Vec<Part> {
    let mut all = Vec::new();
    collect(node, "", &mut all);
    all
}

fn collect(node: &Node, pointer: &str, all: &mut Vec<Part>) {
    let is_container = |one: &Node| one.get("image").is_some() && one.get("name").is_some();
    if node.items().iter().any(is_container) {
        all.push(part(Form::Containers, pointer));
        return;
    }

    for (index, item) in node.items().iter().enumerate() {
        collect(item, &format!("{pointer}/{index}"), all);
    }
    if let Some(form) = form(node) {
        all.push(part(form, pointer));
        return;
    }

    // What answers of ECS and input files wrap documents in; a manifest has a `service` of another kind.
    for (key, form) in [
        ("taskDefinition", Form::Definition),
        ("service", Form::Service),
        ("runTask", Form::RunTask),
    ] {
        if node.get(key).is_some_and(|inner| may_be(inner, form)) {
            all.push(part(form, &format!("{pointer}/{key}")));
        }
    }

    let services = node.get("services").map_or(&[][..], Node::items);
    for (index, inner) in services.iter().enumerate() {
        if may_be(inner, Form::Service) {
            all.push(part(Form::Service, &format!("{pointer}/services/{index}")));
        }
    }
}

/// Whether a value can be the document that its key says it is. A service of which little is said looks
/// like a request.
fn may_be(node: &Node, wanted: Form) -> bool {
    let is = form(node);
    is == Some(wanted) || (wanted == Form::Service && is == Some(Form::RunTask))
}

fn part(form: Form, pointer: &str) -> Part {
    Part {
        form,
        pointer: pointer.to_owned(),
    }
}

fn form(node: &Node) -> Option<Form> {
    let has = |key: &str| node.get(key).is_some();
    let kind = node.get("Type").and_then(Node::text);
    let names_a_definition = node
        .get("taskDefinition")
        .is_some_and(|one| one.text().is_some());

    if has("Resources") || has("AWSTemplateFormatVersion") {
        Some(Form::Template)
    } else if let Some(resource) = kind.filter(|_| has("Properties")).and_then(ours) {
        Some(Form::Resource(resource))
    } else if has("containerDefinitions") || has("family") {
        Some(Form::Definition)
    } else if has("ContainerDefinitions") || has("Family") {
        Some(Form::Properties(TASK_DEFINITION))
    } else if has("TaskDefinition") {
        Some(Form::Properties(SERVICE))
    } else if OF_SERVICES.iter().any(|key| has(key)) {
        Some(Form::Service)
    } else if names_a_definition {
        Some(Form::RunTask)
    } else {
        None
    }
}

/// The type of a resource, if it is one of those that are judged.
pub(super) fn ours(kind: &str) -> Option<&'static str> {
    [TASK_DEFINITION, SERVICE]
        .into_iter()
        .find(|one| *one == kind)
}

/// Fields that only a service has.
const OF_SERVICES: [&str; 7] = [
    "serviceName",
    "desiredCount",
    "deploymentConfiguration",
    "loadBalancers",
    "serviceConnectConfiguration",
    "schedulingStrategy",
    "deploymentController",
];
