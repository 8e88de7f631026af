//! A fake ECS with scripted tasks.

use std::time::Duration;

use ecs_client::{Client, RunRequest, StoppedTask, TaskOutcome, Wait, run};
use serde_json::{Value, json};

use crate::support::{FakeEcs, Response, definition};

pub(crate) const TASK: &str = "arn:aws:ecs:eu-central-1:111122223333:task/main/0123";

pub(crate) const REVISION: &str = "arn:aws:ecs:eu-central-1:111122223333:task-definition/web:3";

pub(crate) fn ok(body: Value) -> Response {
    (200, body.to_string())
}

pub(crate) fn task(status: &str, containers: Value) -> Response {
    ok(json!({ "tasks": [{
        "taskArn": TASK, "taskDefinitionArn": REVISION, "lastStatus": status, "containers": containers,
        "stopCode": "EssentialContainerExited", "stoppedReason": "Essential container in task exited"
    }], "failures": [] }))
}

pub(crate) fn request() -> RunRequest {
    RunRequest {
        cluster: "main".to_owned(),
        task_definition: "web".to_owned(),
        subnets: vec!["subnet-1".to_owned()],
        wait: quick(),
        ..RunRequest::default()
    }
}

pub(crate) fn quick() -> Wait {
    let interval = Duration::from_millis(1);
    Wait {
        timeout: Duration::from_secs(30),
        interval,
        max_interval: interval,
        ..Wait::default()
    }
}

/// Runs one task until it stops.
pub(crate) async fn run_one(client: &Client, request: &RunRequest) -> StoppedTask {
    let mut outcomes = run(client, request).await.unwrap();
    assert_eq!(outcomes.len(), 1, "{outcomes:?}");
    match outcomes.remove(0) {
        TaskOutcome::Stopped(stopped) => stopped,
        TaskOutcome::Reached(task) => panic!("{task:?} did not stop"),
    }
}

/// Starts a fake ECS with a task that has these statuses in turn, and then stops with these containers.
pub(crate) fn ecs(statuses: &'static [&'static str], containers: Value) -> FakeEcs {
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

pub(crate) fn capacity() -> Response {
    // The text of Fargate: re:Post, "ecs-fargate-runtask-capacity".
    ok(
        json!({ "tasks": [], "failures": [{ "reason": "Capacity is unavailable at this time. \
        Please try again later or in a different availability zone" }] }),
    )
}

pub(crate) fn refusal(code: &str, message: &str) -> Response {
    (
        400,
        json!({ "__type": code, "message": message }).to_string(),
    )
}

/// Starts a fake ECS that responds to the first RunTask calls as given; the task then stops with exit code 0.
pub(crate) fn ecs_after(first: Vec<Response>) -> FakeEcs {
    FakeEcs::start(move |operation, _, before| match operation {
        "RunTask" => first
            .get(before)
            .cloned()
            .unwrap_or_else(|| task("PROVISIONING", json!([]))),
        "DescribeTasks" => task("STOPPED", json!([{ "name": "app", "exitCode": 0 }])),
        _ => ok(json!({ "taskDefinition": serde_json::to_value(definition()).unwrap() })),
    })
}
