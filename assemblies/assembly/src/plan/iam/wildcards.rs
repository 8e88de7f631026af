//! Statements that allow more than they need to.

use task_definition::Finding;

use super::Statement;
use crate::component::Component;
use crate::rules;

/// What is too wildcards in a statement that a component's permission led to.
pub(super) fn check(component: &Component, index: usize, statement: &Statement) -> Vec<Finding> {
    let (name, actions) = (component.name(), &statement.actions);
    let open = actions.iter().find(|action| action.contains('*'));
    let mut findings = Vec::new();

    if let Some(action) = open {
        let place = component.place(&format!("/permissions/{index}/actions"));
        findings.push(rules::m35_wildcard_action::wildcard_action(
            place, name, action,
        ));
    }

    let narrower = actions.iter().find(|action| knows_resources(action));
    let everything = statement.resources.iter().find(|one| is_everything(one));
    if let (Some(action), Some(resource)) = (narrower, everything) {
        let place = component.place(&format!("/permissions/{index}/resources"));
        findings.push(rules::m34_wildcard_resource::wildcard_resource(
            place, name, action, resource,
        ));
    }

    findings
}

/// `*`, and ARNs whose last part is nothing else: `arn:aws:s3:::*`.
fn is_everything(resource: &str) -> bool {
    resource == "*" || resource.splitn(6, ':').nth(5) == Some("*")
}

/// Whether an action is known to be about a resource that could be named.
fn knows_resources(action: &str) -> bool {
    let action = action.to_ascii_lowercase();
    let Some((service, verb)) = action.split_once(':') else {
        // `*` alone: no resource makes it narrower than it sounds, and M35 says so.
        return false;
    };
    let without = without_resource(service);
    without.is_some_and(|mut without| !without.any(|one| one == verb))
}

/// The actions of a service that know no resource; nothing where the service is not in the table.
fn without_resource(service: &str) -> Option<impl Iterator<Item = &'static str>> {
    let mut lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    let line = lines.find_map(|line| line.strip_prefix(service)?.strip_prefix(':'))?;
    Some(line.split_whitespace())
}

const TABLE: &str = include_str!("../../../data/actions-without-resource.txt");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_which_actions_could_be_narrower() {
        assert!(knows_resources("s3:GetObject"));
        assert!(knows_resources("SQS:SendMessage"));
        assert!(!knows_resources("ecr:GetAuthorizationToken"));
        assert!(!knows_resources("ssmmessages:OpenDataChannel"));
        assert!(!knows_resources("no-such-service:Anything"));
    }

    #[test]
    fn knows_what_everything_looks_like() {
        assert!(is_everything("*"));
        assert!(is_everything("arn:aws:s3:::*"));
        assert!(!is_everything("arn:aws:s3:::films/*"));
        assert!(!is_everything(
            "arn:aws:sqs:eu-central-1:111122223333:films-*"
        ));
    }
}
