//! Where tasks run, and who may reach them.

use serde_json::{Value, json};

use super::stack::{Stack, attribute, reference};
use crate::plan::Plan;

/// The logical name of the tasks' security group.
pub(super) const TASK_GROUP: &str = "TaskSecurityGroup";

/// What every stack asks for.
pub(super) fn parameters(stack: &mut Stack, plan: &Plan) {
    let cluster = &plan.wiring.assembly.account.cluster;
    stack.parameter(
        "Cluster",
        "The name of the ECS cluster, which exists.",
        json!({ "Type": "String", "Default": cluster }),
    );
    stack.parameter(
        "Vpc",
        "The network.",
        json!({ "Type": "AWS::EC2::VPC::Id" }),
    );

    stack.parameter(
        "Subnets",
        "The subnets of the tasks, best in several zones.",
        json!({ "Type": "List<AWS::EC2::Subnet::Id>" }),
    );

    stack.parameter(
        "PublicAddress",
        "Whether tasks get an address of the internet; a subnet without NAT needs it to pull images.",
        json!({ "Type": "String", "Default": "DISABLED", "AllowedValues": ["DISABLED", "ENABLED"] }),
    );
}

/// The network of a task, in the form that services and pipes take.
pub(super) fn awsvpc() -> Value {
    json!({
        "AssignPublicIp": reference("PublicAddress"),
        "SecurityGroups": [attribute(TASK_GROUP, "GroupId")],
        "Subnets": reference("Subnets"),
    })
}

/// The security group of the tasks; nobody reaches them yet.
pub(super) fn closed_group(stack: &mut Stack, plan: &Plan, why: &str) {
    let properties = json!({
        "GroupDescription": format!("Tasks of {}", plan.name()),
        "VpcId": reference("Vpc"),
    });
    stack.resource(TASK_GROUP, "AWS::EC2::SecurityGroup", why, properties);
}

/// Opens one port of the tasks to a source: `SourceSecurityGroupId` or `CidrIp`, and its value.
pub(super) fn open(stack: &mut Stack, name: &str, port: u16, why: &str, source: (&str, Value)) {
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

/// Who the clients are.
pub(super) fn clients(stack: &mut Stack) {
    stack.parameter(
        "Clients",
        "The addresses that may connect. 0.0.0.0/0 is everybody.",
        json!({ "Type": "String", "Default": "10.0.0.0/8" }),
    );
}
