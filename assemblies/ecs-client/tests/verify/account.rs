//! A fake account as data: what each call returns.
//!
//! Tasks in two private subnets reach a secret through a VPC endpoint, layers through the gateway endpoint of S3, and the
//! rest through a NAT gateway.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ecs_client::{
    Api, Call, Error, Operation, Place, PublicEndpoint, VerifyReport, VerifyRequest, verify,
};
use serde_json::{Value, json};

pub(crate) const REGISTRY: &str = "210987654321.dkr.ecr.eu-central-1.amazonaws.com";
pub(crate) const DIGEST: &str =
    "sha256:1111111111111111111111111111111111111111111111111111111111111111";
pub(crate) const SECRET: &str = "arn:aws:secretsmanager:eu-central-1:210987654321:secret:db-Ab1Cd2";
pub(crate) const TLS: &str = "arn:aws:secretsmanager:eu-central-1:210987654321:secret:tls-Ab1Cd2";
pub(crate) const CERTIFICATE: &str = "arn:aws:acm:eu-central-1:210987654321:certificate/c-1";
pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const DAY: u64 = 24 * 3600;

/// The account.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) state: Value,
    /// The action that the caller may not call; `*` for all.
    pub(crate) denied: Option<String>,
    pub(crate) calls: Mutex<Vec<Call>>,
    running: AtomicUsize,
    /// The largest number of calls at the same time.
    pub(crate) peak: AtomicUsize,
    /// The calls that had begun when the latest one returned, and the number of such rounds.
    rounds: Mutex<(usize, usize)>,
}

impl Account {
    pub(crate) fn new() -> Self {
        Self {
            state: state(),
            denied: None,
            calls: Mutex::default(),
            running: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            rounds: Mutex::default(),
        }
    }

    pub(crate) fn with(change: impl FnOnce(&mut Value)) -> Self {
        let mut account = Self::new();
        change(&mut account.state);
        account
    }

    pub(crate) async fn verify(&self, request: &VerifyRequest) -> VerifyReport {
        verify(self, request).await.unwrap()
    }

    /// Returns the number of calls one after the other, if all take the same time.
    pub(crate) fn rounds(&self) -> usize {
        self.rounds.lock().unwrap().1
    }
}

impl Api for Account {
    async fn call(&self, call: &Call) -> Result<Value, Error> {
        self.calls.lock().unwrap().push(call.clone());

        // `verify` is one task, so no other thread comes between these lines.
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(running, Ordering::SeqCst);

        let begun = self.calls.lock().unwrap().len();
        // All other calls of this round begin before any of them returns.
        for _ in 0..64 {
            tokio::task::yield_now().await;
        }
        {
            let mut rounds = self.rounds.lock().unwrap();
            if begun > rounds.0 {
                *rounds = (self.calls.lock().unwrap().len(), rounds.1 + 1);
            }
        }

        self.running.fetch_sub(1, Ordering::SeqCst);

        // As a policy that lacks the action.
        let action = call.operation.action();
        if let Some(denied) = &self.denied
            && (*denied == action
                || (denied == "*" && call.operation != Operation::GetCallerIdentity))
        {
            return Err(refusal(call, "AccessDeniedException", "not authorized"));
        }
        respond(&self.state, call)
    }
}

fn refusal(call: &Call, code: &str, message: &str) -> Error {
    Error::Refused {
        operation: call.operation,
        code: code.to_owned(),
        message: message.to_owned(),
        status: 400,
    }
}

