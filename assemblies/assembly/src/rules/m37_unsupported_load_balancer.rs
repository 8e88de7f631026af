//! M37: the load balancer cannot do what is asked of it.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M37",
    title: "the load balancer cannot do what is asked of it",
    explanation: "Requests are counted by an Application Load Balancer only; a Network Load Balancer sees connections. And a load balancer needs a port to lead to.",
    source: "Application Auto Scaling: ALBRequestCountPerTarget",
    hint: "choose the load balancer that can, or another target",
    passing: "\
name: shop
app: web
service: { max: 4, load_balancer: application, target: { requests_per_task: 600 } }
",
    failing: "\
name: shop
app: web
service: { max: 4, load_balancer: network, target: { requests_per_task: 600 } }
",
};

/// Requests are to be counted where nobody reads them.
pub(crate) fn no_request_metric(place: Place) -> Finding {
    RULE.error(
        place,
        "only an Application Load Balancer counts requests, and there is none",
        "write `load_balancer: application`, or keep `cpu` steady instead",
    )
}

/// A load balancer in front of nothing.
pub(crate) fn no_port(place: Place, app: &str) -> Finding {
    RULE.error(
        place,
        format!("`{app}` offers nothing that a load balancer could lead to"),
        "write `load_balancer: none`, or add a hop that offers something",
    )
}
