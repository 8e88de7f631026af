//! The target group of a load balancer: health checks and deregistration of the tasks.

use serde_json::{Value, json};

use super::balancer::{Balancer, CREATED, speaks_tls};
use super::stack::{Stack, attribute, if_else, reference};
use super::task;
use crate::component::AppProtocol;
use crate::plan::{FLUSH_SECONDS, Plan};
use crate::wire::PublicPort;

/// Seconds between two health checks; two passed checks make a target healthy. With AWS's defaults (five
/// checks, 30 seconds apart) a new task would wait for two and a half minutes.
pub(super) const INTERVAL: u32 = 5;

/// Adds the target group with its routing and health check.
pub(super) fn add(balancer: Balancer, stack: &mut Stack, plan: &Plan) {
    let mut properties = json!({
        "TargetType": "ip",
        "VpcId": reference("Vpc"),
        "Port": plan.public().map(PublicPort::port),
        "Protocol": protocol(balancer, plan),
    });

    let mut attributes = vec![(
        "deregistration_delay.timeout_seconds",
        drain(plan).to_string(),
    )];
    let mut health = json!({
        "HealthCheckIntervalSeconds": INTERVAL,
        "HealthCheckTimeoutSeconds": 2,
        "HealthyThresholdCount": 2,
        "UnhealthyThresholdCount": 3,
    });

    match balancer {
        Balancer::Application => {
            attributes.push((
                "load_balancing.algorithm.type",
                "least_outstanding_requests".to_owned(),
            ));

            let version = version(plan);
            properties["ProtocolVersion"] = json!(version);
            health["HealthCheckPath"] = json!("/");

            // A hop that rejects the check for lack of a token is healthy; without an upstream it answers 503.
            health["Matcher"] = match version {
                "GRPC" => json!({ "GrpcCode": "0-99" }),
                _ => json!({ "HttpCode": "200-499" }),
            };
        }
        Balancer::Network => health["HealthCheckProtocol"] = json!("TCP"),
    }

    if let (Some(all), Value::Object(health)) = (properties.as_object_mut(), health) {
        all.extend(health);
    }

    let attributes: Vec<Value> = attributes
        .into_iter()
        .map(|(key, value)| json!({ "Key": key, "Value": value }))
        .collect();

    properties["TargetGroupAttributes"] = json!(attributes);
    let why = "The tasks. A new one gets requests after two passed checks, five seconds apart.";
    let kind = "AWS::ElasticLoadBalancingV2::TargetGroup";
    stack.resource("TargetGroup", kind, why, properties);
    add_comments(balancer, stack);
}

/// Explains the properties whose reason is not obvious.
fn add_comments(balancer: Balancer, stack: &mut Stack) {
    let why = "ECS deregisters a task before it stops it; requests in flight get as long as the outermost hop \
    takes to drain.";
    stack.comment("TargetGroup", "TargetGroupAttributes/0", why);

    if balancer == Balancer::Application {
        let why = "Round robin would send a slow task as many requests as the others.";
        stack.comment("TargetGroup", "TargetGroupAttributes/1", why);
        let why = "Any status but a 5xx is healthy: a hop that requires a token answers 401.";
        stack.comment("TargetGroup", "Matcher", why);
    } else {
        let why = "The check only opens a connection; ECS runs the containers' own health checks.";
        stack.comment("TargetGroup", "HealthCheckProtocol", why);
    }
}

fn protocol(balancer: Balancer, plan: &Plan) -> &'static str {
    match balancer {
        Balancer::Network => "TCP",
        Balancer::Application if speaks_tls(plan) => "HTTPS",
        Balancer::Application => "HTTP",
    }
}

/// Returns the `LoadBalancers` entry of the service.
pub(super) fn registration(plan: &Plan) -> Value {
    let public = plan.public();
    json!({
        "ContainerName": public.map(|public| public.container(plan)),
        "ContainerPort": public.map(PublicPort::port),
        "TargetGroupArn": reference("TargetGroup"),
    })
}

/// Returns the resource label of the request count metric: `app/NAME/ID/targetgroup/NAME/ID`.
pub(super) fn label() -> Value {
    // A listener's ARN ends with `listener/app/NAME/ID/ID`.
    let part = |index: u32| {
        let parts = json!({ "Fn::Split": ["/", reference("ListenerArn")] });
        json!({ "Fn::Select": [index, parts] })
    };
    let shared = json!({ "Fn::Join": ["/", [part(1), part(2), part(3)]] });
    let created = attribute("LoadBalancer", "LoadBalancerFullName");
    let balancer = if_else(CREATED, created, shared);
    let group = attribute("TargetGroup", "TargetGroupFullName");
    json!({ "Fn::Join": ["/", [balancer, group]] })
}

fn version(plan: &Plan) -> &'static str {
    match plan.public().and_then(|public| public.protocol) {
        Some(AppProtocol::Grpc) => "GRPC",
        Some(AppProtocol::Http2) => "HTTP2",
        Some(AppProtocol::Http) | None => "HTTP1",
    }
}

/// Returns the seconds for which a deregistered task still answers requests.
fn drain(plan: &Plan) -> u32 {
    let outermost = plan.public().map(|public| public.container(plan));
    let container = outermost.and_then(|name| plan.definition().container(name));
    let stop = container.and_then(|container| container.stop_timeout);
    stop.unwrap_or(task::STOP_TIMEOUT)
        .saturating_sub(FLUSH_SECONDS)
        .max(1)
}
