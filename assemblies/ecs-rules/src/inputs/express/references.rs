//! Checks the task definitions that services of Express Mode refer to.

use diagnostics::source::{Node, Source};
use diagnostics::{Finding, Location, RuleRef};

use super::{EXPRESS, MAIN};
use crate::inputs::document::{Document, DocumentKind};
use crate::inputs::evaluate::function;
use crate::inputs::for_each::Resource;

/// The rule about the container that a load balancer sends requests to.
const TARGET: RuleRef = RuleRef {
    id: "P07",
    source: "ECS API, CreateExpressGatewayService, field taskDefinitionArn",
};

/// Checks the task definitions of a template that its services of Express Mode refer to.
pub(in crate::inputs) fn check_references(
    source: &Source,
    resources: &[Resource],
    documents: &[Document],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for resource in resources {
        if resource.node.get("Type").and_then(Node::text) != Some(EXPRESS) {
            continue;
        }
        let Some(reference) = resource.node.at("/Properties/TaskDefinitionArn") else {
            continue;
        };
        let id = function(reference).and_then(|(_, argument)| {
            let name = argument.items().first().unwrap_or(argument).text()?;
            name.split('.').next()
        });

        // A definition of another stack is not in the file.
        let document = documents
            .iter()
            .find(|document| id.is_some_and(|id| document.names.iter().any(|name| name == id)));
        if let (Some(document), Some(id)) = (document, id) {
            let location = Location::from_span(source, reference.span);
            let pointer = format!("{}/Properties/TaskDefinitionArn", resource.pointer);
            findings.extend(problems(document, id).into_iter().map(|(message, hint)| {
                let finding = TARGET.error(location.clone(), message, hint);
                finding.with_pointer(pointer.clone())
            }));
        }
    }
    findings
}

/// Returns what a task definition lacks for Express Mode, and what to do.
fn problems(document: &Document, id: &str) -> Vec<(String, &'static str)> {
    let DocumentKind::Definition(located) = &document.kind else {
        return Vec::new();
    };
    let is_unknown = |pointer: &str| {
        document
            .unknown_values()
            .any(|unknown| unknown.starts_with(pointer))
    };
    let definition = &located.definition;
    let mut problems = Vec::new();
    if !definition.is_fargate() && !is_unknown("/requiresCompatibilities") {
        let message = format!("Express Mode runs tasks on Fargate, and `{id}` is not for FARGATE");
        problems.push((message, "add FARGATE to `RequiresCompatibilities`"));
    }

    // A parameter or a macro may add what is missing.
    if is_unknown("/containerDefinitions") {
        return problems;
    }

    match definition.container(MAIN) {
        None => {
            let message = format!(
                "Express Mode sends requests to the container `{MAIN}`, which `{id}` does not have"
            );
            problems.push((
                message,
                "rename the container that gets the requests to `Main`",
            ));
        }
        Some(main) => {
            let is_tcp = |protocol: Option<&str>| protocol.is_none_or(|protocol| protocol == "tcp");
            let fits = matches!(main.port_mappings.as_slice(), [port]
                if port.container_port.is_some() && port.name.is_some() && is_tcp(port.protocol.as_deref()));
            if !fits {
                let message = format!(
                    "Express Mode needs exactly one TCP port mapping with a name in `{MAIN}` of `{id}`"
                );
                problems.push((
                    message,
                    "give `Main` one port mapping with `ContainerPort` and `Name`",
                ));
            }
        }
    }
    problems
}
