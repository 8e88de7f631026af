//! What stands between the clients and the tasks: a load balancer of the stack's own, or one that is there.
//!
//! A Network Load Balancer hands connections through, so TLS ends in the task and the outermost hop sees its
//! clients. An Application Load Balancer reads requests: it has a certificate of its own, and speaks TLS again to
//! an outermost hop that wants it (whose certificate it does not check).

use serde_json::{Value, json};

use super::stack::{Stack, attribute, either, is_empty, is_given, nothing, reference};
use super::{network, target_group};
use crate::manifest::LoadBalancer;
use crate::plan::Plan;

/// A load balancer in front of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Balancer {
    Application,
    Network,
}

pub(super) const MADE: &str = "MakesLoadBalancer";
const SHARED: &str = "SharesLoadBalancer";

/// Adds it, and opens the outermost port to it, or to the clients where there is none.
pub(super) fn add(stack: &mut Stack, plan: &Plan) -> Option<Balancer> {
    let public = plan.public()?;
    network::clients(stack);
    let balancer = match plan.load_balancer() {
        LoadBalancer::Application => Balancer::Application,
        LoadBalancer::Network => Balancer::Network,
        LoadBalancer::None => {
            let why = "Clients connect to the outermost hop itself.";
            let clients = ("CidrIp", reference("Clients"));
            network::open(stack, "TaskIngress", public.port(), why, clients);
            return None;
        }
    };

    balancer.parameters(stack, plan);
    target_group::add(balancer, stack, plan);
    balancer.security_groups(stack, plan);
    balancer.load_balancer(stack);
    balancer.listener(stack);
    let address = attribute("LoadBalancer", "DNSName");

    stack.output_if(MADE, "Address", "Where clients connect.", &address);
    Some(balancer)
}

impl Balancer {
    /// The listener that leads to the service: a target group can be used once there is one.
    pub(super) fn leads(self) -> Value {
        match self {
            Self::Application => either(MADE, reference("Listener"), reference("ListenerRule")),
            Self::Network => reference("Listener"),
        }
    }

