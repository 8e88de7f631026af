//! The wire format of the calls, against moto.

use std::collections::BTreeMap;

use ecs_client::{Api as _, Call, CheckOutcome, Client, Operation, verify};
use serde_json::{Value, json};

use crate::account::request;
use crate::support::Moto;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/x-amz-json-1.1";

/// Creates what the request of the fake account names, but no image.
fn fill(moto: &Moto, vpc: &str) -> String {
    let trust = "%7B%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22sts%3AAssumeRole%22%2C\
        %22Principal%22%3A%7B%22Service%22%3A%22ecs-tasks.amazonaws.com%22%7D%7D%5D%7D";
    for name in ["execution", "task"] {
        let body = format!(
            "Action=CreateRole&Version=2010-05-08&RoleName={name}&AssumeRolePolicyDocument={trust}"
        );
        moto.call("iam", "", FORM, &body);
    }

    // The rest of the request has these names.
    let target = "Logs_20140328.CreateLogGroup";
    moto.call("logs", target, JSON, r#"{"logGroupName":"/ecs/web"}"#);

    let target = "AmazonSSM.PutParameter";
    let body = r#"{"Name":"/app/mode","Type":"String","Value":"x"}"#;
    moto.call("ssm", target, JSON, body);

    let target = "AmazonEC2ContainerRegistry_V20150921.CreateRepository";
    moto.call("ecr", target, JSON, r#"{"repositoryName":"app"}"#);

    let target = "AmazonEC2ContainerServiceV20141113.CreateCluster";
    moto.call("ecs", target, JSON, r#"{"clusterName":"main"}"#);

    let body = format!(
        "Action=CreateTargetGroup&Version=2015-12-01&Name=web&Protocol=HTTPS&Port=8443&TargetType=ip&VpcId={vpc}\
         &HealthCheckPath=%2F&HealthCheckProtocol=HTTPS"
    );

    let response = moto.call("elasticloadbalancing", "", FORM, &body);
    let arn = response.split_once("<TargetGroupArn>").unwrap().1;
    arn.split('<').next().unwrap().to_owned()
}

#[tokio::test]
async fn reads_what_moto_has() {
    let Some(moto) = Moto::start("verify against moto") else {
        return;
    };
    let client = Client::emulator(&moto.url).await.unwrap();
    let subnets = client
        .call(&Call::new(Operation::DescribeSubnets, json!({})))
        .await
        .unwrap();

    let subnet = &subnets["subnetSet"][0];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (id, vpc) = (text(&subnet["subnetId"]), text(&subnet["vpcId"]));

    // No VPC in the values: it is read from the subnet.
    let mut wanted = request();
    wanted.account = None;
    wanted.place.target_group = Some(fill(&moto, &vpc));
    wanted.place.subnets = vec![id.clone()];
    wanted.place.vpc = None;

    let text = serde_json::to_string(&wanted.definition).unwrap();
    // The account of moto.
    let text = text.replace("210987654321", "123456789012");
    wanted.definition = serde_json::from_str(&text).unwrap();

    let report = verify(&client, &wanted).await.unwrap();
    let outcomes: BTreeMap<_, _> = report
        .checks
        .iter()
        .map(|check| (check.name.as_str(), &check.outcome))
        .collect();

    let status = |name: &str| {
        let outcome = outcomes.get(name);
        outcome.map_or_else(|| panic!("{name}: {outcomes:?}"), |it| it.status())
    };

    let (routes, acl) = (format!("{id} routes"), format!("{id} network ACL"));
    for name in [
        "subnets",
        &acl,
        "DNS of the VPC",
        "/app/mode",
        "/ecs/web",
        "main",
        "account",
        "execution role execution",
        "task role task",
        "target type",
        "protocol",
        "health check",
        "VPC of the target group",
    ] {
        assert_eq!(status(name), "OK", "{name}: {:?}", outcomes[name]);
    }

    // The default VPC of moto has no internet gateway; the rest was not created.
    for name in [
        &*routes,
        "123456789012.dkr.ecr.eu-central-1.amazonaws.com/app:1",
        "attached",
        "groups of the tasks",
    ] {
        assert_eq!(status(name), "FAIL", "{name}: {:?}", outcomes[name]);
    }

    // What moto does not support is skipped, not failed.
    let simulated = outcomes["iam:PassRole of the task role"];
    assert!(
        matches!(
            simulated,
            CheckOutcome::Skip {
                permission: None,
                ..
            }
        ),
        "{simulated:?}"
    );
}
