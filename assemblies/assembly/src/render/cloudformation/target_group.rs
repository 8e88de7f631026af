//! The tasks as a load balancer sees them: how it asks them whether they are well, and how it lets them go.

use serde_json::{Value, json};

use super::balancer::{Balancer, MADE, speaks_tls};
use super::stack::{Stack, attribute, either, reference};
use super::task;
use crate::component::AppProtocol;
use crate::plan::{LAST_WORDS, Plan};
use crate::wire::PublicPort;

/// Seconds between two checks of a target; two good ones make it healthy. AWS's own five times 30 would keep a new
/// task waiting for two and a half minutes.
pub(super) const INTERVAL: u32 = 5;

/// Who is asked next, and how it is known to be well.
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

            // An answer that refuses a stranger is an answer; 503 is what a hop says whose upstream is away.
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
    let why = "The tasks. Two good checks, five seconds apart, let a new one in.";
    let kind = "AWS::ElasticLoadBalancingV2::TargetGroup";
    stack.resource("TargetGroup", kind, why, properties);

    let why = "ECS takes a task out here first and tells it to stop afterwards; what is in flight gets as long as \
               the outermost hop itself would give it.";
    stack.say("TargetGroup", "TargetGroupAttributes/0", why);

    if balancer == Balancer::Application {
        let why = "Turn by turn keeps the slowest task as busy as the rest.";
        stack.say("TargetGroup", "TargetGroupAttributes/1", why);
        let why =
            "Any answer but a 5xx is a sign of life: a hop that asks for a token answers 401.";
        stack.say("TargetGroup", "Matcher", why);
    } else {
        let why = "A connection is all that is asked for; ECS itself asks the containers whether they are well.";
        stack.say("TargetGroup", "HealthCheckProtocol", why);
    }
}

fn protocol(balancer: Balancer, plan: &Plan) -> &'static str {
    match balancer {
        Balancer::Network => "TCP",
        Balancer::Application if speaks_tls(plan) => "HTTPS",
        Balancer::Application => "HTTP",
    }
}

/// How the service registers its tasks.
pub(super) fn registration(plan: &Plan) -> Value {
    let public = plan.public();
    json!({
        "ContainerName": public.map(|public| public.container(plan)),
        "ContainerPort": public.map(PublicPort::port),
        "TargetGroupArn": reference("TargetGroup"),
    })
}

/// How CloudWatch names the pair whose requests are counted: `app/NAME/ID/targetgroup/NAME/ID`.
pub(super) fn label() -> Value {
    // A listener's ARN ends with `listener/app/NAME/ID/ID`.
    let part = |index: u32| {
        let parts = json!({ "Fn::Split": ["/", reference("ListenerArn")] });
        json!({ "Fn::Select": [index, parts] })
    };
    let shared = json!({ "Fn::Join": ["/", [part(1), part(2), part(3)]] });
    let made = attribute("LoadBalancer", "LoadBalancerFullName");
    let balancer = either(MADE, made, shared);
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

/// Seconds that a task goes on answering after it was taken out.
fn drain(plan: &Plan) -> u32 {
    let outermost = plan.public().map(|public| public.container(plan));
    let container = outermost.and_then(|name| plan.definition().container(name));
    let stop = container.and_then(|container| container.stop_timeout);
    stop.unwrap_or(task::STOP_TIMEOUT)
        .saturating_sub(LAST_WORDS)
        .max(1)
}
