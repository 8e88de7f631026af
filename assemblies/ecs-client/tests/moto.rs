//! Tests against moto, an independent emulator of ECS: the wire format, and registration.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing helper fails the test"
)]

mod support;

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use diagnostics::Finding;
use diagnostics::source::Source;
use ecs_client::{
    Api as _, Call, Client, Comparison, Error, Operation, Override, RunRequest, TaskOutcome, Wait,
    difference, latest, register, run,
};
use ecs_rules::check;
use serde_json::{Value, json};
use support::{Moto, definition};
use task_definition::{normalise, read};

#[tokio::test]
async fn describes_what_was_registered() {
    let Some(moto) = Moto::start("register against moto") else {
        return;
    };
    let client = Client::emulator(&moto.url).await.unwrap();
    let mut definition = definition();

    assert_eq!(
        difference(&client, &definition).await.unwrap(),
        Comparison::New
    );
    assert_eq!(latest(&client, "web").await.unwrap(), None);

    let first = register(&client, &definition).await.unwrap();
    assert_eq!((first.family.as_str(), first.number), ("web", 1));
    assert_eq!(
        difference(&client, &definition).await.unwrap(),
        Comparison::Same
    );

    let described = latest(&client, &first.arn).await.unwrap().unwrap();
    assert_eq!(
        normalise(&described).to_json(),
        normalise(&definition).to_json()
    );

    // Two changes in different places of the document.
    definition.container_definitions[1].image = "app:2".to_owned();
    definition.memory = Some("2048".to_owned());
    let Comparison::Changed(changes) = difference(&client, &definition).await.unwrap() else {
        panic!("nothing differs")
    };
    let pointers: Vec<_> = changes
        .iter()
        .map(|change| change.pointer.as_str())
        .collect();

    assert_eq!(pointers, ["/containerDefinitions/app/image", "/memory"]);
    assert_eq!(register(&client, &definition).await.unwrap().number, 2);
}

#[tokio::test]
async fn published_definitions_have_no_difference_after_registration() {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/task-definitions");
    let Ok(entries) = std::fs::read_dir(folder) else {
        // Not `eprintln!`: libtest hides the captured output of passing tests.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: published task definitions needs ../shared/data"
        );
        return;
    };

    let Some(moto) = Moto::start("published definitions against moto") else {
        return;
    };
    let client = Client::emulator(&moto.url).await.unwrap();
    let mut registered = 0;

    for path in entries.map(|entry| entry.unwrap().path()) {
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        let name = path.display().to_string();
        let Ok(located) = read(&Source::new(name.clone(), text)) else {
            continue;
        };

        // moto accepts and changes families (T01) and network modes (T04, T19) that ECS refuses,
        // including placeholders (Y03).
        let is_changed = |finding: &Finding| match finding.rule {
            "T01" | "T04" | "T19" => true,
            "Y03" => matches!(finding.pointer.as_deref(), Some("/family" | "/networkMode")),
            _ => false,
        };

        if check(&located).iter().any(is_changed) {
            continue;
        }

        // If several files have the same family, each registers another revision.
        if register(&client, &located.definition).await.is_err() {
            continue;
        }
        registered += 1;
        let comparison = difference(&client, &located.definition).await.unwrap();
        assert_eq!(comparison, Comparison::Same, "{name}");
    }

    assert!(registered > 40, "moto accepted only {registered}");
}

#[tokio::test]
async fn reports_an_error_of_the_api() {
    let Some(moto) = Moto::start("refusal by moto") else {
        return;
    };
    let client = Client::emulator(&moto.url).await.unwrap();
    let mut definition = definition();

    definition.container_definitions[0].image = String::new();
    // An empty image, and a PID mode that Fargate does not support.
    definition.pid_mode = Some("host".to_owned());
    let error = register(&client, &definition).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");

    assert!(
        error
            .to_string()
            .starts_with("ECS refused RegisterTaskDefinition: "),
        "{error}"
    );
}

