//! M49: program closes connections before the load balancer does.

use diagnostics::{Finding, Location, Severity};

use super::{Failing, MANIFEST, Rule};

/// The description of M49.
pub(crate) const RULE: Rule = Rule {
    id: "M49",
    name: "short-idle-timeout",
    severity: Severity::Warning,
    title: "program closes idle connections before the load balancer does",
    explanation: "An Application Load Balancer keeps connections to its targets for 60 seconds without a request. If the program closes them earlier, or at the same time, the load balancer sends a request on a connection that is being closed, and answers its client with 502. The outermost hop must keep idle connections longer than the load balancer.",
    source: "Elastic Load Balancing user guide: troubleshoot your Application Load Balancers, HTTP 502; connection idle timeout",
    hint: "set `limits.idle_timeout` to more than 60s",
    passing: "\
name: shop
app: web
settings:
  web: { limits.idle_timeout: 2m }
service: { load_balancer: application }
",
    // As long as the load balancer, so the two race.
    failing: Failing::Document(
        "\
name: shop
app: web
settings:
  web: { limits.idle_timeout: 60s }
service: { load_balancer: application }
",
    ),
    suppressible: true,
    ..MANIFEST
};

/// Reports a hop behind an Application Load Balancer that keeps idle connections for `timeout`.
pub(crate) fn short_idle_timeout(location: Location, name: &str, timeout: &str) -> Finding {
    let message = format!(
        "`{name}` closes idle connections after {timeout}, and the load balancer keeps them for 60s"
    );
    let hint = "set `limits.idle_timeout` to more than 60s: `75s`";
    RULE.finding(location, message, hint)
}
