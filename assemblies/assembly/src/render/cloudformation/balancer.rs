//! The load balancer of a service: created by the stack, or an existing one.
//!
//! A Network Load Balancer passes connections through, so TLS ends in the task and the outermost hop sees the
//! clients' addresses. An Application Load Balancer reads requests: it has its own certificate, and opens a
//! second TLS connection to an outermost hop that serves HTTPS. It does not verify that hop's certificate.

use serde_json::{Value, json};

use super::stack::{Stack, attribute, if_else, is_empty, is_set, no_value, reference};
use super::{network, target_group};
use crate::manifest::LoadBalancer;
use crate::plan::Plan;

/// A load balancer in front of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Balancer {
    Application,
    Network,
}

pub(super) const CREATED: &str = "MakesLoadBalancer";
const SHARED: &str = "SharesLoadBalancer";

/// Adds the load balancer and opens the outermost port to it, or to the clients if there is none.
pub(super) fn add(stack: &mut Stack, plan: &Plan) -> Option<Balancer> {
    let public = plan.public()?;
    network::add_clients(stack);
    // The order matters below: the listener refers to the load balancer and the target group.
    let balancer = match plan.load_balancer() {
        LoadBalancer::Application => Balancer::Application,
        LoadBalancer::Network => Balancer::Network,
        LoadBalancer::None => {
            let why = "Clients connect directly to the outermost hop.";
            let clients = ("CidrIp", reference("Clients"));
            network::add_ingress(stack, "TaskIngress", public.port(), why, clients);
            return None;
        }
    };

    balancer.parameters(stack, plan);
    target_group::add(balancer, stack, plan);
    balancer.security_groups(stack, plan);
    balancer.load_balancer(stack);
    balancer.listener(stack);
    let address = attribute("LoadBalancer", "DNSName");

    stack.output_if(CREATED, "Address", "Where clients connect.", &address);
    Some(balancer)
}

impl Balancer {
    /// Returns a reference to the listener that forwards to the service.
    ///
    /// A service can use the target group only once a listener uses it.
    pub(super) fn listener_reference(self) -> Value {
        match self {
            Self::Application => if_else(CREATED, reference("Listener"), reference("ListenerRule")),
            Self::Network => reference("Listener"),
        }
    }