#[tokio::test]
async fn runs_a_task_until_it_stops() {
    let Some(moto) = Moto::start("run against moto") else {
        return;
    };
    let client = Client::emulator(&moto.url).await.unwrap();
    let json = "application/x-amz-json-1.1";
    let ecs = "AmazonEC2ContainerServiceV20141113.CreateCluster";

    // The calls of the test's setup are outside this crate's API, so they are written by hand.
    moto.call("ecs", ecs, json, r#"{"clusterName":"main"}"#);
    let form = "application/x-www-form-urlencoded";
    let body = "Action=DescribeSubnets&Version=2016-11-15";
    let subnets = moto.call("ec2", "", form, body);
    let subnet = between(&subnets, "<subnetId>", "</subnetId>");
    let groups = moto.call(
        "ec2",
        "",
        form,
        "Action=DescribeSecurityGroups&Version=2016-11-15",
    );

    let group = between(&groups, "<groupId>", "</groupId>");
    register(&client, &definition()).await.unwrap();

    let request = RunRequest {
        cluster: "main".to_owned(),
        task_definition: "web".to_owned(),
        subnets: vec![subnet],
        security_groups: vec![group],
        overrides: vec![Override {
            container: "app".to_owned(),
            ..Override::default()
        }],
        wait: Wait {
            interval: Duration::from_millis(1),
            ..Wait::default()
        },
        ..RunRequest::default()
    };

    let outcomes = run(&client, &request).await.unwrap();
    let [TaskOutcome::Stopped(stopped)] = &outcomes[..] else {
        panic!("{outcomes:?}");
    };
    assert!(stopped.task.contains(":task/main/"), "{stopped:?}");
    assert_eq!(stopped.exit_code, Some(0));
    assert_eq!(stopped.containers[0].name, "proxy");
}

fn between(text: &str, start: &str, end: &str) -> String {
    let rest = text.split_once(start).map(|(_, rest)| rest);
    let found = rest.and_then(|rest| rest.split_once(end));
    assert!(found.is_some(), "no {start} in {text}");
    found.unwrap().0.to_owned()
}

/// Runs itself in a child process, since environment variables are global to a process.
#[tokio::test]
async fn reads_the_endpoint_from_the_environment() {
    if std::env::var_os("ECS_CLIENT_TEST_INNER").is_some() {
        let client = Client::from_environment().await.unwrap();
        assert_eq!(register(&client, &definition()).await.unwrap().number, 1);
        return;
    }

    let Some(moto) = Moto::start("endpoint of the environment") else {
        return;
    };
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "reads_the_endpoint_from_the_environment"])
        .env_clear()
        .env("ECS_CLIENT_TEST_INNER", "1")
        .env("AWS_ENDPOINT_URL", &moto.url)
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ACCESS_KEY_ID", "x")
        .env("AWS_SECRET_ACCESS_KEY", "x")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap();

    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

/// JSON, query and EC2 query, with lists and structures in requests and responses.
#[tokio::test]
async fn calls_apis_of_every_protocol() {
    let Some(moto) = Moto::start("protocols against moto") else {
        return;
    };
    let client = Client::emulator(&moto.url).await.unwrap();
    let call = async |operation: Operation, body: Value| {
        client.call(&Call::new(operation, body)).await.unwrap()
    };

    let filter = json!({ "Filter": [{ "Name": "default-for-az", "Value": ["true"] }] });
    let subnets = call(Operation::DescribeSubnets, filter).await;
    let subnet = &subnets["subnetSet"][0];
    assert!(subnet["vpcId"].is_string(), "{subnets}");
    let filter =
        json!({ "Filter": [{ "Name": "vpc-id", "Value": ["vpc-none", subnet["vpcId"]] }] });
    let tables = call(Operation::DescribeRouteTables, filter).await;
    assert_eq!(tables["routeTableSet"][0]["vpcId"], subnet["vpcId"]);

    let template = json!({ "Resources": { "Logs": { "Type": "AWS::Logs::LogGroup",
        "Properties": { "LogGroupName": "/ecs/web" } } } });
    let body = json!({ "StackName": "web", "ChangeSetName": "first", "ChangeSetType": "CREATE",
        "TemplateBody": template.to_string(), "Capabilities": ["CAPABILITY_IAM"],
        "Tags": [{ "Key": "team", "Value": "a & b" }] });
    let change_set = call(Operation::CreateChangeSet, body).await;
    assert!(change_set["Id"].is_string(), "{change_set}");
    let body = json!({ "StackName": "web", "ChangeSetName": "first" });
    call(Operation::ExecuteChangeSet, body).await;
    let stacks = call(Operation::DescribeStacks, json!({ "StackName": "web" })).await;
    assert_eq!(
        stacks["Stacks"][0]["Tags"],
        json!([{ "Key": "team", "Value": "a & b" }])
    );

    let prefix = json!({ "logGroupNamePrefix": "/ecs/" });
    let groups = call(Operation::DescribeLogGroups, prefix).await;
    assert_eq!(groups["logGroups"][0]["logGroupName"], "/ecs/web");
    let balancers = call(Operation::DescribeLoadBalancers, json!({})).await;
    assert_eq!(balancers, json!({ "LoadBalancers": null }));
    let parameters = json!({ "Names": ["/none"] });
    let parameters = call(Operation::GetParameters, parameters).await;
    assert_eq!(parameters["InvalidParameters"], json!(["/none"]));

    let role = Call::new(Operation::GetRole, json!({ "RoleName": "none" }));
    let error = client.call(&role).await.unwrap_err().to_string();
    assert!(
        error.starts_with("IAM refused GetRole: ") && error.ends_with("(NoSuchEntity)"),
        "{error}"
    );
    let secret = json!({ "SecretId": "none" });
    let secret = client
        .call(&Call::new(Operation::DescribeSecret, secret))
        .await;
    assert!(
        secret
            .unwrap_err()
            .to_string()
            .contains("ResourceNotFoundException")
    );
}
