//! The target group, its load balancer and its listeners.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::check::{Check, CheckGroup, CheckOutcome};
use super::network::{Network, join};
use super::reader::{Answer, Reader, join_all};
use super::request::{PublicEndpoint, VerifyRequest};
use super::{items, text};
use crate::api::{Api, Operation};

/// What forwards requests to the tasks.
#[derive(Debug)]
pub(super) struct Balancer {
    target_group: Answer,
    /// The load balancers of the target group or the listener.
    pub(super) balancers: Answer,
    /// The listener of the values, or all of the load balancer.
    pub(super) listeners: Answer,
    /// The certificates of the values and of the listeners, by ARN.
    pub(super) certificates: Vec<(String, Answer)>,
}

impl Balancer {
    pub(super) async fn collect(reader: &Reader<'_, impl Api>, request: &VerifyRequest) -> Self {
        let place = &request.place;
        let target_group = async {
            match &place.target_group {
                Some(arn) => {
                    let body = json!({ "TargetGroupArns": [arn] });
                    reader.ask(Operation::DescribeTargetGroups, body).await
                }
                None => Answer::not_asked("the values have no `target_group_arn`"),
            }
        };

        let listeners = async {
            match &place.listener {
                Some(arn) => {
                    let body = json!({ "ListenerArns": [arn] });
                    reader.ask(Operation::DescribeListeners, body).await
                }
                None => Answer::not_asked("the values have no `listener_arn`"),
            }
        };

        let own = async {
            match &place.certificate {
                Some(arn) => describe_certificates(reader, request, [arn.clone()]).await,
                None => Vec::new(),
            }
        };

        let (target_group, listeners, mut certificates) =
            tokio::join!(target_group, listeners, own);

        // A second round: only the target group and the listener know their load balancer.
        let arns = balancer_arns(&target_group, &listeners);
        let (balancers, listeners) = tokio::join!(
            describe_balancers(reader, &arns),
            complete_listeners(reader, &arns, listeners)
        );

        // A third round: only the listeners know the certificates that they use.
        let others = certificate_arns(&listeners)
            .into_iter()
            .filter(|arn| Some(arn) != place.certificate.as_ref());
        certificates.extend(describe_certificates(reader, request, others).await);
        Self {
            target_group,
            balancers,
            listeners,
            certificates,
        }
    }

    /// Returns the checks of the target group.
    pub(super) fn checks(&self, request: &VerifyRequest, network: &Network) -> Vec<Check> {
        let Some(public) = &request.public else {
            return Vec::new();
        };
        let check = |name: &str, outcome| Check::new(CheckGroup::TargetGroup, name, outcome);
        let group = match &self.target_group {
            Answer::Found(response) => &response["TargetGroups"][0],
            Answer::Missing(message) => {
                let fix = "correct `target_group_arn` in the values, or the region";
                let outcome = CheckOutcome::fail(message.clone(), fix);
                return vec![check("target group", outcome)];
            }
            Answer::Unknown(unknown) => return vec![check("target group", unknown.into())],
        };

        vec![
            check("target type", target_type(group)),
            check("protocol", protocol(group, public)),
            check("VPC of the target group", vpc(group, network)),
            check("health check", health_check(group, public)),
            check("attached", check_attachment(group)),
        ]
    }

    /// Returns the security groups of the load balancers.
    pub(super) fn groups(&self) -> BTreeSet<&str> {
        items(&self.balancers.value()["LoadBalancers"])
            .flat_map(|balancer| items(&balancer["SecurityGroups"]))
            .filter_map(Value::as_str)
            .collect()
    }
}

/// Fargate tasks register their own addresses; there is no instance that "instance" could register.
fn target_type(group: &Value) -> CheckOutcome {
    match text(group, "TargetType") {
        "ip" => CheckOutcome::ok("ip"),
        other => CheckOutcome::fail(
            format!("its type is {other}, and tasks of Fargate register addresses"),
            "create a target group of type ip; the type cannot be changed",
        ),
    }
}

fn protocol(group: &Value, public: &PublicEndpoint) -> CheckOutcome {
    // The protocol between load balancer and task, not the one of clients.
    let found = text(group, "Protocol");
    let (container, port) = (&public.container, public.port);
    if !public.protocols.iter().any(|protocol| protocol == found) {
        let wanted = public.protocols.join(" or ");
        return CheckOutcome::fail(
            format!("its protocol is {found}, and {container} serves {wanted} on port {port}"),
            format!("create a target group with the protocol {wanted}; it cannot be changed"),
        );
    }
    // ECS registers each task with the port of the container, so the port of the group has no effect.
    CheckOutcome::ok(format!("{found} to port {port} of {container}"))
}