fn respond(state: &Value, call: &Call) -> Result<Value, Error> {
    let body = &call.body;
    let found = |list: &str, key: &str, id: &Value, code: &str| {
        let items = state[list].as_array().unwrap().iter();
        let found = items.clone().find(|item| item[key] == *id).cloned();
        found.ok_or_else(|| refusal(call, code, &format!("there is no {id}")))
    };

    let list = |name: &str, list: &str| Ok(json!({ name: state[list] }));

    match call.operation {
        Operation::GetCallerIdentity => Ok(state["caller"].clone()),
        Operation::DescribeSubnets => {
            let ids = body["SubnetId"].as_array().unwrap().iter();
            let subnets: Result<Vec<_>, _> = ids
                .map(|id| found("subnets", "subnetId", id, "InvalidSubnetID.NotFound"))
                .collect();
            Ok(json!({ "subnetSet": subnets? }))
        }
        Operation::DescribeRouteTables => list("routeTableSet", "tables"),
        Operation::DescribeVpcEndpoints => list("vpcEndpointSet", "endpoints"),
        Operation::DescribeSecurityGroups => list("securityGroupInfo", "groups"),
        Operation::DescribeNatGateways => list("natGatewaySet", "gateways"),
        Operation::DescribeNetworkAcls => list("networkAclSet", "acls"),
        Operation::DescribeVpcAttribute => {
            let name = body["Attribute"].as_str().unwrap();
            Ok(json!({ "vpcId": "vpc-1", name: { "value": state["dns"][name] } }))
        }
        Operation::DescribeClusters => list("clusters", "clusters"),
        Operation::BatchGetImage => {
            let name = &body["repositoryName"];
            let code = "RepositoryNotFoundException";
            let repository = found("repositories", "name", name, code)?;
            Ok(json!({ "images": repository["images"], "failures": [] }))
        }
        Operation::DescribeSecret => found(
            "secrets",
            "ARN",
            &body["SecretId"],
            "ResourceNotFoundException",
        ),
        Operation::GetSecretValue => {
            let secret = found(
                "secrets",
                "ARN",
                &body["SecretId"],
                "ResourceNotFoundException",
            )?;
            Ok(json!({ "SecretString": secret["value"] }))
        }
        Operation::DescribeParameters => list("Parameters", "parameters"),
        Operation::GetRole => {
            let role = found("roles", "RoleName", &body["RoleName"], "NoSuchEntity")?;
            Ok(json!({ "Role": role }))
        }
        Operation::SimulatePrincipalPolicy => Ok(simulate(state, body)),
        Operation::DescribeLogGroups => list("logGroups", "logs"),
        Operation::DescribeTargetGroups => {
            let arn = &body["TargetGroupArns"][0];
            let group = found(
                "target_groups",
                "TargetGroupArn",
                arn,
                "TargetGroupNotFound",
            )?;
            Ok(json!({ "TargetGroups": [group] }))
        }
        Operation::DescribeLoadBalancers => list("LoadBalancers", "balancers"),
        Operation::DescribeListeners => list("Listeners", "listeners"),
        Operation::DescribeCertificate => {
            let arn = &body["CertificateArn"];
            let found = found(
                "certificates",
                "CertificateArn",
                arn,
                "ResourceNotFoundException",
            )?;
            Ok(json!({ "Certificate": found }))
        }
        Operation::ListServiceQuotas => {
            let service = body["ServiceCode"].as_str().unwrap();
            Ok(json!({ "Quotas": state["quotas"][service] }))
        }
        other => panic!("unexpected {other}"),
    }
}

/// Denies what `denies` lists: `[role or user, action]`.
fn simulate(state: &Value, body: &Value) -> Value {
    let source = body["PolicySourceArn"].as_str().unwrap();
    let decision = |action: &Value| {
        let denies = state["denies"].as_array().unwrap().iter();
        let is_denied = denies
            .clone()
            .any(|deny| source.ends_with(deny[0].as_str().unwrap()) && deny[1] == *action);
        if is_denied { "implicitDeny" } else { "allowed" }
    };

    let results = body["ActionNames"]
        .as_array()
        .unwrap()
        .iter()
        .map(|action| {
            json!({ "EvalActionName": action, "EvalResourceName": body["ResourceArns"][0],
            "EvalDecision": decision(action) })
        });

    json!({ "EvaluationResults": results.collect::<Vec<_>>() })
}

fn role(name: &str) -> Value {
    let arn = format!("arn:aws:iam::210987654321:role/{name}");
    let trust = json!({ "Statement": [{ "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": { "Service": "ecs-tasks.amazonaws.com" }, "Condition": {
            "StringEquals": { "aws:SourceAccount": "210987654321" },
            "ArnLike": { "aws:SourceArn": "arn:aws:ecs:eu-central-1:210987654321:*" } } }] });
    json!({ "RoleName": name, "Arn": arn, "AssumeRolePolicyDocument": trust.to_string() })
}

fn rule(from: &str, to: &str, group: Option<&str>, block: Option<&str>) -> Value {
    let groups: Vec<_> = group.iter().map(|id| json!({ "groupId": id })).collect();
    let blocks: Vec<_> = block
        .iter()
        .map(|block| json!({ "cidrIp": block }))
        .collect();
    json!({ "ipProtocol": "tcp", "fromPort": from, "toPort": to, "groups": groups, "ipRanges": blocks })
}

