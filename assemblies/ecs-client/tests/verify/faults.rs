//! Accounts with one fault each: exactly its check fails.

use ecs_client::VerifyRequest;
use serde_json::{Value, json};

use crate::account::{Account, CERTIFICATE, DAY, DIGEST, NOW, SECRET, TLS, request};

/// A fault: the check that fails, part of its message, and what is changed.
type Fault = (&'static str, &'static str, fn(&mut Value));

const OTHER: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

/// Returns the names and messages of the checks that fail.
async fn failures(account: &Account, request: &VerifyRequest) -> Vec<(String, String)> {
    let report = account.verify(request).await;
    report
        .failures()
        .map(|check| (check.name.clone(), format!("{:?}", check.outcome)))
        .collect()
}

async fn expect(faults: &[Fault], request: &VerifyRequest) {
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
        ("subnets", "subnet-2", |it| {
            it["subnets"].as_array_mut().unwrap().pop();
        }),
        ("subnets", "vpc-2", |it| it["subnets"][1]["vpcId"] = "vpc-2".into()),
        ("subnets", "no free address", |it| {
            it["subnets"][0]["availableIpAddressCount"] = "0".into();
        }),
        // A subnet with its own table, so that only it has the fault.
        ("subnet-2 routes", "no default route", |it| own_table(it, json!([]))),
        ("subnet-2 routes", "internet gateway", |it| {
            own_table(it, json!([{ "destinationCidrBlock": "0.0.0.0/0", "gatewayId": "igw-1" }]));
        }),
        ("subnet-2 routes", "is deleted", |it| {
            own_table(it, json!([{ "destinationCidrBlock": "0.0.0.0/0", "natGatewayId": "nat-0",
                "state": "blackhole" }]));
        }),
        ("nat-1 reaches the internet", "there is no nat-1", |it| it["gateways"] = json!([])),
        ("nat-1 reaches the internet", "failed", |it| it["gateways"][0]["state"] = "failed".into()),
        ("nat-1 reaches the internet", "private NAT gateway", |it| {
            it["gateways"][0]["connectivityType"] = "private".into();
        }),
        ("nat-1 reaches the internet", "no route to an internet gateway", |it| {
            it["gateways"][0]["subnetId"] = "subnet-1".into();
        }),
        ("subnet-2 network ACL", "outgoing", |it| {
            own_acl(it, json!([{ "ruleNumber": "100", "ruleAction": "deny", "egress": "true",
                "protocol": "6", "cidrBlock": "0.0.0.0/0", "portRange": { "from": "443", "to": "443" } }]));
        }),
        ("subnet-2 network ACL", "incoming", |it| {
            own_acl(it, json!([{ "ruleNumber": "100", "ruleAction": "allow", "egress": "true",
                "protocol": "-1", "cidrBlock": "0.0.0.0/0" }]));
        }),
    ];
    expect(faults, &request()).await;
}

/// Gives subnet-2 a route table of its own, with the S3 endpoint.
fn own_table(state: &mut Value, routes: Value) {
    state["tables"][1]["associationSet"].as_array_mut().unwrap().pop();
    let table = json!({ "routeTableId": "rtb-own", "routeSet": routes,
        "associationSet": [{ "main": "false", "subnetId": "subnet-2" }] });
    state["tables"].as_array_mut().unwrap().push(table);
    state["endpoints"][1]["routeTableIdSet"] = json!(["rtb-private", "rtb-own"]);
}

/// Gives subnet-2 a network ACL of its own.
fn own_acl(state: &mut Value, entries: Value) {
    state["acls"][0]["associationSet"].as_array_mut().unwrap().pop();
    let acl = json!({ "associationSet": [{ "subnetId": "subnet-2" }], "entrySet": entries });
    state["acls"].as_array_mut().unwrap().push(acl);
}

#[tokio::test]
async fn faults_of_endpoints_and_security_groups() {
    let faults: &[Fault] = &[
        ("DNS of the VPC", "enableDnsSupport", |it| it["dns"]["enableDnsSupport"] = "false".into()),
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
        ("egress of the tasks", "port 443", |it| it["groups"][0]["ipPermissionsEgress"] = json!([])),
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
        ("egress of the load balancer, port 8443", "sg-balancer", |it| {
            it["groups"][1]["ipPermissionsEgress"] = json!([]);
        }),
        ("clients to load balancer, port 443", "nothing in", |it| {
            it["groups"][1]["ipPermissions"] = json!([]);
        }),
    ];
    expect(faults, &request()).await;
}

