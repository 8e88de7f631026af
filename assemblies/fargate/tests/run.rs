//! Running tasks against a small ECS of our own, which says what moto cannot: exit codes, failures, trouble.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

mod support;

use std::process::Command;
use std::time::Duration;

use fargate::{
    Client, Error, Override, PublicAddress, RunRequest, Started, Wait, latest, register, run, wait,
};
use serde_json::{Value, json};
use support::{Answer, FakeEcs, definition};

const TASK: &str = "arn:aws:ecs:eu-central-1:111122223333:task/main/0123";
const REVISION: &str = "arn:aws:ecs:eu-central-1:111122223333:task-definition/web:3";

fn ok(body: Value) -> Answer {
    (200, body.to_string())
}

fn task(status: &str, containers: Value) -> Answer {
    ok(json!({ "tasks": [{
        "taskArn": TASK, "taskDefinitionArn": REVISION, "lastStatus": status, "containers": containers,
        "stopCode": "EssentialContainerExited", "stoppedReason": "Essential container in task exited"
    }], "failures": [] }))
}

fn request() -> RunRequest {
    RunRequest {
        cluster: "main".to_owned(),
        task_definition: "web".to_owned(),
        subnets: vec!["subnet-1".to_owned()],
        wait: quick(),
        ..RunRequest::default()
    }
}

fn quick() -> Wait {
    let pause = Duration::from_millis(1);
    Wait {
        limit: Duration::from_secs(30),
        pause,
        longest_pause: pause,
    }
}

/// An ECS whose task takes the statuses one after the other, then ends like this.
fn ecs(statuses: &'static [&'static str], containers: Value) -> FakeEcs {
    FakeEcs::start(move |operation, _, before| match operation {
        "RunTask" => task("PROVISIONING", json!([])),
        "DescribeTasks" => match statuses.get(before) {
            Some(&"MISSING") => {
                ok(json!({ "tasks": [], "failures": [{ "arn": TASK, "reason": "MISSING" }] }))
            }
            Some(status) => task(status, json!([])),
            None => task("STOPPED", containers.clone()),
        },
        _ => ok(json!({ "taskDefinition": serde_json::to_value(definition()).unwrap() })),
    })
}

#[tokio::test]
async fn the_exit_code_is_that_of_the_essential_container() {
    let containers = json!([
        { "name": "telemetry", "exitCode": 9 },
        { "name": "proxy", "exitCode": 143 },
        { "name": "app", "exitCode": 3, "reason": "OutOfMemoryError: killed" }
    ]);
    let ecs = ecs(&["MISSING", "PENDING", "RUNNING"], containers);
    let client = Client::emulator(&ecs.url).await.unwrap();
    let finished = run(&client, &request()).await.unwrap();

    assert_eq!(finished.exit_code, Some(3));
    assert_eq!(
        finished.stop_code.as_deref(),
        Some("EssentialContainerExited")
    );
    assert_eq!(
        finished.stopped_reason.as_deref(),
        Some("Essential container in task exited")
    );

    assert_eq!(
        finished.containers[2].reason.as_deref(),
        Some("OutOfMemoryError: killed")
    );

    let essential: Vec<_> = finished
        .containers
        .iter()
        .map(|one| one.essential)
        .collect();

    assert_eq!(essential, [false, true, true]);
    assert_eq!(ecs.count("DescribeTasks"), 4);
}

#[tokio::test]
async fn a_task_that_never_ran_has_no_exit_code() {
    let containers = json!([{ "name": "app", "reason": "CannotPullContainerError: not found" }]);
    let ecs = ecs(&[], containers);
    let client = Client::emulator(&ecs.url).await.unwrap();
    let finished = run(&client, &request()).await.unwrap();
    assert_eq!(finished.exit_code, None);
}

#[tokio::test]
async fn asks_for_what_was_requested() {
    let ecs = ecs(&[], json!([]));
    let client = Client::emulator(&ecs.url).await.unwrap();
    let request = RunRequest {
        security_groups: vec!["sg-1".to_owned()],
        public_address: PublicAddress::Yes,
        started_by: Some("assemble".to_owned()),
        overrides: vec![Override {
            container: "app".to_owned(),
            command: Some(vec!["run".to_owned()]),
            environment: [("INPUT".to_owned(), "s3://films/a.mp4".to_owned())].into(),
        }],
        ..request()
    };

    run(&client, &request).await.unwrap();
    let mut asked = ecs.body("RunTask");

    // So that a question asked twice starts one task.
    assert!(
        asked
            .as_object_mut()
            .unwrap()
            .remove("clientToken")
            .is_some()
    );

    assert_eq!(
        asked,
        json!({
            "cluster": "main", "taskDefinition": "web", "count": 1, "launchType": "FARGATE",
            "startedBy": "assemble",
            "networkConfiguration": { "awsvpcConfiguration": {
                "subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "ENABLED"
            } },
            "overrides": { "containerOverrides": [{
                "name": "app", "command": ["run"],
                "environment": [{ "name": "INPUT", "value": "s3://films/a.mp4" }]
            }] }
        })
    );
}

