//! Faults by rule, as a client sees them.

use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use ecs_emulator::FaultRules;

use crate::support::{Running, register, run};

async fn start(rules: &str) -> Running {
    let rules = FaultRules::parse("faults.yaml", rules).unwrap();
    Running::start_with(|config| config.faults = rules).await
}

#[tokio::test]
async fn every_second_call_is_throttled() {
    let emulator = start("rules: [{ operation: ListClusters, kind: throttle-400, nth: 2 }]").await;
    let client = emulator.client();
    assert!(client.list_clusters().send().await.is_ok());
    let error = client.list_clusters().send().await.unwrap_err();
    assert_eq!(error.code(), Some("ThrottlingException"));
    assert_eq!(error.raw_response().unwrap().status().as_u16(), 400);
    emulator.stop().await;
}

#[tokio::test]
async fn a_cut_after_the_call_leaves_a_task_that_the_token_finds() {
    let emulator = start("rules: [{ operation: RunTask, kind: cut-after, count: 1 }]").await;
    let client = emulator.client();
    register(&client, "web").await;
    let cut = run(&client, "web")
        .client_token("t")
        .send()
        .await
        .unwrap_err();
    assert!(
        matches!(
            cut,
            SdkError::DispatchFailure(_) | SdkError::ResponseError(_)
        ),
        "{cut:?}"
    );

    let again = run(&client, "web").client_token("t").send().await.unwrap();
    let all = client.list_tasks().send().await.unwrap();
    assert_eq!(all.task_arns(), [again.tasks()[0].task_arn().unwrap()]);
    emulator.stop().await;
}

#[tokio::test]
async fn a_call_without_capacity_succeeds_with_a_failure() {
    let emulator = start("rules: [{ operation: RunTask, kind: capacity }]").await;
    let client = emulator.client();
    register(&client, "web").await;
    let response = run(&client, "web").send().await.unwrap();
    assert!(response.tasks().is_empty());
    assert_eq!(response.failures().len(), 1);
    emulator.stop().await;
}
