//! M34: permission on all resources.

use diagnostics::{Finding, Location, Severity};

use super::{Failing, MANIFEST, Rule};

/// The description of M34.
pub(crate) const RULE: Rule = Rule {
    id: "M34",
    name: "wildcard-resource",
    severity: Severity::Warning,
    title: "permission on all resources",
    explanation: "An attacker in control of the program can do everything that its role allows. Where an action supports resources, naming them keeps the rest of the account out of reach. Actions without resource-level permissions, such as `ecr:GetAuthorizationToken`, may use `*`.",
    source: "IAM user guide: least privilege; the service authorization reference says which actions support resources",
    hint: "name the resource",
    passing: "\
name: shop
app: web
sidecars: [careful]
service: {}
",
    // `greedy` requests an action with resources on `*`.
    failing: Failing::Document(
        "\
name: shop
app: web
sidecars: [greedy]
service: {}
",
    ),
    suppressible: true,
    ..MANIFEST
};

/// Reports a resource that matches all resources.
pub(crate) fn wildcard_resource(
    location: Location,
    name: &str,
    action: &str,
    resource: &str,
) -> Finding {
    let message =
        format!("`{name}` requests `{action}` on `{resource}`, which matches every resource");
    let hint = "name the resource; it may contain `${settings.x}` and values";
    RULE.finding(location, message, hint)
}
