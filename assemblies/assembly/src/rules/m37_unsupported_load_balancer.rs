//! M37: load balancer does not support this setting.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M37.
pub(crate) const RULE: Rule = Rule {
    id: "M37",
    name: "unsupported-load-balancer",
    title: "load balancer does not support this setting",
    explanation: "Only an Application Load Balancer counts requests; a Network Load Balancer handles connections. A load balancer also needs a port to forward to.",
    source: "Application Auto Scaling: ALBRequestCountPerTarget",
    hint: "choose a load balancer that supports it, or another target",
    passing: "\
name: shop
app: web
service: { max: 4, load_balancer: application, target: { requests_per_task: 600 } }
",
    // A Network Load Balancer does not count requests.
    failing: Failing::Document(
        "\
name: shop
app: web
service: { max: 4, load_balancer: network, target: { requests_per_task: 600 } }
",
    ),
    ..MANIFEST
};

/// Reports a request target without an Application Load Balancer.
pub(crate) fn no_request_metric(location: Location) -> Finding {
    RULE.finding(
        location,
        "only an Application Load Balancer counts requests, and there is none",
        "write `load_balancer: application`, or use `cpu` as the target",
    )
}

/// Reports a load balancer without a port to forward to.
pub(crate) fn no_port(location: Location, app: &str) -> Finding {
    RULE.finding(
        location,
        format!("`{app}` provides no port that a load balancer can forward to"),
        "write `load_balancer: none`, or add a hop that provides a port",
    )
}
