//! Checks how the resources of a template refer to each other: services, target groups and listeners.

use std::collections::{BTreeMap, BTreeSet};

use diagnostics::source::{Node, NodeValue, Source};
use diagnostics::{Finding, Location};

use crate::rules::rule;

use super::detect::SERVICE;
use super::evaluate::{Evaluator, Resolved, function};
use super::for_each::Resource;

/// Checks the resources of a template that exist under an assignment.
pub(super) fn check_stack(
    source: &Source,
    resources: &[Resource],
    evaluator: &mut Evaluator<'_>,
) -> Vec<Finding> {
    let stack = Stack::new(resources);
    let mut findings = Vec::new();
    for resource in resources
        .iter()
        .filter(|resource| kind(resource) == SERVICE)
    {
        for node in target_groups(resource) {
            // A target group of another stack has its listener there.
            let Some(group) = find_reference(node).and_then(|name| stack.resource(name)) else {
                continue;
            };
            findings.extend(check_order(source, resource, group, &stack));
            if has_awsvpc(resource, evaluator) {
                findings.extend(check_target_type(source, group, evaluator));
            }
        }
    }
    findings
}

/// The resources of a template and what each refers to.
struct Stack<'r> {
    resources: &'r [Resource],
    references: BTreeMap<&'r str, BTreeSet<&'r str>>,
}

impl<'r> Stack<'r> {
    fn new(resources: &'r [Resource]) -> Self {
        let references = resources.iter().map(|resource| {
            let mut names = BTreeSet::new();
            collect_references(&resource.node, &mut names);
            (resource.id.as_str(), names)
        });
        Self {
            resources,
            references: references.collect(),
        }
    }

    fn resource(&self, id: &str) -> Option<&'r Resource> {
        self.resources.iter().find(|resource| resource.id == id)
    }

    fn refers(&self, from: &str, to: &str) -> bool {
        self.references
            .get(from)
            .is_some_and(|names| names.contains(to))
    }

    /// Returns whether a resource is created after another one, because it refers to it directly or indirectly.
    fn is_after(&self, from: &str, to: &str) -> bool {
        let mut seen = BTreeSet::new();
        let mut next = vec![from];
        while let Some(name) = next.pop() {
            if !seen.insert(name) {
                continue;
            }
            if self.refers(name, to) {
                return true;
            }
            next.extend(self.references.get(name).into_iter().flatten());
        }
        false
    }
}

/// Reports a service that may be created before any listener forwards to its target group.
fn check_order(
    source: &Source,
    service: &Resource,
    group: &Resource,
    stack: &Stack<'_>,
) -> Option<Finding> {
    let mut listeners = stack.resources.iter().filter(|resource| {
        matches!(kind(resource), LISTENER | LISTENER_RULE) && stack.refers(&resource.id, &group.id)
    });
    let first = listeners.clone().next()?;
    if listeners.any(|listener| stack.is_after(&service.id, &listener.id)) {
        return None;
    }

    let message = format!(
        "`{}` may be created before `{}` attaches its target group `{}` to a load balancer",
        service.id, first.id, group.id
    );
    let hint = format!("add DependsOn: {} to `{}`", first.id, service.id);
    let location = Location::from_span(source, service.span);
    let finding = rule("Q26")?.finding(location, message, hint);
    Some(finding.with_pointer(service.pointer.clone()))
}