fn acl_entry(number: &str, egress: &str) -> Value {
    json!({ "ruleNumber": number, "ruleAction": "allow", "egress": egress, "protocol": "-1",
        "cidrBlock": "0.0.0.0/0" })
}

/// Returns an account in which everything works.
fn state() -> Value {
    let index = json!({ "manifests": [
        { "platform": { "os": "linux", "architecture": "amd64" } },
        { "platform": { "os": "linux", "architecture": "arm64" } },
        { "platform": { "os": "unknown", "architecture": "unknown" } } ] });

    let image = |tag: &str| {
        json!({ "imageId": { "imageTag": tag, "imageDigest": DIGEST },
            "imageManifest": index.to_string() })
    };

    // An index with two platforms, and the attestation that BuildKit adds.
    let mut state = network();
    let more = json!({
        "caller": { "Account": "210987654321", "Arn": "arn:aws:sts::210987654321:assumed-role/Deploy/me" },
        "clusters": [{ "clusterName": "main", "status": "ACTIVE" }],
        "repositories": [{ "name": "app", "images": [image("1")] }, { "name": "proxy", "images": [image("1")] }],
        "secrets": [
            { "ARN": SECRET, "Name": "db", "VersionIdsToStages": { "v-1": ["AWSCURRENT"] },
                "value": "{\"password\":\"hidden\"}" },
            { "ARN": TLS, "Name": "tls", "VersionIdsToStages": { "v-1": ["AWSCURRENT"] }, "KmsKeyId": "k-1",
                "value": "hidden" } ],
        "parameters": [{ "Name": "/app/mode", "Type": "String" }],
        "roles": [role("execution"), role("task"), role("Deploy"), role("AWSServiceRoleForECS"),
            role("AWSServiceRoleForElasticLoadBalancing"),
            role("AWSServiceRoleForApplicationAutoScaling_ECSService")],
        // Pairs of a role and an action.
        "denies": [],
        "logs": [{ "logGroupName": "/ecs/web" }, { "logGroupName": "/ecs/web-other" }],
        "target_groups": [{ "TargetGroupArn": "tg-1", "TargetType": "ip", "Protocol": "HTTPS", "Port": "8443",
            "VpcId": "vpc-1", "HealthCheckEnabled": "true", "HealthCheckPort": "traffic-port",
            "HealthCheckProtocol": "HTTPS", "HealthCheckPath": "/", "LoadBalancerArns": ["lb-1"] }],
        "balancers": [{ "LoadBalancerArn": "lb-1", "SecurityGroups": ["sg-balancer"] }],
        "listeners": [{ "ListenerArn": "l-1", "Port": "443", "LoadBalancerArn": "lb-1",
            "Certificates": [{ "CertificateArn": CERTIFICATE }] }],
        "certificates": [{ "CertificateArn": CERTIFICATE, "Status": "ISSUED", "DomainName": "example.com",
            "NotAfter": NOW + 200 * DAY, "SubjectAlternativeNames": ["example.com", "*.example.com"] }],
        "quotas": {
            "fargate": [{ "QuotaName": "Fargate On-Demand vCPU resource count", "Value": 6.0,
                "ServiceCode": "fargate", "QuotaCode": "L-1" }],
            "ecs": [{ "QuotaName": "Tasks per service", "Value": 5000.0, "ServiceCode": "ecs", "QuotaCode": "L-2" }],
        },
    });

    state
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());

    state
}

