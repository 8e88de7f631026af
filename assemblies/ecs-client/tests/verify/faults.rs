//! Accounts with one fault each: exactly its check fails.

use ecs_client::VerifyRequest;
use serde_json::{Value, json};

use crate::account::{Account, request};

/// A fault: the check that fails, part of its message, and what is changed.
pub(crate) type Fault = (&'static str, &'static str, fn(&mut Value));

/// Returns the names and messages of the checks that fail.
pub(crate) async fn failures(account: &Account, request: &VerifyRequest) -> Vec<(String, String)> {
    let report = account.verify(request).await;
    report
        .failures()
        .map(|check| (check.name.clone(), format!("{:?}", check.outcome)))
        .collect()
}

/// Expects that each fault fails one check.
pub(crate) async fn expect(faults: &[Fault], request: &VerifyRequest) {
    for (name, message, change) in faults {
        let account = Account::with(change);
        let found = failures(&account, request).await;
        assert_eq!(found.len(), 1, "{name}: {message}: {found:?}");
        assert_eq!(found[0].0, *name, "{found:?}");
        assert!(found[0].1.contains(message), "{message}: {found:?}");
    }
}

#[tokio::test]
async fn an_account_without_faults_passes() {
    let account = Account::new();
    let report = account.verify(&request()).await;
    let others: Vec<_> = report
        .checks
        .iter()
        .filter(|check| check.outcome.status() != "OK")
        .collect();
    assert!(others.is_empty(), "{others:?}");
}

#[tokio::test]
async fn faults_of_subnets_and_routes() {
    let faults: &[Fault] = &[
        // Subnets that do not exist, are elsewhere, or are full.
        ("subnets", "subnet-2", |it| {
            it["subnets"].as_array_mut().unwrap().pop();
        }),
        ("subnets", "vpc-2", |it| {
            it["subnets"][1]["vpcId"] = "vpc-2".into()
        }),
        ("subnets", "no free address", |it| {
            it["subnets"][0]["availableIpAddressCount"] = "0".into();
        }),
        // Only this subnet has the fault.
        ("subnet-2 routes", "no default route", |it| {
            own_table(it, json!([]))
        }),
        ("subnet-2 routes", "internet gateway", |it| {
            own_table(
                it,
                json!([{ "destinationCidrBlock": "0.0.0.0/0", "gatewayId": "igw-1" }]),
            );
        }),
        ("subnet-2 routes", "is deleted", |it| {
            own_table(
                it,
                json!([{ "destinationCidrBlock": "0.0.0.0/0", "natGatewayId": "nat-0",
                "state": "blackhole" }]),
            );
        }),
        // The NAT gateway of both subnets.
        ("nat-1 reaches the internet", "there is no nat-1", |it| {
            it["gateways"] = json!([])
        }),
        ("nat-1 reaches the internet", "failed", |it| {
            it["gateways"][0]["state"] = "failed".into()
        }),
        ("nat-1 reaches the internet", "private NAT gateway", |it| {
            it["gateways"][0]["connectivityType"] = "private".into();
        }),
        (
            "nat-1 reaches the internet",
            "no route to an internet gateway",
            |it| {
                it["gateways"][0]["subnetId"] = "subnet-1".into();
            },
        ),
        ("subnet-2 network ACL", "outgoing", |it| {
            own_acl(
                it,
                json!([{ "ruleNumber": "100", "ruleAction": "deny", "egress": "true",
                "protocol": "6", "cidrBlock": "0.0.0.0/0", "portRange": { "from": "443", "to": "443" } }]),
            );
        }),
        ("subnet-2 network ACL", "incoming", |it| {
            own_acl(
                it,
                json!([{ "ruleNumber": "100", "ruleAction": "allow", "egress": "true",
                "protocol": "-1", "cidrBlock": "0.0.0.0/0" }]),
            );
        }),
    ];

    expect(faults, &request()).await;
}

/// Gives subnet-2 another route table, with the S3 endpoint.
fn own_table(state: &mut Value, routes: Value) {
    state["tables"][1]["associationSet"]
        .as_array_mut()
        .unwrap()
        .pop();
    let table = json!({ "routeTableId": "rtb-own", "routeSet": routes,
        "associationSet": [{ "main": "false", "subnetId": "subnet-2" }] });
    state["tables"].as_array_mut().unwrap().push(table);
    state["endpoints"][1]["routeTableIdSet"] = json!(["rtb-private", "rtb-own"]);
}