#[tokio::test]
async fn faults_of_a_network_without_a_way_out() {
    // Every API has an endpoint, so that no default route is needed.
    fn closed(state: &mut Value) {
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
            closed(it);
            it["endpoints"][4]["privateDnsEnabled"] = "false".into();
        }),
        ("endpoint for Amazon S3, which has the layers of images", "rtb-private", |it| {
            closed(it);
            it["endpoints"][1]["routeTableIdSet"] = json!(["rtb-public"]);
        }),
    ];
    expect(faults, &request()).await;

    let account = Account::with(closed);
    let found = failures(&account, &request()).await;
    assert!(found.is_empty(), "{found:?}");
    // Both subnets lack the same endpoint.
    let account = Account::with(|it| {
        closed(it);
        it["endpoints"].as_array_mut().unwrap().pop();
    });
    let found = failures(&account, &request()).await;
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["subnet-1 routes", "subnet-2 routes"]);
    assert!(found[0].1.contains("Parameter Store"), "{found:?}");
}

#[tokio::test]
async fn faults_of_images() {
    let app = "210987654321.dkr.ecr.eu-central-1.amazonaws.com/app:1";
    let proxy = "210987654321.dkr.ecr.eu-central-1.amazonaws.com/proxy:1@sha256:\
        1111111111111111111111111111111111111111111111111111111111111111";
    let faults: &[Fault] = &[
        (app, "no repository app", |it| {
            it["repositories"].as_array_mut().unwrap().remove(0);
        }),
        (app, "no tag 1", |it| it["repositories"][0]["images"] = json!([])),
        (app, "the image is for linux/arm64", |it| {
            let manifest = json!({ "manifests": [{ "platform": { "os": "linux", "architecture": "arm64" } }] });
            it["repositories"][0]["images"][0]["imageManifest"] = manifest.to_string().into();
        }),
        (proxy, "no image sha256:1111", |it| {
            it["repositories"][1]["images"][0]["imageId"]["imageDigest"] = OTHER.into();
        }),
        (proxy, "is now sha256:2222", |it| {
            let mut other = it["repositories"][1]["images"][0].clone();
            it["repositories"][1]["images"][0]["imageId"]["imageTag"] = Value::Null;
            other["imageId"]["imageDigest"] = OTHER.into();
            it["repositories"][1]["images"].as_array_mut().unwrap().push(other);
        }),
    ];
    expect(faults, &request()).await;
    assert!(proxy.ends_with(DIGEST));
}

#[tokio::test]
async fn faults_of_secrets_and_parameters() {
    let password = "arn:aws:secretsmanager:eu-central-1:210987654321:secret:db-Ab1Cd2:password::";
    let faults: &[Fault] = &[
        (TLS, "there is no", |it| {
            it["secrets"].as_array_mut().unwrap().pop();
        }),
        (TLS, "scheduled for deletion", |it| it["secrets"][1]["DeletedDate"] = 1.into()),
        (TLS, "no version AWSCURRENT", |it| it["secrets"][1]["VersionIdsToStages"] = json!({})),
        (TLS, "may not decrypt with k-1", |it| {
            it["denies"] = json!([["role/execution", "kms:Decrypt"]]);
        }),
        (password, "no key password", |it| it["secrets"][0]["value"] = "{\"user\":\"u\"}".into()),
        (password, "no JSON object", |it| it["secrets"][0]["value"] = "hidden".into()),
        ("/app/mode", "no parameter /app/mode", |it| it["parameters"] = json!([])),
    ];
    expect(faults, &request()).await;
    assert!(password.starts_with(SECRET));
}

#[tokio::test]
async fn faults_of_the_target_group() {
    let faults: &[Fault] = &[
        ("target group", "there is no", |it| it["target_groups"] = json!([])),
        ("target type", "instance", |it| it["target_groups"][0]["TargetType"] = "instance".into()),
        ("protocol", "its protocol is HTTP", |it| it["target_groups"][0]["Protocol"] = "HTTP".into()),
        ("VPC of the target group", "vpc-2", |it| it["target_groups"][0]["VpcId"] = "vpc-2".into()),
        ("health check", "disabled", |it| {
            it["target_groups"][0]["HealthCheckEnabled"] = "false".into();
        }),
        ("health check", "port 9000", |it| {
            it["target_groups"][0]["HealthCheckPort"] = "9000".into();
        }),
        ("health check", "checks with HTTP", |it| {
            it["target_groups"][0]["HealthCheckProtocol"] = "HTTP".into();
        }),
        ("health check", "its path is", |it| {
            it["target_groups"][0]["HealthCheckPath"] = "health".into();
        }),
        ("attached", "no listener", |it| it["target_groups"][0]["LoadBalancerArns"] = Value::Null),
    ];
    expect(faults, &request()).await;
}

