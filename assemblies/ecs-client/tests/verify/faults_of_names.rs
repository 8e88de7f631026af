//! Faults of what the task names: images, secrets, target group, roles, log groups, certificates, quotas.

use serde_json::{Value, json};

use crate::account::{Account, CERTIFICATE, DAY, DIGEST, NOW, SECRET, TLS, request};
use crate::faults::{Fault, expect, failures};

const OTHER: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

#[tokio::test]
async fn faults_of_images() {
    let app = "210987654321.dkr.ecr.eu-central-1.amazonaws.com/app:1";
    let proxy = "210987654321.dkr.ecr.eu-central-1.amazonaws.com/proxy:1@sha256:\
        1111111111111111111111111111111111111111111111111111111111111111";
    let faults: &[Fault] = &[
        (app, "no repository app", |it| {
            it["repositories"].as_array_mut().unwrap().remove(0);
        }),
        (app, "no tag 1", |it| {
            it["repositories"][0]["images"] = json!([])
        }),
        // An index without the platform of the task.
        (app, "the image is for linux/arm64", |it| {
            let manifest = json!({ "manifests": [{ "platform": { "os": "linux", "architecture": "arm64" } }] });
            it["repositories"][0]["images"][0]["imageManifest"] = manifest.to_string().into();
        }),
        (proxy, "no image sha256:1111", |it| {
            it["repositories"][1]["images"][0]["imageId"]["imageDigest"] = OTHER.into();
        }),
        // Another image was pushed with the tag.
        (proxy, "is now sha256:2222", |it| {
            let mut other = it["repositories"][1]["images"][0].clone();
            it["repositories"][1]["images"][0]["imageId"]["imageTag"] = Value::Null;
            other["imageId"]["imageDigest"] = OTHER.into();
            it["repositories"][1]["images"]
                .as_array_mut()
                .unwrap()
                .push(other);
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
        (TLS, "scheduled for deletion", |it| {
            it["secrets"][1]["DeletedDate"] = 1.into()
        }),
        (TLS, "no version AWSCURRENT", |it| {
            it["secrets"][1]["VersionIdsToStages"] = json!({})
        }),
        // The secret has a key of the customer.
        (TLS, "may not decrypt with k-1", |it| {
            it["denies"] = json!([["role/execution", "kms:Decrypt"]]);
        }),
        (password, "no key password", |it| {
            it["secrets"][0]["value"] = "{\"user\":\"u\"}".into()
        }),
        (password, "no JSON object", |it| {
            it["secrets"][0]["value"] = "hidden".into()
        }),
        ("/app/mode", "no parameter /app/mode", |it| {
            it["parameters"] = json!([])
        }),
    ];

    expect(faults, &request()).await;
    assert!(password.starts_with(SECRET));
}

#[tokio::test]
async fn faults_of_the_target_group() {
    let faults: &[Fault] = &[
        ("target group", "there is no", |it| {
            it["target_groups"] = json!([])
        }),
        ("target type", "instance", |it| {
            it["target_groups"][0]["TargetType"] = "instance".into()
        }),
        ("protocol", "its protocol is HTTP", |it| {
            it["target_groups"][0]["Protocol"] = "HTTP".into()
        }),
        ("VPC of the target group", "vpc-2", |it| {
            it["target_groups"][0]["VpcId"] = "vpc-2".into()
        }),
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
        ("attached", "no listener", |it| {
            it["target_groups"][0]["LoadBalancerArns"] = Value::Null
        }),
    ];

    expect(faults, &request()).await;
}

#[tokio::test]
async fn faults_of_the_caller_and_the_roles() {
    let faults: &[Fault] = &[
        ("account", "111122223333", |it| {
            it["caller"]["Account"] = "111122223333".into()
        }),
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
        (
            "execution role: LogInToRegistry",
            "ecr:GetAuthorizationToken",
            |it| {
                it["denies"] = json!([["role/execution", "ecr:GetAuthorizationToken"]]);
            },
        ),
        ("execution role: PullImages", "ecr:BatchGetImage", |it| {
            it["denies"] = json!([["role/execution", "ecr:BatchGetImage"]]);
        }),
        ("execution role: WriteLogs", "logs:PutLogEvents", |it| {
            it["denies"] = json!([["role/execution", "logs:PutLogEvents"]]);
        }),
        (
            "execution role: ReadSecrets",
            "secretsmanager:GetSecretValue",
            |it| {
                it["denies"] = json!([["role/execution", "secretsmanager:GetSecretValue"]]);
            },
        ),
        (
            "execution role: ReadParameters",
            "ssm:GetParameters",
            |it| {
                it["denies"] = json!([["role/execution", "ssm:GetParameters"]]);
            },
        ),
        // Service-linked roles.
        ("AWSServiceRoleForECS", "does not exist", |it| {
            it["roles"].as_array_mut().unwrap().remove(3);
        }),
        (
            "AWSServiceRoleForElasticLoadBalancing",
            "does not exist",
            |it| {
                it["roles"].as_array_mut().unwrap().remove(4);
            },
        ),
        (
            "AWSServiceRoleForApplicationAutoScaling_ECSService",
            "does not exist",
            |it| {
                it["roles"].as_array_mut().unwrap().remove(5);
            },
        ),
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
        ("c-1", "expired 2 days ago", |it| {
            it["certificates"][0]["NotAfter"] = (NOW - 2 * DAY).into()
        }),
        ("c-1", "expires in 3 days", |it| {
            it["certificates"][0]["NotAfter"] = (NOW + 3 * DAY).into()
        }),
        ("names", "api.example.com", |it| {
            it["certificates"][0]["SubjectAlternativeNames"] = json!(["example.com"]);
        }),
        ("main", "INACTIVE", |it| {
            it["clusters"][0]["status"] = "INACTIVE".into()
        }),
        ("main", "no such cluster", |it| it["clusters"] = json!([])),
        ("vCPUs of Fargate", "needs 4", |it| {
            it["quotas"]["fargate"][0]["Value"] = 2.0.into()
        }),
        ("tasks of a service", "needs 4", |it| {
            it["quotas"]["ecs"][0]["Value"] = 3.0.into()
        }),
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
