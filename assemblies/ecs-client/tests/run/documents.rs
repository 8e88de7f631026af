//! Documents, sizes and retries of calls, whichever way they are sent: ECS with its SDK, the other APIs without one.

use ecs_client::{Api as _, Call, Client, Error, Operation};
use serde_json::json;

use crate::common::refusal;
use crate::support::{CUT, FakeEcs};

async fn call(ecs: &FakeEcs, call: &Call) -> Result<serde_json::Value, Error> {
    Client::emulator(&ecs.url).await.unwrap().call(call).await
}

#[tokio::test]
async fn documents_pass_unchanged_even_if_the_sdk_cannot_read_them() {
    // Neither is in the model of the API: a status that is an object, and fields that were added later.
    let newer = json!({ "tasks": [{ "taskArn": "a", "lastStatus": { "not": "text" }, "addedLater": [1] }] });
    let answer = newer.to_string();
    let ecs = FakeEcs::start(move |_, _, _| (200, answer.clone()));

    let request = json!({ "tasks": ["a"], "addedLater": { "deep": [true] } });
    let describe = Call::new(Operation::DescribeTasks, request.clone());
    assert_eq!(call(&ecs, &describe).await.unwrap(), newer);

    assert_eq!(ecs.body("DescribeTasks"), request);

    assert_eq!(ecs.count("DescribeTasks"), 1, "a response is final");
    let authorization = ecs.authorization("DescribeTasks");
    assert!(
        authorization.contains("/eu-central-1/ecs/aws4_request"),
        "{authorization}"
    );
}

#[tokio::test]
async fn a_response_beyond_the_limit_is_an_error_of_every_api() {
    let ecs = FakeEcs::start(|_, _, _| {
        // With the rest of the document just beyond the limit.
        let text = "x".repeat(16 << 20);
        (200, json!({ "nextToken": text }).to_string())
    });

    for operation in [Operation::DescribeTasks, Operation::FilterLogEvents] {
        let error = call(&ecs, &Call::new(operation, json!({})))
            .await
            .unwrap_err();
        let expected = format!(
            "the response to {operation} is larger than 16 MiB; check that the endpoint is {}",
            operation.service()
        );

        assert_eq!(error.to_string(), expected);
        assert_eq!(ecs.count(operation.as_str()), 1, "another one is as large");
    }
}

#[tokio::test]
async fn only_requests_of_which_a_second_one_does_no_harm_are_repeated_after_a_cut() {
    // The request arrives, and the response is lost.
    let ecs = FakeEcs::start(|_, _, _| (CUT, String::new()));
    for (operation, body, attempts) in [
        (
            Operation::ContinueServiceDeployment,
            json!({ "hookId": "1" }),
            1,
        ),
        (Operation::StopTask, json!({ "task": "a" }), 3),
        (Operation::RunTask, json!({ "taskDefinition": "web" }), 1),
    ] {
        let error = call(&ecs, &Call::new(operation, body)).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
        assert_eq!(ecs.count(operation.as_str()), attempts, "{operation}");
    }

    let body = json!({ "taskDefinition": "web", "clientToken": "b" });
    let error = call(&ecs, &Call::new(Operation::RunTask, body))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert_eq!(ecs.count("RunTask"), 1 + 3, "a token makes it repeatable");
}

#[tokio::test]
async fn a_throttled_request_had_no_effect_and_is_repeated() {
    let ecs = FakeEcs::start(|_, _, earlier| match earlier {
        0 => refusal("ThrottlingException", "Rate exceeded"),
        _ => (200, json!({ "tasks": [] }).to_string()),
    });

    let run = Call::new(Operation::RunTask, json!({ "taskDefinition": "web" }));
    assert_eq!(call(&ecs, &run).await.unwrap(), json!({ "tasks": [] }));
    assert_eq!(ecs.count("RunTask"), 2);
}
