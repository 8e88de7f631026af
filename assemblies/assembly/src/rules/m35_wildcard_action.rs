//! M35: a permission is for actions that nobody named.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M35",
    title: "a permission is for actions that nobody named",
    explanation: "`s3:*` holds deleting the bucket, and whatever AWS thinks of next year. A program calls a handful of actions, and its author knows them.",
    source: "IAM user guide: least privilege",
    hint: "name the actions",
    passing: "\
name: shop
app: web
sidecars: [careful]
service: {}
",
    failing: "\
name: shop
app: web
sidecars: [lavish]
service: {}
",
};

/// An action with a `*` in it.
pub(crate) fn wildcard_action(place: Place, name: &str, action: &str) -> Finding {
    let message = format!("`{name}` asks for `{action}`, and nobody can say what that will be");
    RULE.warning(place, message, "name the actions that are called")
}