#[tokio::test]
async fn faults_of_the_caller_and_the_roles() {
    let faults: &[Fault] = &[
        ("account", "111122223333", |it| it["caller"]["Account"] = "111122223333".into()),
        ("execution role execution", "there is no", |it| {
            it["roles"].as_array_mut().unwrap().remove(0);
        }),
        ("task role task", "there is no", |it| {
            it["roles"].as_array_mut().unwrap().remove(1);
        }),
        ("task role task", "the role of this name", |it| {
            it["roles"][1]["Arn"] = "arn:aws:iam::210987654321:role/apps/task".into();
        }),
        ("execution role execution", "does not let ecs-tasks", |it| {
            let trust = it["roles"][0]["AssumeRolePolicyDocument"].as_str().unwrap();
            let other = trust.replace("ecs-tasks.", "ec2.");
            it["roles"][0]["AssumeRolePolicyDocument"] = other.into();
        }),
        ("task role task", "aws:SourceAccount", |it| {
            let trust = it["roles"][1]["AssumeRolePolicyDocument"].as_str().unwrap();
            let other = trust.replace("\"210987654321\"", "\"111122223333\"");
            it["roles"][1]["AssumeRolePolicyDocument"] = other.into();
        }),
        ("task role task", "aws:SourceArn", |it| {
            let trust = it["roles"][1]["AssumeRolePolicyDocument"].as_str().unwrap();
            let other = trust.replace("ecs:eu-central-1:", "ecs:us-east-1:");
            it["roles"][1]["AssumeRolePolicyDocument"] = other.into();
        }),
        ("execution role: LogInToRegistry", "ecr:GetAuthorizationToken", |it| {
            it["denies"] = json!([["role/execution", "ecr:GetAuthorizationToken"]]);
        }),
        ("execution role: PullImages", "ecr:BatchGetImage", |it| {
            it["denies"] = json!([["role/execution", "ecr:BatchGetImage"]]);
        }),
        ("execution role: WriteLogs", "logs:PutLogEvents", |it| {
            it["denies"] = json!([["role/execution", "logs:PutLogEvents"]]);
        }),
        ("execution role: ReadSecrets", "secretsmanager:GetSecretValue", |it| {
            it["denies"] = json!([["role/execution", "secretsmanager:GetSecretValue"]]);
        }),
        ("execution role: ReadParameters", "ssm:GetParameters", |it| {
            it["denies"] = json!([["role/execution", "ssm:GetParameters"]]);
        }),
        ("AWSServiceRoleForECS", "does not exist", |it| {
            it["roles"].as_array_mut().unwrap().remove(3);
        }),
        ("AWSServiceRoleForElasticLoadBalancing", "does not exist", |it| {
            it["roles"].as_array_mut().unwrap().remove(4);
        }),
        ("AWSServiceRoleForApplicationAutoScaling_ECSService", "does not exist", |it| {
            it["roles"].as_array_mut().unwrap().remove(5);
        }),
    ];
    expect(faults, &request()).await;

    // The caller may pass neither role: one fault, two checks.
    let account = Account::with(|it| it["denies"] = json!([["role/Deploy", "iam:PassRole"]]));
    let found = failures(&account, &request()).await;
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "iam:PassRole of the execution role",
            "iam:PassRole of the task role"
        ]
    );
}

#[tokio::test]
async fn faults_of_logs_certificates_and_quotas() {
    let faults: &[Fault] = &[
        ("/ecs/web", "no such log group", |it| {
            it["logs"].as_array_mut().unwrap().remove(0);
        }),
        ("c-1", "PENDING_VALIDATION", |it| {
            it["certificates"][0]["Status"] = "PENDING_VALIDATION".into();
        }),
        ("c-1", "expired 2 days ago", |it| it["certificates"][0]["NotAfter"] = (NOW - 2 * DAY).into()),
        ("c-1", "expires in 3 days", |it| it["certificates"][0]["NotAfter"] = (NOW + 3 * DAY).into()),
        ("names", "api.example.com", |it| {
            it["certificates"][0]["SubjectAlternativeNames"] = json!(["example.com"]);
        }),
        ("main", "INACTIVE", |it| it["clusters"][0]["status"] = "INACTIVE".into()),
        ("main", "no such cluster", |it| it["clusters"] = json!([])),
        ("vCPUs of Fargate", "needs 4", |it| it["quotas"]["fargate"][0]["Value"] = 2.0.into()),
        ("tasks of a service", "needs 4", |it| it["quotas"]["ecs"][0]["Value"] = 3.0.into()),
    ];
    expect(faults, &request()).await;

    let mut elsewhere = request();
    elsewhere.place.certificate = Some(CERTIFICATE.replace("eu-central-1", "us-east-1"));
    let found = failures(&Account::new(), &elsewhere).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].1.contains("it is in us-east-1"), "{found:?}");
}

#[tokio::test]
async fn before_the_stack_its_resources_may_be_missing() {
    let account = Account::with(|it| {
        it["roles"] = json!([it["roles"][2]]);
        it["logs"] = json!([]);
    });
    let mut request = request();
    assert!(failures(&account, &request).await.len() >= 5);
    request.is_before_stack = true;
    let found = failures(&account, &request).await;
    assert!(found.is_empty(), "{found:?}");
}