#[tokio::test]
async fn hears_every_change_of_status() {
    let ecs = ecs(
        &["PROVISIONING", "PENDING", "PENDING", "RUNNING"],
        json!([]),
    );
    let client = Client::emulator(&ecs.url).await.unwrap();
    let started = Started {
        task: TASK.to_owned(),
        task_definition: REVISION.to_owned(),
    };

    let mut heard = Vec::new();
    wait(&client, "main", &started, quick(), |status| {
        heard.push(status.to_owned());
    })
    .await
    .unwrap();
    assert_eq!(heard, ["PROVISIONING", "PENDING", "RUNNING", "STOPPED"]);
}

#[tokio::test]
async fn failures_are_told_with_their_reasons() {
    let ecs = FakeEcs::start(|_, _, _| {
        ok(
            json!({ "tasks": [], "failures": [{ "arn": "fargate", "reason": "Capacity is unavailable", "detail": "try another zone" }] }),
        )
    });
    let client = Client::emulator(&ecs.url).await.unwrap();
    let error = run(&client, &request()).await.unwrap_err();
    let told = "the task was not started: Capacity is unavailable: try another zone (fargate)";
    assert_eq!(error.to_string(), told);
}

#[tokio::test]
async fn without_a_subnet_nothing_is_asked() {
    let ecs = ecs(&[], json!([]));
    let client = Client::emulator(&ecs.url).await.unwrap();
    let error = run(
        &client,
        &RunRequest {
            subnets: Vec::new(),
            ..request()
        },
    )
    .await
    .unwrap_err();

    assert!(error.to_string().contains("no subnet was given"), "{error}");
    assert_eq!(ecs.count("RunTask"), 0);
}

#[tokio::test]
async fn a_task_that_does_not_end_is_left_and_named() {
    let ecs = FakeEcs::start(|_, _, _| task("RUNNING", json!([])));
    let client = Client::emulator(&ecs.url).await.unwrap();
    let wait = Wait {
        limit: Duration::from_millis(20),
        ..quick()
    };
    let error = run(&client, &RunRequest { wait, ..request() })
        .await
        .unwrap_err();

    assert!(
        matches!(&error, Error::StillRunning { status, .. } if status == "RUNNING"),
        "{error:?}"
    );
    assert!(error.to_string().contains(TASK), "{error}");
}

#[tokio::test]
async fn a_task_that_ecs_forgot_is_vanished() {
    let ecs = ecs(&["MISSING"; 50], json!([]));
    let client = Client::emulator(&ecs.url).await.unwrap();
    let error = run(&client, &request()).await.unwrap_err();
    assert!(matches!(error, Error::Vanished { .. }), "{error:?}");
    assert_eq!(ecs.count("DescribeTasks"), 6);
}

#[tokio::test]
async fn a_page_of_html_is_not_passed_on() {
    let ecs = FakeEcs::start(|_, _, _| {
        (
            500,
            "<html><h1>Internal Server Error</h1></html>".to_owned(),
        )
    });

    let client = Client::emulator(&ecs.url).await.unwrap();
    let error = latest(&client, "web").await.unwrap_err();
    let told = "the answer to DescribeTaskDefinition was HTTP 500 and not understood; is the endpoint really ECS?";
    assert_eq!(error.to_string(), told);

    assert_eq!(
        ecs.count("DescribeTaskDefinition"),
        3,
        "a 500 is tried three times"
    );
}

#[tokio::test]
async fn a_refusal_is_told_once_and_in_words() {
    let ecs = FakeEcs::start(|_, _, _| {
        let body = json!({ "__type": "ClientException", "message": "No Fargate configuration exists for given values." });
        (400, body.to_string())
    });
    let client = Client::emulator(&ecs.url).await.unwrap();
    let error = register(&client, &definition()).await.unwrap_err();
    let told = "ECS refused RegisterTaskDefinition: No Fargate configuration exists for given values. (ClientException)";

    assert_eq!(error.to_string(), told);
    assert_eq!(ecs.count("RegisterTaskDefinition"), 1);
    assert_eq!(
        ecs.body("RegisterTaskDefinition"),
        serde_json::to_value(definition()).unwrap()
    );
}

#[tokio::test]
async fn an_endpoint_that_does_not_listen_is_said_to_be_unreachable() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let client = Client::emulator(&format!("http://{free}")).await.unwrap();
    let error = latest(&client, "web").await.unwrap_err();

    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .contains("check the network and AWS_ENDPOINT_URL"),
        "{error}"
    );
}

/// The environment belongs to the process, so these questions are asked in processes of their own.
#[tokio::test]
async fn a_bare_environment_is_told_what_it_lacks() {
    if std::env::var_os("FARGATE_TEST_INNER").is_some() {
        let told = match Client::from_environment().await {
            Ok(client) => latest(&client, "web").await.unwrap_err(),
            Err(error) => error,
        };
        panic!("{told}");
    }

    let without_region = inner(&[]);
    assert!(
        without_region.contains("no AWS region is set; set AWS_REGION"),
        "{without_region}"
    );

    let without_keys = inner(&[("AWS_REGION", "eu-central-1")]);
    assert!(
        without_keys.contains("no AWS credentials were found"),
        "{without_keys}"
    );
}

fn inner(variables: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_bare_environment_is_told_what_it_lacks"])
        .env_clear()
        .env("FARGATE_TEST_INNER", "1")
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
