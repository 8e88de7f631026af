//! Tests against a fake ECS for what moto does not support: exit codes, failures, errors.

#![allow(clippy::unwrap_used, reason = "a failing helper fails the test")]

mod support;

use std::process::Command;
use std::time::Duration;

use ecs_client::{
    Client, Error, Override, PublicAddress, RunRequest, StartedTask, Wait, latest, register, run,
    wait,
};
use serde_json::{Value, json};
use support::{FakeEcs, Response, definition};

const TASK: &str = "arn:aws:ecs:eu-central-1:111122223333:task/main/0123";
const REVISION: &str = "arn:aws:ecs:eu-central-1:111122223333:task-definition/web:3";

fn ok(body: Value) -> Response {
    (200, body.to_string())
}

fn task(status: &str, containers: Value) -> Response {
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
    let interval = Duration::from_millis(1);
    Wait {
        timeout: Duration::from_secs(30),
        interval,
        max_interval: interval,
    }
}

/// Starts a fake ECS with a task that has these statuses in turn, and then stops with these containers.
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
async fn returns_the_exit_code_of_the_essential_container() {
    let containers = json!([
        // `telemetry` is not essential, and `proxy` was stopped by SIGTERM.
        { "name": "telemetry", "exitCode": 9 },
        { "name": "proxy", "exitCode": 143 },
        { "name": "app", "exitCode": 3, "reason": "OutOfMemoryError: killed" }
    ]);
    let ecs = ecs(&["MISSING", "PENDING", "RUNNING"], containers);
    let client = Client::emulator(&ecs.url).await.unwrap();
    let stopped = run(&client, &request()).await.unwrap();

    assert_eq!(stopped.exit_code, Some(3));
    assert_eq!(
        stopped.stop_code.as_deref(),
        Some("EssentialContainerExited")
    );
    assert_eq!(
        stopped.stopped_reason.as_deref(),
        Some("Essential container in task exited")
    );

    assert_eq!(
        stopped.containers[2].reason.as_deref(),
        Some("OutOfMemoryError: killed")
    );

    let essential: Vec<_> = stopped
        .containers
        .iter()
        .map(|container| container.essential)
        .collect();

    assert_eq!(essential, [false, true, true]);
    // Once per status, and once for the stopped task.
    assert_eq!(ecs.count("DescribeTasks"), 4);
}

#[tokio::test]
async fn returns_no_exit_code_for_a_task_that_did_not_run() {
    let containers = json!([{ "name": "app", "reason": "CannotPullContainerError: not found" }]);
    let ecs = ecs(&[], containers);
    let client = Client::emulator(&ecs.url).await.unwrap();
    let stopped = run(&client, &request()).await.unwrap();
    assert_eq!(stopped.exit_code, None);
}

#[tokio::test]
async fn sends_the_parameters_of_the_request() {
    let ecs = ecs(&[], json!([]));
    let client = Client::emulator(&ecs.url).await.unwrap();
    let request = RunRequest {
        security_groups: vec!["sg-1".to_owned()],
        public_address: PublicAddress::Yes,
        started_by: Some("assemble".to_owned()),
        overrides: vec![Override {
            container: "app".to_owned(),
            command: Some(vec!["run".to_owned()]),
            environment: [("INPUT".to_owned(), "s3://videos/a.mp4".to_owned())].into(),
        }],
        ..request()
    };

    run(&client, &request).await.unwrap();
    let mut body = ecs.body("RunTask");

    // Makes the call idempotent, so that a retry does not start a second task.
    assert!(
        body.as_object_mut()
            .unwrap()
            .remove("clientToken")
            .is_some()
    );

    assert_eq!(
        body,
        json!({
            "cluster": "main", "taskDefinition": "web", "count": 1, "launchType": "FARGATE",
            "startedBy": "assemble",
            "networkConfiguration": { "awsvpcConfiguration": {
                "subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "ENABLED"
            } },
            "overrides": { "containerOverrides": [{
                "name": "app", "command": ["run"],
                "environment": [{ "name": "INPUT", "value": "s3://videos/a.mp4" }]
            }] }
        })
    );
}

#[tokio::test]
async fn reports_every_change_of_status() {
    let ecs = ecs(
        &["PROVISIONING", "PENDING", "PENDING", "RUNNING"],
        json!([]),
    );
    let client = Client::emulator(&ecs.url).await.unwrap();
    let started = StartedTask {
        task: TASK.to_owned(),
        task_definition: REVISION.to_owned(),
    };

    let mut statuses = Vec::new();
    wait(&client, "main", &started, quick(), |status| {
        statuses.push(status.to_owned());
    })
    .await
    .unwrap();
    assert_eq!(statuses, ["PROVISIONING", "PENDING", "RUNNING", "STOPPED"]);
}