/// Gives subnet-2 another network ACL.
fn own_acl(state: &mut Value, entries: Value) {
    state["acls"][0]["associationSet"]
        .as_array_mut()
        .unwrap()
        .pop();
    let acl = json!({ "associationSet": [{ "subnetId": "subnet-2" }], "entrySet": entries });
    state["acls"].as_array_mut().unwrap().push(acl);
}

#[tokio::test]
async fn faults_of_endpoints_and_security_groups() {
    let faults: &[Fault] = &[
        ("DNS of the VPC", "enableDnsSupport", |it| {
            it["dns"]["enableDnsSupport"] = "false".into()
        }),
        ("DNS of the VPC", "enableDnsHostnames", |it| {
            it["dns"]["enableDnsHostnames"] = "false".into();
        }),
        ("endpoint for Secrets Manager", "rejected", |it| {
            it["endpoints"][0]["state"] = "rejected".into();
        }),
        ("endpoint for Secrets Manager", "sg-endpoint", |it| {
            it["groups"][2]["ipPermissions"] = json!([]);
        }),
        ("endpoint for Secrets Manager", "port 443", |it| {
            it["groups"][2]["ipPermissions"][0]["ipRanges"][0]["cidrIp"] = "10.9.0.0/16".into();
        }),
        // From the tasks out.
        ("egress of the tasks", "port 443", |it| {
            it["groups"][0]["ipPermissionsEgress"] = json!([])
        }),
        ("egress of the tasks", "Amazon ECR", |it| {
            it["groups"][0]["ipPermissionsEgress"] = json!([
                { "ipProtocol": "tcp", "fromPort": "443", "toPort": "443",
                  "groups": [{ "groupId": "sg-endpoint" }], "prefixListIds": null }]);
        }),
        ("groups of the tasks", "sg-task is not in vpc-1", |it| {
            // The rules of the load balancer name a group that is gone.
            it["groups"].as_array_mut().unwrap().remove(0);
        }),
        ("load balancer to tasks, port 8443", "sg-balancer", |it| {
            it["groups"][0]["ipPermissions"] = json!([]);
        }),
        ("load balancer to tasks, port 8443", "8443", |it| {
            it["groups"][0]["ipPermissions"][0]["toPort"] = "8442".into();
            it["groups"][0]["ipPermissions"][0]["fromPort"] = "8442".into();
        }),
        (
            "egress of the load balancer, port 8443",
            "sg-balancer",
            |it| {
                it["groups"][1]["ipPermissionsEgress"] = json!([]);
            },
        ),
        // From the clients in.
        ("clients to load balancer, port 443", "nothing in", |it| {
            it["groups"][1]["ipPermissions"] = json!([]);
        }),
    ];

    expect(faults, &request()).await;
}

#[tokio::test]
async fn faults_of_a_network_without_a_way_out() {
    // Every API has an endpoint, so that no default route is needed.
    fn remove_default_route(state: &mut Value) {
        state["tables"][1]["routeSet"].as_array_mut().unwrap().pop();
        for (index, name) in ["ecr.api", "ecr.dkr", "logs", "ssm"].iter().enumerate() {
            let endpoint = json!({ "vpcEndpointId": format!("vpce-1{index}"), "vpcEndpointType": "Interface",
                "state": "available", "serviceName": format!("com.amazonaws.eu-central-1.{name}"),
                "privateDnsEnabled": "true", "groupSet": [{ "groupId": "sg-endpoint" }] });
            state["endpoints"].as_array_mut().unwrap().push(endpoint);
        }
    }

    let faults: &[Fault] = &[
        ("endpoint for CloudWatch Logs", "no private DNS", |it| {
            remove_default_route(it);
            it["endpoints"][4]["privateDnsEnabled"] = "false".into();
        }),
        (
            "endpoint for Amazon S3 (layers of images)",
            "rtb-private",
            |it| {
                remove_default_route(it);
                it["endpoints"][1]["routeTableIdSet"] = json!(["rtb-public"]);
            },
        ),
    ];

    expect(faults, &request()).await;

    let account = Account::with(remove_default_route);
    let found = failures(&account, &request()).await;
    assert!(found.is_empty(), "{found:?}");
    // Both subnets have the same table, which lacks a way to one API.
    let account = Account::with(|it| {
        remove_default_route(it);
        it["endpoints"].as_array_mut().unwrap().pop();
    });

    let found = failures(&account, &request()).await;
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["subnet-1, subnet-2 routes"]);
    assert!(found[0].1.contains("Parameter Store"), "{found:?}");
}