    /// Returns the parameter that names the shared listener or load balancer.
    fn shared_parameter(self) -> &'static str {
        match self {
            Self::Application => "ListenerArn",
            Self::Network => "LoadBalancerArn",
        }
    }

    fn parameters(self, stack: &mut Stack, plan: &Plan) {
        let optional = json!({ "Type": "String", "Default": "" });
        let about = match self {
            Self::Application => {
                "The ARN of a listener to share; if empty, a load balancer is created."
            }
            Self::Network => "The ARN of a load balancer to share; if empty, one is created.",
        };

        stack.parameter(self.shared_parameter(), about, optional.clone());
        stack.parameter(
            "SharedSecurityGroup",
            "The security group of the shared load balancer.",
            optional.clone(),
        );
        stack.parameter(
            "Scheme",
            "Whether the created load balancer is internet-facing.",
            json!({
                "Type": "String",
                "Default": "internal",
                "AllowedValues": ["internal", "internet-facing"],
            }),
        );

        stack.parameter(
            "LoadBalancerSubnets",
            "The subnets of the created load balancer; if empty, those of the tasks.",
            json!({ "Type": "CommaDelimitedList", "Default": "" }),
        );

        // A list parameter cannot be compared with "", so the condition joins it first.
        let subnets = json!({ "Fn::Join": ["", reference("LoadBalancerSubnets")] });
        let own_subnets = json!({ "Fn::Not": [{ "Fn::Equals": [subnets, ""] }] });
        stack.condition("HasOwnSubnets", own_subnets);
        stack.condition(CREATED, is_empty(self.shared_parameter()));

        let assertion = is_set("SharedSecurityGroup");
        let message =
            "Set SharedSecurityGroup: without it the shared load balancer cannot reach the tasks.";
        stack.rule(
            "SharedIsReachable",
            &is_set(self.shared_parameter()),
            &assertion,
            message,
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

    /// Adds the security groups: clients to the load balancer, the load balancer to the outermost port.
    fn security_groups(self, stack: &mut Stack, plan: &Plan) {
        let port = plan.public().map_or(0, crate::wire::PublicPort::port);
        let listener_port = match self {
            Self::Application => if_else("HasCertificate", json!(443), json!(80)),
            Self::Network => reference("Port"),
        };

        // Egress is restricted as well: by default a security group allows all outgoing traffic.
        let properties = json!({
            "GroupDescription": format!("Load balancer of {}", plan.name()),
            "VpcId": reference("Vpc"),
            "SecurityGroupIngress": [{
                "Description": "Clients",
                "IpProtocol": "tcp",
                "FromPort": listener_port,
                "ToPort": listener_port,
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
        stack.attribute(name, "Condition", json!(CREATED));

        let why = "The only open port, and only to the load balancer.";
        let created = ("SourceSecurityGroupId", attribute(name, "GroupId"));
        network::add_ingress(stack, "TaskIngress", port, why, created);
        stack.attribute("TaskIngress", "Condition", json!(CREATED));

        let shared = ("SourceSecurityGroupId", reference("SharedSecurityGroup"));
        let why = "The same for a shared load balancer.";
        network::add_ingress(stack, "SharedIngress", port, why, shared);
        stack.condition("HasSharedGroup", is_set("SharedSecurityGroup"));
        stack.attribute("SharedIngress", "Condition", json!("HasSharedGroup"));
    }

    fn load_balancer(self, stack: &mut Stack) {
        // An internet-facing load balancer needs public subnets, while tasks are usually in private ones.
        let subnets = if_else(
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
                "Created if no listener is shared. It drops invalid headers, which servers interpret differently.",
            ),
            Self::Network => (
                "load_balancing.cross_zone.enabled",
                "true",
                "Created if none is shared. Cross-zone balancing evens out the load if a zone has fewer tasks.",
            ),
        };

        properties["LoadBalancerAttributes"] = json!([{ "Key": key, "Value": value }]);
        let kind = "AWS::ElasticLoadBalancingV2::LoadBalancer";
        stack.resource("LoadBalancer", kind, why, properties);
        stack.attribute("LoadBalancer", "Condition", json!(CREATED));
    }

    fn listener(self, stack: &mut Stack) {
        let forward = json!([{ "Type": "forward", "TargetGroupArn": reference("TargetGroup") }]);
        let kind = "AWS::ElasticLoadBalancingV2::Listener";
        if self == Self::Network {
            let shared = reference("LoadBalancerArn");
            let properties = json!({
                "LoadBalancerArn": if_else(CREATED, reference("LoadBalancer"), shared),
                "Port": reference("Port"),
                "Protocol": "TCP",
                "DefaultActions": forward,
            });

            let why = "Connections pass through unchanged: TLS ends in the task.";
            return stack.resource("Listener", kind, why, properties);
        }

        // Without a certificate the listener is plain HTTP on port 80.
        let certificates = json!([{ "CertificateArn": reference("CertificateArn") }]);
        let properties = json!({
            "LoadBalancerArn": reference("LoadBalancer"),
            "Port": if_else("HasCertificate", json!(443), json!(80)),
            "Protocol": if_else("HasCertificate", json!("HTTPS"), json!("HTTP")),
            "Certificates": if_else("HasCertificate", certificates, no_value()),
            "SslPolicy": if_else("HasCertificate", json!(TLS), no_value()),
            "DefaultActions": forward,
        });

        let why = "The clients' TLS ends here, with the load balancer's certificate.";
        stack.resource("Listener", kind, why, properties);
        stack.attribute("Listener", "Condition", json!(CREATED));

        let properties = json!({
            "ListenerArn": reference("ListenerArn"),
            "Priority": reference("ListenerPriority"),
            "Conditions": [{
                "Field": "host-header",
                "HostHeaderConfig": { "Values": reference("Hosts") },
            }],
            "Actions": forward,
        });

        let why = "The rule of the shared listener that forwards to this service.";
        let kind = "AWS::ElasticLoadBalancingV2::ListenerRule";
        stack.resource("ListenerRule", kind, why, properties);
        stack.attribute("ListenerRule", "Condition", json!(SHARED));
    }
}

/// TLS 1.2 and 1.3, forward secrecy only.
const TLS: &str = "ELBSecurityPolicy-TLS13-1-2-2021-06";

fn application_parameters(stack: &mut Stack, plan: &Plan) {
    stack.condition(SHARED, is_set("ListenerArn"));
    stack.condition("HasCertificate", is_set("CertificateArn"));
    stack.parameter(
        "CertificateArn",
        "The ACM certificate of the created load balancer; if empty, it serves plain HTTP.",
        json!({ "Type": "String", "Default": "" }),
    );

    if speaks_tls(plan) {
        // The user put TLS in front of the app; plain HTTP to the load balancer would undo that unnoticed.
        let assertion = is_set("CertificateArn");
        let message =
            "The outermost hop serves HTTPS, so the load balancer must too: set CertificateArn.";
        stack.rule(
            "TlsAllTheWay",
            &is_empty("ListenerArn"),
            &assertion,
            message,
        );
    }

    stack.parameter(
        "ListenerPriority",
        "The priority of this service's rule on the shared listener.",
        json!({ "Type": "Number", "Default": 100, "MinValue": 1, "MaxValue": 50000 }),
    );

    stack.parameter(
        "Hosts",
        "The host names that the shared listener forwards to this service.",
        json!({ "Type": "CommaDelimitedList", "Default": "*" }),
    );
}

pub(super) fn speaks_tls(plan: &Plan) -> bool {
    plan.public()
        .is_some_and(|public| public.interface() == "https")
}