#[tokio::test]
async fn reports_failures_with_their_reasons() {
    let ecs = FakeEcs::start(|_, _, _| {
        ok(
            json!({ "tasks": [], "failures": [{ "arn": "fargate", "reason": "Capacity is unavailable", "detail": "try another zone" }] }),
        )
    });
    let client = Client::emulator(&ecs.url).await.unwrap();
    let error = run(&client, &request()).await.unwrap_err();
    let expected =
        "ECS did not start the task: Capacity is unavailable: try another zone (fargate)";
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn rejects_a_request_without_subnets_locally() {
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

    assert!(error.to_string().contains("no subnet given"), "{error}");
    assert_eq!(ecs.count("RunTask"), 0);
}

#[tokio::test]
async fn reports_a_task_that_does_not_stop_in_time() {
    let ecs = FakeEcs::start(|_, _, _| task("RUNNING", json!([])));
    let client = Client::emulator(&ecs.url).await.unwrap();
    let wait = Wait {
        timeout: Duration::from_millis(20),
        ..quick()
    };
    let error = run(&client, &RunRequest { wait, ..request() })
        .await
        .unwrap_err();

    assert!(
        matches!(&error, Error::WaitTimeout { status, .. } if status == "RUNNING"),
        "{error:?}"
    );
    assert!(error.to_string().contains(TASK), "{error}");
}

#[tokio::test]
async fn reports_a_task_that_ecs_no_longer_returns() {
    // Missing in more polls in a row than eventual consistency explains.
    let ecs = ecs(&["MISSING"; 50], json!([]));
    let client = Client::emulator(&ecs.url).await.unwrap();
    let error = run(&client, &request()).await.unwrap_err();
    assert!(matches!(error, Error::TaskNotFound { .. }), "{error:?}");
    assert_eq!(ecs.count("DescribeTasks"), 6);
}

#[tokio::test]
async fn hides_an_html_page() {
    let ecs = FakeEcs::start(|_, _, _| {
        (
            500,
            "<html><h1>Internal Server Error</h1></html>".to_owned(),
        )
    });

    let client = Client::emulator(&ecs.url).await.unwrap();
    let error = latest(&client, "web").await.unwrap_err();
    let expected =
        "unexpected response to DescribeTaskDefinition (HTTP 500); check that the endpoint is ECS";
    assert_eq!(error.to_string(), expected);

    assert_eq!(
        ecs.count("DescribeTaskDefinition"),
        3,
        "a 500 is attempted three times"
    );
}

#[tokio::test]
async fn reports_a_client_error_without_retries() {
    let ecs = FakeEcs::start(|_, _, _| {
        let body = json!({ "__type": "ClientException", "message": "No Fargate configuration exists for given values." });
        (400, body.to_string())
    });
    let client = Client::emulator(&ecs.url).await.unwrap();
    let error = register(&client, &definition()).await.unwrap_err();
    let expected = "ECS refused RegisterTaskDefinition: No Fargate configuration exists for given values. (ClientException)";

    assert_eq!(error.to_string(), expected);
    assert_eq!(ecs.count("RegisterTaskDefinition"), 1);
    assert_eq!(
        ecs.body("RegisterTaskDefinition"),
        serde_json::to_value(definition()).unwrap()
    );
}

#[tokio::test]
async fn reports_an_unreachable_endpoint() {
    // The listener is dropped at once, so nothing accepts connections.
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

/// Runs itself in child processes, since environment variables are global to a process.
#[tokio::test]
async fn reports_missing_configuration() {
    if std::env::var_os("ECS_CLIENT_TEST_INNER").is_some() {
        let error = match Client::from_environment().await {
            Ok(client) => latest(&client, "web").await.unwrap_err(),
            Err(error) => error,
        };
        panic!("{error}");
    }

    let without_region = run_in_child(&[]);
    assert!(
        without_region.contains("no AWS region is set; set AWS_REGION"),
        "{without_region}"
    );

    let without_keys = run_in_child(&[("AWS_REGION", "eu-central-1")]);
    assert!(
        without_keys.contains("no AWS credentials were found"),
        "{without_keys}"
    );
}

fn run_in_child(variables: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "reports_missing_configuration"])
        .env_clear()
        .env("ECS_CLIENT_TEST_INNER", "1")
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
