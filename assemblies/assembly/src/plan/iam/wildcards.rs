//! Reports statements of components that allow more than they need.

use diagnostics::Finding;

use super::Statement;
use crate::component::Component;
use crate::rules;

/// Reports wildcards in a statement derived from a component's permission.
pub(super) fn check(component: &Component, index: usize, statement: &Statement) -> Vec<Finding> {
    let (name, actions) = (component.name(), &statement.actions);
    let wildcard_action = actions.iter().find(|action| action.contains('*'));
    let mut findings = Vec::new();

    if let Some(action) = wildcard_action {
        let location = component.location(&format!("/permissions/{index}/actions"));
        findings.push(rules::m35_wildcard_action::wildcard_action(
            location, name, action,
        ));
    }

    let action = actions.iter().find(|action| supports_resources(action));
    let wildcard = statement
        .resources
        .iter()
        .find(|resource| is_wildcard(resource));
    if let (Some(action), Some(resource)) = (action, wildcard) {
        let location = component.location(&format!("/permissions/{index}/resources"));
        // Reported once per statement: one narrower resource list fixes all its actions.
        findings.push(rules::m34_wildcard_resource::wildcard_resource(
            location, name, action, resource,
        ));
    }

    findings
}

/// Returns whether a resource is `*`, or an ARN that ends in `:*` without any name: `arn:aws:s3:::*`.
fn is_wildcard(resource: &str) -> bool {
    // An ARN has five fields before the resource: arn:partition:service:region:account:resource.
    resource == "*" || resource.splitn(6, ':').nth(5) == Some("*")
}

/// Returns whether an action supports resource-level permissions, as far as the table shows.
fn supports_resources(action: &str) -> bool {
    let action = action.to_ascii_lowercase();
    let Some((service, verb)) = action.split_once(':') else {
        // `*` alone is reported as M35; naming a resource would not narrow it much.
        return false;
    };
    actions_without_resource(service)
        .is_some_and(|mut actions| !actions.any(|action| action == verb))
}

/// Returns a service's actions without resource-level permissions, or `None` for an unknown service.
fn actions_without_resource(service: &str) -> Option<impl Iterator<Item = &'static str>> {
    let mut lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    let line = lines.find_map(|line| line.strip_prefix(service)?.strip_prefix(':'))?;
    Some(line.split_whitespace())
}

const TABLE: &str = include_str!("../../../data/actions-without-resource.txt");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinguishes_actions_with_resource_level_permissions() {
        assert!(supports_resources("s3:GetObject"));
        assert!(supports_resources("SQS:SendMessage"));
        assert!(!supports_resources("ecr:GetAuthorizationToken"));
        assert!(!supports_resources("ssmmessages:OpenDataChannel"));
        // Without a row in the table nothing is reported, rather than guessed.
        assert!(!supports_resources("no-such-service:Anything"));
    }

    #[test]
    fn recognizes_wildcard_resources() {
        assert!(is_wildcard("*"));
        assert!(is_wildcard("arn:aws:s3:::*"));
        assert!(!is_wildcard("arn:aws:s3:::videos/*"));
        assert!(!is_wildcard(
            "arn:aws:sqs:eu-central-1:111122223333:videos-*"
        ));
    }
}