    /// The parameter that names what is shared.
    fn shared(self) -> &'static str {
        match self {
            Self::Application => "ListenerArn",
            Self::Network => "LoadBalancerArn",
        }
    }

    fn parameters(self, stack: &mut Stack, plan: &Plan) {
        let optional = json!({ "Type": "String", "Default": "" });
        let about = match self {
            Self::Application => "A listener to share; left empty, a load balancer is made.",
            Self::Network => "A load balancer to share; left empty, one is made.",
        };

        stack.parameter(self.shared(), about, optional.clone());
        stack.parameter(
            "SharedSecurityGroup",
            "The security group of the load balancer that is shared.",
            optional.clone(),
        );
        stack.parameter(
            "Scheme",
            "Whether the load balancer that is made is on the internet.",
            json!({
                "Type": "String",
                "Default": "internal",
                "AllowedValues": ["internal", "internet-facing"],
            }),
        );

        stack.parameter(
            "LoadBalancerSubnets",
            "The subnets of the load balancer that is made; left empty, those of the tasks.",
            json!({ "Type": "CommaDelimitedList", "Default": "" }),
        );

        let subnets = json!({ "Fn::Join": ["", reference("LoadBalancerSubnets")] });
        let own_subnets = json!({ "Fn::Not": [{ "Fn::Equals": [subnets, ""] }] });
        stack.condition("HasOwnSubnets", own_subnets);
        stack.condition(MADE, is_empty(self.shared()));

        let must = is_given("SharedSecurityGroup");
        let otherwise = "SharedSecurityGroup must say who may reach the tasks.";
        stack.rule(
            "SharedIsReachable",
            &is_given(self.shared()),
            &must,
            otherwise,
        );

        match self {
            Self::Application => application_parameters(stack, plan),
            Self::Network => {
                let port = if speaks_tls(plan) { 443 } else { 80 };
                stack.parameter(
                    "Port",
                    "The port that clients connect to.",
                    json!({ "Type": "Number", "Default": port, "MinValue": 1, "MaxValue": 65535 }),
                );
            }
        }
    }

    /// Clients reach the load balancer, the load balancer reaches the outermost port, and nothing else.
    fn security_groups(self, stack: &mut Stack, plan: &Plan) {
        let port = plan.public().map_or(0, crate::wire::PublicPort::port);
        let listens = match self {
            Self::Application => either("HasCertificate", json!(443), json!(80)),
            Self::Network => reference("Port"),
        };

        let properties = json!({
            "GroupDescription": format!("Load balancer of {}", plan.name()),
            "VpcId": reference("Vpc"),
            "SecurityGroupIngress": [{
                "Description": "Clients",
                "IpProtocol": "tcp",
                "FromPort": listens,
                "ToPort": listens,
                "CidrIp": reference("Clients"),
            }],
            "SecurityGroupEgress": [{
                "Description": "The outermost hop",
                "IpProtocol": "tcp",
                "FromPort": port,
                "ToPort": port,
                "DestinationSecurityGroupId": attribute(network::TASK_GROUP, "GroupId"),
            }],
        });

        let name = "LoadBalancerSecurityGroup";
        let why = "Clients in, the outermost port of the tasks out.";
        stack.resource(name, "AWS::EC2::SecurityGroup", why, properties);
        stack.attribute(name, "Condition", json!(MADE));

        let why = "The one port that is open, and to the load balancer only.";
        let made = ("SourceSecurityGroupId", attribute(name, "GroupId"));
        network::open(stack, "TaskIngress", port, why, made);
        stack.attribute("TaskIngress", "Condition", json!(MADE));

        let shared = ("SourceSecurityGroupId", reference("SharedSecurityGroup"));
        let why = "The same where the load balancer is shared.";
        network::open(stack, "SharedIngress", port, why, shared);
        stack.condition("HasSharedGroup", is_given("SharedSecurityGroup"));
        stack.attribute("SharedIngress", "Condition", json!("HasSharedGroup"));
    }

    fn load_balancer(self, stack: &mut Stack) {
        let subnets = either(
            "HasOwnSubnets",
            reference("LoadBalancerSubnets"),
            reference("Subnets"),
        );
        let mut properties = json!({
            "Type": match self { Self::Application => "application", Self::Network => "network" },
            "Scheme": reference("Scheme"),
            "Subnets": subnets,
            "SecurityGroups": [attribute("LoadBalancerSecurityGroup", "GroupId")],
        });

        let (key, value, why) = match self {
            Self::Application => (
                "routing.http.drop_invalid_header_fields.enabled",
                "true",
                "Made where no listener is shared. Headers that no two servers read alike go no further.",
            ),
            Self::Network => (
                "load_balancing.cross_zone.enabled",
                "true",
                "Made where none is shared. A zone with fewer tasks must not give each of them more to do.",
            ),
        };

        properties["LoadBalancerAttributes"] = json!([{ "Key": key, "Value": value }]);
        let kind = "AWS::ElasticLoadBalancingV2::LoadBalancer";
        stack.resource("LoadBalancer", kind, why, properties);
        stack.attribute("LoadBalancer", "Condition", json!(MADE));
    }

    fn listener(self, stack: &mut Stack) {
        let forward = json!([{ "Type": "forward", "TargetGroupArn": reference("TargetGroup") }]);
        let kind = "AWS::ElasticLoadBalancingV2::Listener";
        if self == Self::Network {
            let shared = reference("LoadBalancerArn");
            let properties = json!({
                "LoadBalancerArn": either(MADE, reference("LoadBalancer"), shared),
                "Port": reference("Port"),
                "Protocol": "TCP",
                "DefaultActions": forward,
            });

            let why = "Connections go through as they are: TLS ends in the task.";
            return stack.resource("Listener", kind, why, properties);
        }

        let certificates = json!([{ "CertificateArn": reference("CertificateArn") }]);
        let properties = json!({
            "LoadBalancerArn": reference("LoadBalancer"),
            "Port": either("HasCertificate", json!(443), json!(80)),
            "Protocol": either("HasCertificate", json!("HTTPS"), json!("HTTP")),
            "Certificates": either("HasCertificate", certificates, nothing()),
            "SslPolicy": either("HasCertificate", json!(TLS), nothing()),
            "DefaultActions": forward,
        });

        let why = "The clients' TLS ends here, with the load balancer's own certificate.";
        stack.resource("Listener", kind, why, properties);
        stack.attribute("Listener", "Condition", json!(MADE));

        let properties = json!({
            "ListenerArn": reference("ListenerArn"),
            "Priority": reference("ListenerPriority"),
            "Conditions": [{
                "Field": "host-header",
                "HostHeaderConfig": { "Values": reference("Hosts") },
            }],
            "Actions": forward,
        });

        let why = "The part of the shared listener that is for this service.";
        let kind = "AWS::ElasticLoadBalancingV2::ListenerRule";
        stack.resource("ListenerRule", kind, why, properties);
        stack.attribute("ListenerRule", "Condition", json!(SHARED));
    }
}

/// TLS 1.2 and 1.3, forward secrecy only.
const TLS: &str = "ELBSecurityPolicy-TLS13-1-2-2021-06";

fn application_parameters(stack: &mut Stack, plan: &Plan) {
    stack.condition(SHARED, is_given("ListenerArn"));
    stack.condition("HasCertificate", is_given("CertificateArn"));
    stack.parameter(
        "CertificateArn",
        "The certificate in ACM of the load balancer that is made; without it clients speak plain HTTP.",
        json!({ "Type": "String", "Default": "" }),
    );

    if speaks_tls(plan) {
        let must = is_given("CertificateArn");
        let otherwise =
            "An assembly that speaks TLS is not to be reached without: give CertificateArn.";
        stack.rule("TlsAllTheWay", &is_empty("ListenerArn"), &must, otherwise);
    }

    stack.parameter(
        "ListenerPriority",
        "The place of this service among the rules of the listener that is shared.",
        json!({ "Type": "Number", "Default": 100, "MinValue": 1, "MaxValue": 50000 }),
    );

    stack.parameter(
        "Hosts",
        "The host names that the listener that is shared sends here.",
        json!({ "Type": "CommaDelimitedList", "Default": "*" }),
    );
}

pub(super) fn speaks_tls(plan: &Plan) -> bool {
    plan.public()
        .is_some_and(|public| public.interface() == "https")
}
