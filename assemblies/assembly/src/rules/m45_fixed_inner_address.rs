//! M45: program behind a proxy listens on all addresses.

use diagnostics::{Finding, Location, Severity};

use super::{Failing, MANIFEST, Rule};

/// The description of M45.
pub(crate) const RULE: Rule = Rule {
    id: "M45",
    name: "fixed-inner-address",
    severity: Severity::Warning,
    title: "program behind a proxy listens on all addresses",
    explanation: "A component without a setting for its listen address is taken to listen on all addresses. On Fargate every open port is reachable at the address of the task, so clients that the security group admits can bypass the proxy in front of it. Most programs have an option or a variable for the address; name it in `provides`, and the assembler sets 127.0.0.1.",
    source: "ECS developer guide: Amazon ECS task networking options for Fargate",
    hint: "name the setting for the listen address in component.yaml",
    passing: "\
name: shop
app: web
ingress: [auth]
settings: { auth: { issuer: 'https://issuer.example/' } }
service: {}
",
    // The image always listens on port 3000 of all addresses.
    failing: Failing::Change("app: web", "app: legacy"),
    suppressible: true,
    guard: true,
    ..MANIFEST
};

/// Reports a program that can be reached without the proxy in front of it.
pub(crate) fn fixed_inner_address(
    location: Location,
    name: &str,
    port: u16,
    proxy: &str,
    interface: &str,
) -> Finding {
    RULE.finding(
        location,
        format!(
            "`{name}` listens on port {port} of all addresses, where clients can bypass `{proxy}`"
        ),
        format!(
            "name the setting for its listen address as `provides.{interface}.setting` in component.yaml, so that it listens on 127.0.0.1; if the security group admits the port of the outermost hop only, suppress the finding with that reason"
        ),
    )
}
