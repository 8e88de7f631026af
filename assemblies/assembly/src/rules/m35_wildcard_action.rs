//! M35: permission with a wildcard action.

use diagnostics::{Finding, Location, Severity};

use super::{Failing, MANIFEST, Rule};

/// The description of M35.
pub(crate) const RULE: Rule = Rule {
    id: "M35",
    name: "wildcard-action",
    severity: Severity::Warning,
    title: "permission with a wildcard action",
    explanation: "`s3:*` includes deleting the bucket, and every action that AWS adds later. A program calls a handful of actions, and its author knows them.",
    source: "IAM user guide: least privilege",
    hint: "name the actions",
    passing: "\
name: shop
app: web
sidecars: [careful]
service: {}
",
    // `lavish` requests an action with `*` in its name.
    failing: Failing::Document(
        "\
name: shop
app: web
sidecars: [lavish]
service: {}
",
    ),
    suppressible: true,
    ..MANIFEST
};

/// Reports an action with a `*` in it.
pub(crate) fn wildcard_action(location: Location, name: &str, action: &str) -> Finding {
    let message =
        format!("`{name}` requests `{action}`, which includes actions that AWS adds later");
    RULE.finding(location, message, "name the actions that the program calls")
}
