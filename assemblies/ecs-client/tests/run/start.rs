//! Starting tasks.

use std::time::Duration;

use ecs_client::{
    Capacity, Client, Error, Interrupt, Override, Progress, PublicAddress, RunRequest, Wait, run,
    start,
};
use serde_json::{Value, json};

use crate::common::{
    REVISION, TASK, capacity, ecs, ecs_after, ok, quick, refusal, request, run_one,
};
use crate::support::{CUT, FakeEcs};

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
async fn reports_failures_with_their_reasons() {
    let ecs = FakeEcs::start(|_, _, _| {
        ok(
            json!({ "tasks": [], "failures": [{ "arn": "fargate", "reason": "ATTRIBUTE", "detail": "no platform version" }] }),
        )
    });
    let client = Client::emulator(&ecs.url).await.unwrap();
    let error = run(&client, &request()).await.unwrap_err();
    let expected = "ECS did not start the task: ATTRIBUTE: no platform version (fargate)";
    assert_eq!(error.to_string(), expected);
    assert_eq!(ecs.count("RunTask"), 1, "another attempt would fail too");
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
async fn tries_again_while_there_is_no_capacity() {
    let ecs = ecs_after(vec![capacity(), capacity()]);
    let client = Client::emulator(&ecs.url).await.unwrap();
    assert_eq!(run_one(&client, &request()).await.exit_code, Some(0));
    assert_eq!(ecs.count("RunTask"), 3);
}

#[tokio::test]
async fn tries_again_after_a_rate_limit_inside_another_error() {
    let limit = refusal("InvalidParameterException", "Rate exceeded");
    let ecs = ecs_after(vec![limit.clone(), limit]);
    let client = Client::emulator(&ecs.url).await.unwrap();
    assert_eq!(run_one(&client, &request()).await.exit_code, Some(0));
    // The same token each time: a limit may be reported after the task was started.
    let tokens = ecs.values("RunTask", "clientToken");
    assert_eq!(tokens.len(), 3);
    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
}

#[tokio::test]
async fn gives_up_at_the_timeout_without_capacity() {
    let ecs = FakeEcs::start(|_, _, _| capacity());
    let client = Client::emulator(&ecs.url).await.unwrap();
    let wait = Wait {
        timeout: Duration::from_millis(30),
        ..quick()
    };

    // The error of the last attempt, and not only that the time is over.
    let error = run(&client, &RunRequest { wait, ..request() })
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("Capacity is unavailable"),
        "{error}"
    );
    assert!(ecs.count("RunTask") > 1);
}

#[tokio::test]
async fn starts_the_rest_with_another_token() {
    let first = ok(json!({ "tasks": [
        { "taskArn": format!("{TASK}a"), "taskDefinitionArn": REVISION },
        { "taskArn": format!("{TASK}b"), "taskDefinitionArn": REVISION }
    ], "failures": [{ "reason": "Capacity is unavailable at this time." }] }));
    let second =
        ok(json!({ "tasks": [{ "taskArn": format!("{TASK}c"), "taskDefinitionArn": REVISION }] }));
    let ecs = ecs_after(vec![first, second]);
    let client = Client::emulator(&ecs.url).await.unwrap();
    let request = RunRequest {
        count: 3,
        ..request()
    };

    let (_sender, mut interrupt) = Interrupt::new();
    let started = start(&client, &request, &mut interrupt, |_| {})
        .await
        .unwrap();

    assert_eq!(started.len(), 3);
    assert_eq!(ecs.values("RunTask", "count"), [json!(3), json!(1)]);
    let tokens = ecs.values("RunTask", "clientToken");
    assert_ne!(tokens[0], tokens[1]);
}

#[tokio::test]
async fn keeps_a_chosen_token() {
    let ecs = ecs_after(vec![capacity()]);
    let client = Client::emulator(&ecs.url).await.unwrap();
    let request = RunRequest {
        client_token: Some("nightly-2026-11-30".to_owned()),
        ..request()
    };
    run_one(&client, &request).await;
    let token = json!("nightly-2026-11-30");
    assert_eq!(ecs.values("RunTask", "clientToken"), [token.clone(), token]);
}

#[tokio::test]
async fn an_interrupt_ends_the_attempts() {
    let ecs = FakeEcs::start(|_, _, _| capacity());
    let client = Client::emulator(&ecs.url).await.unwrap();
    let (sender, mut interrupt) = Interrupt::new();
    let wait = Wait {
        interval: Duration::from_hours(1),
        timeout: Duration::from_hours(9),
        ..quick()
    };

    let request = RunRequest { wait, ..request() };
    // Set during the pause after the first attempt, which would last an hour.
    let result = start(&client, &request, &mut interrupt, |progress| {
        assert!(matches!(progress, Progress::Retry { .. }), "{progress:?}");
        sender.send_replace(true);
    })
    .await;

    assert!(matches!(result, Err(Error::NotStarted(_))), "{result:?}");
    assert_eq!(ecs.count("RunTask"), 1);
}

#[tokio::test]
async fn requests_spot_capacity_and_another_size() {
    let ecs = ecs(&[], json!([]));
    let client = Client::emulator(&ecs.url).await.unwrap();
    let request = RunRequest {
        capacity: Capacity::Spot,
        cpu: Some("1024".to_owned()),
        memory: Some("2048".to_owned()),
        ..request()
    };
    run_one(&client, &request).await;
    let body = ecs.body("RunTask");

    // Both together are refused by ECS.
    assert_eq!(body["launchType"], Value::Null);
    assert_eq!(
        body["capacityProviderStrategy"][0]["capacityProvider"],
        "FARGATE_SPOT"
    );

    assert_eq!(
        body["overrides"],
        json!({ "cpu": "1024", "memory": "2048" })
    );
}

#[tokio::test]
async fn a_connection_that_is_cut_starts_no_second_task() {
    // ECS may have started the task before the connection broke.
    let ecs = ecs_after(vec![(CUT, String::new()), (CUT, String::new())]);
    let client = Client::emulator(&ecs.url).await.unwrap();
    assert_eq!(run_one(&client, &request()).await.exit_code, Some(0));
    let tokens = ecs.values("RunTask", "clientToken");
    assert_eq!(tokens.len(), 3);
    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
}
