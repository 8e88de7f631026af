//! M34: a permission is for every resource there is.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M34",
    title: "a permission is for every resource there is",
    explanation: "A program that is taken over can do all that its role may do. Where an action knows resources, naming them costs a line and keeps the rest of the account out of reach. Actions that know none, as `ecr:GetAuthorizationToken`, are allowed to have `*`.",
    source: "IAM user guide: least privilege; the service authorization reference says which actions know resources",
    hint: "name the resource",
    passing: "\
name: shop
app: web
sidecars: [careful]
service: {}
",
    failing: "\
name: shop
app: web
sidecars: [greedy]
service: {}
",
};

/// A resource that stands for all of them.
pub(crate) fn wildcard_resource(place: Place, name: &str, action: &str, resource: &str) -> Finding {
    let message = format!("`{name}` asks for `{action}` on `{resource}`, which is everything");
    let hint = "name the resource; `${settings.x}` and values can stand in it";
    RULE.warning(place, message, hint)
}
