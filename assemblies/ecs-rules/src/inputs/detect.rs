//! Detects which documents a text contains, and where.

use diagnostics::source::Node;

use super::express::EXPRESS;
use super::terraform;

/// The format of a part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The input of RegisterTaskDefinition, or the definition in a response of ECS.
    Definition,
    /// A list of containers, as in Terraform's `container_definitions`.
    Containers,
    /// A service.
    Service,
    /// The input of RunTask.
    RunTask,
    /// A template with resources.
    Template,
    /// A request of Express Mode.
    Express,
    /// A document of ECS that no rule reads, and what it is.
    NotEvaluated(&'static str),
    /// A resource in the output of `terraform show -json`.
    Terraform,
    /// One resource of a template, without the template.
    Resource(&'static str),
    /// The properties of a resource, without the resource.
    Properties(&'static str),
}

/// A part of a text and its format.
pub(super) struct Part {
    pub(super) form: Form,
    /// The JSON pointer of the part.
    pub(super) pointer: String,
}

pub(super) const TASK_DEFINITION: &str = "AWS::ECS::TaskDefinition";
pub(super) const SERVICE: &str = "AWS::ECS::Service";

/// Returns the documents of a text.
pub(super) fn parts(node: &Node) -> Vec<Part> {
    let mut all = Vec::new();
    let resources = terraform::resources(node);
    all.extend(resources.iter().map(|at| part(Form::Terraform, at)));
    if all.is_empty() {
        collect(node, "", &mut all);
    }
    all
}

fn collect(node: &Node, pointer: &str, all: &mut Vec<Part>) {
    let is_container = |item: &Node| item.get("image").is_some() && item.get("name").is_some();
    // Items of other lists, such as services, have no images.
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

    for (key, form) in NOT_EVALUATED_WRAPPERS {
        if node
            .get(key)
            .is_some_and(|inner| !inner.entries().is_empty() || !inner.items().is_empty())
        {
            all.push(part(form, &format!("{pointer}/{key}")));
        }
    }

    // Responses of ECS and input files wrap documents in these keys. The `service` of an assembly manifest is
    // something else, so the content must match as well.
    for (key, form) in [
        ("taskDefinition", Form::Definition),
        ("service", Form::Service),
        ("runTask", Form::RunTask),
    ] {
        if let Some(form) = node.get(key).and_then(|inner| may_be(inner, form)) {
            all.push(part(form, &format!("{pointer}/{key}")));
        }
    }

    let services = node.get("services").map_or(&[][..], Node::items);
    for (index, inner) in services.iter().enumerate() {
        if let Some(form) = may_be(inner, Form::Service) {
            all.push(part(form, &format!("{pointer}/services/{index}")));
        }
    }
}

/// Returns the format of a value whose key implies one, if it matches. A service with few fields looks like a RunTask
/// request.
fn may_be(node: &Node, implied: Form) -> Option<Form> {
    match (implied, form(node)?) {
        (Form::Service, Form::Express) => Some(Form::Express),
        (Form::Service, Form::RunTask) => Some(Form::Service),
        (implied, found) => Some(implied).filter(|implied| *implied == found),
    }
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
        .is_some_and(|name| name.text().is_some());

    // A file of Elastic Beanstalk has `containerDefinitions` too, with other fields.
    if has("AWSEBDockerrunVersion") {
        return None;
    }
    // The order matters: a template may also contain keys of the later formats.
    if has("Resources") || has("AWSTemplateFormatVersion") {
        Some(Form::Template)
    } else if let Some(resource) = kind
        .filter(|_| has("Properties"))
        .and_then(supported_resource)
    {
        Some(Form::Resource(resource))
    } else if let Some((_, what)) = NOT_EVALUATED.iter().find(|(key, _)| has(key)) {
        Some(Form::NotEvaluated(what))
    } else if has("infrastructureRoleArn") && has("configuration") {
        Some(Form::NotEvaluated(GATEWAY))
    } else if ["PrimaryContainer", "InfrastructureRoleArn"]
        .iter()
        .any(|key| has(key))
    {
        Some(Form::Properties(EXPRESS))
    } else if EXPRESS_FIELDS.iter().any(|key| has(key)) {
        Some(Form::Express)
    } else if has("containerDefinitions") || has("family") {
        Some(Form::Definition)
    } else if has("ContainerDefinitions") || has("Family") {
        Some(Form::Properties(TASK_DEFINITION))
    } else if has("TaskDefinition") {
        Some(Form::Properties(SERVICE))
    } else if SERVICE_FIELDS.iter().any(|key| has(key)) {
        Some(Form::Service)
    } else if names_a_definition {
        Some(Form::RunTask)
    } else {
        None
    }
}

/// Returns the type of a resource, if it is one of the checked types.
pub(super) fn supported_resource(kind: &str) -> Option<&'static str> {
    [TASK_DEFINITION, SERVICE, EXPRESS]
        .into_iter()
        .find(|supported| *supported == kind)
}

/// Fields that only requests and responses of Express Mode have at the top level.
const EXPRESS_FIELDS: [&str; 5] = [
    "primaryContainer",
    "infrastructureRoleArn",
    "healthCheckPath",
    "scalingTarget",
    "activeConfigurations",
];

const GATEWAY: &str = "a gateway of ECS";
const DAEMON: &str = "a managed daemon of ECS";
const CAPACITY_PROVIDER: &str = "a capacity provider";

/// Fields of requests that no rule reads.
// ECS API, CreateDaemon, AssociateGatewayWithCluster, CreateCapacityProvider
const NOT_EVALUATED: [(&str, &str); 5] = [
    ("daemonName", DAEMON),
    ("daemonTaskDefinitionArn", DAEMON),
    ("gatewayArn", GATEWAY),
    ("autoScalingGroupProvider", CAPACITY_PROVIDER),
    ("managedInstancesProvider", CAPACITY_PROVIDER),
];

/// Keys of responses that no rule reads.
const NOT_EVALUATED_WRAPPERS: [(&str, Form); 5] = [
    (
        "daemonTaskDefinition",
        Form::NotEvaluated("the task definition of a managed daemon"),
    ),
    ("daemon", Form::NotEvaluated(DAEMON)),
    ("gateway", Form::NotEvaluated(GATEWAY)),
    ("capacityProvider", Form::NotEvaluated(CAPACITY_PROVIDER)),
    (
        "capacityProviders",
        Form::NotEvaluated("a list of capacity providers"),
    ),
];

/// Fields that only services have.
const SERVICE_FIELDS: [&str; 7] = [
    "serviceName",
    "desiredCount",
    "deploymentConfiguration",
    "loadBalancers",
    "serviceConnectConfiguration",
    "schedulingStrategy",
    "deploymentController",
];