fn network() -> Value {
    let subnet = |id: &str, block: &str, zone: &str| {
        json!({ "subnetId": id, "vpcId": "vpc-1", "cidrBlock": block, "availabilityZone": zone,
            "availableIpAddressCount": "250" })
    };

    let everything = json!({ "ipProtocol": "-1", "ipRanges": [{ "cidrIp": "0.0.0.0/0" }] });
    json!({
        "subnets": [subnet("subnet-1", "10.0.1.0/24", "eu-central-1a"),
            subnet("subnet-2", "10.0.2.0/24", "eu-central-1b")],
        "tables": [
            { "routeTableId": "rtb-public", "associationSet": [{ "main": "true" }], "routeSet": [
                { "destinationCidrBlock": "10.0.0.0/16", "gatewayId": "local", "state": "active" },
                { "destinationCidrBlock": "0.0.0.0/0", "gatewayId": "igw-1", "state": "active" }] },
            { "routeTableId": "rtb-private", "associationSet": [
                { "main": "false", "subnetId": "subnet-1" }, { "main": "false", "subnetId": "subnet-2" }],
              "routeSet": [
                { "destinationCidrBlock": "10.0.0.0/16", "gatewayId": "local", "state": "active" },
                { "destinationCidrBlock": "0.0.0.0/0", "natGatewayId": "nat-1", "state": "active" }] } ],
        // subnet-9 has the main table, which leads to the internet gateway.
        "gateways": [{ "natGatewayId": "nat-1", "state": "available", "subnetId": "subnet-9",
            "connectivityType": "public" }],
        "endpoints": [
            { "vpcEndpointId": "vpce-1", "vpcEndpointType": "Interface", "state": "available",
              "serviceName": "com.amazonaws.eu-central-1.secretsmanager", "privateDnsEnabled": "true",
              "groupSet": [{ "groupId": "sg-endpoint" }] },
            { "vpcEndpointId": "vpce-2", "vpcEndpointType": "Gateway", "state": "available",
              "serviceName": "com.amazonaws.eu-central-1.s3", "routeTableIdSet": ["rtb-private"] } ],
        "groups": [
            { "groupId": "sg-task", "ipPermissions": [rule("8443", "8443", Some("sg-balancer"), None)],
              "ipPermissionsEgress": [everything] },
            { "groupId": "sg-balancer", "ipPermissions": [rule("443", "443", None, Some("0.0.0.0/0"))],
              "ipPermissionsEgress": [rule("8443", "8443", Some("sg-task"), None)] },
            { "groupId": "sg-endpoint", "ipPermissions": [rule("443", "443", None, Some("10.0.0.0/16"))] } ],
        "acls": [{ "associationSet": [{ "subnetId": "subnet-1" }, { "subnetId": "subnet-2" }],
            "entrySet": [acl_entry("100", "true"), acl_entry("100", "false")] }],
        "dns": { "enableDnsSupport": "true", "enableDnsHostnames": "true" },
    })
}

/// Returns a request for a task in the account.
pub(crate) fn request() -> VerifyRequest {
    let logs = json!({ "logDriver": "awslogs", "options": { "awslogs-group": "/ecs/web",
        "awslogs-region": "eu-central-1", "awslogs-stream-prefix": "web" } });
    // Pinned with tag and digest, and by tag; a whole secret, a key of one, and a parameter.
    let definition = json!({
        "family": "web", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc",
        "cpu": "1024", "memory": "2048",
        "executionRoleArn": "arn:aws:iam::210987654321:role/execution",
        "taskRoleArn": "arn:aws:iam::210987654321:role/task",
        "containerDefinitions": [
            { "name": "proxy", "image": format!("{REGISTRY}/proxy:1@{DIGEST}"), "logConfiguration": logs,
              "secrets": [{ "name": "TLS", "valueFrom": TLS }] },
            { "name": "app", "image": format!("{REGISTRY}/app:1"), "logConfiguration": logs, "secrets": [
                { "name": "PASSWORD", "valueFrom": format!("{SECRET}:password::") },
                { "name": "MODE", "valueFrom": "/app/mode" }] },
        ],
    });

    VerifyRequest {
        definition: serde_json::from_value(definition).unwrap(),
        account: Some("210987654321".to_owned()),
        region: "eu-central-1".to_owned(),
        place: Place {
            cluster: Some("main".to_owned()),
            vpc: Some("vpc-1".to_owned()),
            subnets: vec!["subnet-1".to_owned(), "subnet-2".to_owned()],
            security_groups: vec!["sg-task".to_owned()],
            target_group: Some("tg-1".to_owned()),
            hosts: vec!["api.example.com".to_owned()],
            ..Place::default()
        },
        public: Some(PublicEndpoint {
            container: "proxy".to_owned(),
            port: 8443,
            protocols: vec!["HTTPS".to_owned()],
        }),
        statements: Vec::new(),
        // Four vCPUs; the quota is six.
        max_tasks: 4,
        has_scaling: true,
        has_exec: false,
        is_before_stack: false,
        now: NOW,
    }
}
