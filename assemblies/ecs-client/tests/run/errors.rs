//! Errors.

use std::process::Command;

use ecs_client::{Client, Error, latest, register, run};
use serde_json::json;

use crate::common::{TASK, refusal, request, task};
use crate::support::{FakeEcs, definition};

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
        without_region.contains("no AWS region is set; pass --region, or set AWS_REGION"),
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
        .args(["--exact", "errors::reports_missing_configuration"])
        .env_clear()
        .env("ECS_CLIENT_TEST_INNER", "1")
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test]
async fn names_the_permission_that_is_missing_at_each_call() {
    for denied in ["RunTask", "DescribeTasks"] {
        let ecs = FakeEcs::start(move |operation, _, _| match operation {
            operation if operation == denied => {
                refusal("AccessDeniedException", "User: me is not authorized")
            }
            _ => task("PROVISIONING", json!([])),
        });
        let client = Client::emulator(&ecs.url).await.unwrap();
        let error = run(&client, &request()).await.unwrap_err().to_string();
        let hint = format!("must allow ecs:{denied}: see `assemble permissions`");
        assert!(error.contains(&hint), "{error}");
        assert_eq!(ecs.count(denied), 1, "a refusal is final");
    }
}

#[tokio::test]
async fn a_refused_poll_names_the_task_that_runs_on() {
    let ecs = FakeEcs::start(|operation, _, _| match operation {
        "RunTask" => task("PROVISIONING", json!([])),
        _ => refusal("AccessDeniedException", "not authorized"),
    });

    let client = Client::emulator(&ecs.url).await.unwrap();
    let error = run(&client, &request()).await.unwrap_err().to_string();
    assert!(
        error.contains(TASK) && error.contains("continues to run"),
        "{error}"
    );

    assert!(
        error.contains("allow ecs:DescribeTasks: see `assemble permissions`"),
        "{error}"
    );
}