/// Reports a target group that registers instances, where tasks have addresses of their own.
fn check_target_type(
    source: &Source,
    group: &Resource,
    evaluator: &mut Evaluator<'_>,
) -> Option<Finding> {
    let properties = group.node.get("Properties");
    let node = properties.and_then(|properties| properties.get("TargetType"));
    let pointer = format!("{}/Properties/TargetType", group.pointer);
    let (value, span) = match node {
        // CloudFormation's default.
        None => ("instance".to_owned(), group.span),
        Some(node) => match evaluator.resolve(node, &pointer) {
            Resolved::Known { node: known, .. } => (known.text()?.to_owned(), node.span),
            Resolved::NoValue => ("instance".to_owned(), node.span),
            Resolved::Unknown(_) => return None,
        },
    };
    if value != "instance" {
        return None;
    }

    let message = match node {
        Some(_) => format!("the target group `{}` registers instances", group.id),
        None => format!(
            "the target group `{}` registers instances, the default of TargetType",
            group.id
        ),
    };
    let location = Location::from_span(source, span);
    let finding = rule("Q27")?.finding(location, message, "write TargetType: ip");
    Some(finding.with_pointer(pointer))
}

/// Returns whether the tasks of a service have a network interface of their own.
fn has_awsvpc(service: &Resource, evaluator: &mut Evaluator<'_>) -> bool {
    let Some(properties) = service.node.get("Properties") else {
        return false;
    };
    let launch_type = properties.get("LaunchType").map(|node| {
        let pointer = format!("{}/Properties/LaunchType", service.pointer);
        evaluator.resolve(node, &pointer)
    });
    let is_fargate =
        matches!(launch_type, Some(Resolved::Known { node, .. }) if node.text() == Some("FARGATE"));
    let network = properties.get("NetworkConfiguration");
    is_fargate || network.is_some_and(|node| node.get("AwsvpcConfiguration").is_some())
}

/// Returns the target groups of a service.
fn target_groups(service: &Resource) -> impl Iterator<Item = &Node> {
    let properties = service.node.get("Properties");
    let list = properties.and_then(|properties| properties.get("LoadBalancers"));
    let items = list.map_or(&[][..], Node::items).iter();
    items.filter_map(|item| item.get("TargetGroupArn"))
}

/// Returns the resource that a value refers to with `Ref`, or with `Fn::GetAtt`.
fn find_reference(node: &Node) -> Option<&str> {
    match function(node)? {
        ("Ref", argument) => argument.text(),
        ("Fn::GetAtt", argument) => first_part(argument),
        _ => None,
    }
}

fn kind(resource: &Resource) -> &str {
    let kind = resource.node.get("Type").and_then(Node::text);
    kind.unwrap_or_default()
}

/// Collects the names of the resources that a resource needs: those in functions and in `DependsOn`.
fn collect_references<'n>(node: &'n Node, names: &mut BTreeSet<&'n str>) {
    match function(node) {
        Some(("Ref", argument)) => names.extend(argument.text()),
        Some(("Fn::GetAtt", argument)) => names.extend(first_part(argument)),
        Some(("Fn::Sub", argument)) => {
            let text = argument
                .text()
                .or_else(|| argument.items().first().and_then(Node::text));
            names.extend(text.into_iter().flat_map(substituted_names));
        }
        _ => {}
    }
    if let Some(depends) = node.get("DependsOn") {
        names.extend(depends.text());
        names.extend(depends.items().iter().filter_map(Node::text));
    }

    match &node.value {
        NodeValue::Map(entries) => {
            for (_, value) in entries {
                collect_references(value, names);
            }
        }
        NodeValue::List(items) => {
            for item in items {
                collect_references(item, names);
            }
        }
        _ => {}
    }
}

/// Returns the resource of `Fn::GetAtt`: `Group.TargetGroupArn`, or a list of both parts.
fn first_part(argument: &Node) -> Option<&str> {
    let text = argument
        .text()
        .or_else(|| argument.items().first().and_then(Node::text))?;
    text.split('.').next()
}

/// Returns the names in `${…}` of a text, without attributes.
fn substituted_names(text: &str) -> impl Iterator<Item = &str> {
    text.split("${").skip(1).filter_map(|rest| {
        let (name, _) = rest.split_once('}')?;
        name.split('.').next()
    })
}

const LISTENER: &str = "AWS::ElasticLoadBalancingV2::Listener";
const LISTENER_RULE: &str = "AWS::ElasticLoadBalancingV2::ListenerRule";