fn vpc(group: &Value, network: &Network) -> CheckOutcome {
    let found = text(group, "VpcId");
    match &network.vpc {
        Some(vpc) if vpc != found => CheckOutcome::fail(
            format!("it is in {found}, and the subnets are in {vpc}"),
            format!("create a target group in {vpc}, or pass subnets of {found}"),
        ),
        Some(vpc) => CheckOutcome::ok(vpc.as_str()),
        None => CheckOutcome::skip("the VPC of the tasks is not known"),
    }
}

fn health_check(group: &Value, public: &PublicEndpoint) -> CheckOutcome {
    if group["HealthCheckEnabled"] == "false" {
        return CheckOutcome::fail(
            "its health check is disabled",
            "enable it: only healthy targets get requests",
        );
    }

    let port = text(group, "HealthCheckPort");
    if !matches!(port, "" | "traffic-port") && port != public.port.to_string() {
        return CheckOutcome::fail(
            format!(
                "it checks port {port}, and {} listens on {}",
                public.container, public.port
            ),
            "set the port of the health check to traffic-port",
        );
    }

    // A check over TCP needs only a listening port; one over HTTP needs the protocol of the container.
    let found = text(group, "HealthCheckProtocol");
    let is_http = matches!(found, "HTTP" | "HTTPS");
    let protocols = &public.protocols;
    let serves_http = protocols
        .iter()
        .any(|protocol| matches!(protocol.as_str(), "HTTP" | "HTTPS"));
    if is_http && serves_http && !protocols.iter().any(|protocol| protocol == found) {
        return CheckOutcome::fail(
            format!(
                "it checks with {found}, and {} serves {}",
                public.container,
                protocols.join(" or ")
            ),
            format!("set the protocol of the health check to {}", protocols[0]),
        );
    }

    let path = text(group, "HealthCheckPath");
    if is_http && !path.starts_with('/') {
        return CheckOutcome::fail(
            format!("its path is `{path}`"),
            "set a path that begins with `/`",
        );
    }

    CheckOutcome::ok(format!("{found} {path}").trim_end())
}

fn check_attachment(group: &Value) -> CheckOutcome {
    let arns: Vec<_> = items(&group["LoadBalancerArns"])
        .filter_map(Value::as_str)
        .collect();
    if arns.is_empty() {
        return CheckOutcome::fail(
            "no listener forwards to it, so ECS refuses to create the service",
            "add a listener or a rule that forwards to the target group",
        );
    }
    CheckOutcome::ok(join(arns))
}

/// Returns the load balancers that forward to the tasks.
fn balancer_arns(target_group: &Answer, listeners: &Answer) -> Vec<String> {
    let group = &target_group.value()["TargetGroups"][0];
    let of_group = items(&group["LoadBalancerArns"]);
    let of_listener =
        items(&listeners.value()["Listeners"]).map(|listener| &listener["LoadBalancerArn"]);
    let arns: BTreeSet<_> = of_group
        .chain(of_listener)
        .filter_map(Value::as_str)
        .collect();
    arns.into_iter().map(str::to_owned).collect()
}

async fn describe_balancers(reader: &Reader<'_, impl Api>, arns: &[String]) -> Answer {
    if arns.is_empty() {
        return Answer::not_asked("the load balancer is not known");
    }
    let body = json!({ "LoadBalancerArns": arns });
    reader.ask(Operation::DescribeLoadBalancers, body).await
}

/// Returns the listeners of the load balancer, if the values name none.
async fn complete_listeners(
    reader: &Reader<'_, impl Api>,
    arns: &[String],
    listeners: Answer,
) -> Answer {
    match arns {
        [arn, ..] if !matches!(listeners, Answer::Found(_) | Answer::Missing(_)) => {
            let body = json!({ "LoadBalancerArn": arn });
            reader.ask(Operation::DescribeListeners, body).await
        }
        _ => listeners,
    }
}

fn certificate_arns(listeners: &Answer) -> BTreeSet<String> {
    items(&listeners.value()["Listeners"])
        .flat_map(|listener| items(&listener["Certificates"]))
        .filter_map(|certificate| certificate["CertificateArn"].as_str())
        // A server certificate of IAM has no such call.
        .filter(|arn| arn.contains(":acm:"))
        .map(str::to_owned)
        .collect()
}

async fn describe_certificates(
    reader: &Reader<'_, impl Api>,
    request: &VerifyRequest,
    arns: impl IntoIterator<Item = String>,
) -> Vec<(String, Answer)> {
    let answers = arns.into_iter().map(async |arn| {
        // The check reports certificates of other regions, which this endpoint does not know.
        if arn.split(':').nth(3) != Some(&request.region) {
            return (arn, Answer::not_asked("in another region"));
        }
        let body = json!({ "CertificateArn": arn });
        let answer = reader.ask(Operation::DescribeCertificate, body).await;
        (arn, answer)
    });
    join_all(answers).await
}
