//! The network of the tasks: parameters of every stack, and security groups.

use serde_json::{Value, json};

use super::stack::{Stack, attribute, reference};
use crate::plan::Plan;

/// The logical id of the tasks' security group.
pub(super) const TASK_GROUP: &str = "TaskSecurityGroup";

/// Adds the parameters of every stack.
pub(super) fn add_parameters(stack: &mut Stack, plan: &Plan) {
    let cluster = &plan.wiring.assembly.account.cluster;
    stack.parameter(
        "Cluster",
        "The name of an existing ECS cluster.",
        json!({ "Type": "String", "Default": cluster }),
    );
    stack.parameter(
        "Vpc",
        "The VPC of the tasks.",
        json!({ "Type": "AWS::EC2::VPC::Id" }),
    );

    stack.parameter(
        "Subnets",
        "The subnets of the tasks, preferably in several availability zones.",
        json!({ "Type": "List<AWS::EC2::Subnet::Id>" }),
    );

    stack.parameter(
        "PublicAddress",
        "Whether tasks get a public IP address; in a public subnet they need one to pull images.",
        json!({ "Type": "String", "Default": "DISABLED", "AllowedValues": ["DISABLED", "ENABLED"] }),
    );
}

/// Returns the `awsvpc` configuration of services and pipes.
pub(super) fn awsvpc() -> Value {
    json!({
        "AssignPublicIp": reference("PublicAddress"),
        "SecurityGroups": [attribute(TASK_GROUP, "GroupId")],
        "Subnets": reference("Subnets"),
    })
}

/// Adds the security group of the tasks, without ingress.
pub(super) fn add_task_group(stack: &mut Stack, plan: &Plan, why: &str) {
    let properties = json!({
        "GroupDescription": format!("Tasks of {}", plan.name()),
        "VpcId": reference("Vpc"),
    });
    stack.resource(TASK_GROUP, "AWS::EC2::SecurityGroup", why, properties);
}

/// Opens one port of the tasks to a source: the property `SourceSecurityGroupId` or `CidrIp`, and its value.
pub(super) fn add_ingress(
    stack: &mut Stack,
    name: &str,
    port: u16,
    why: &str,
    source: (&str, Value),
) {
    // A separate resource: with inline rules the groups of tasks and load balancer would refer to each other.
    let mut properties = json!({
        "GroupId": attribute(TASK_GROUP, "GroupId"),
        "Description": "The outermost hop",
        "IpProtocol": "tcp",
        "FromPort": port,
        "ToPort": port,
    });
    properties[source.0] = source.1;
    stack.resource(name, "AWS::EC2::SecurityGroupIngress", why, properties);
}

/// Adds the parameter with the clients' address range.
pub(super) fn add_clients(stack: &mut Stack) {
    stack.parameter(
        "Clients",
        "The addresses that can connect. 0.0.0.0/0 is the whole internet.",
        json!({ "Type": "String", "Default": "10.0.0.0/8" }),
    );
}
