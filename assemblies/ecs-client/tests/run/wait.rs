//! Waiting for tasks.

use std::time::Duration;

use ecs_client::{
    Client, Error, FollowLogs, Interrupt, Progress, RunRequest, StartedTask, TaskOutcome, Wait,
    WaitUntil, run, start, stop, wait,
};
use serde_json::json;

use crate::common::{REVISION, TASK, ecs, ok, quick, refusal, request, run_one, task};
use crate::support::{CUT, FakeEcs, definition};

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
    let stopped = run_one(&client, &request()).await;

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
    let stopped = run_one(&client, &request()).await;
    assert_eq!(stopped.exit_code, None);
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
    wait(&client, "main", &[started], quick(), |progress| {
        if let Progress::Status { status, .. } = progress {
            statuses.push(status.to_owned());
        }
    })
    .await
    .unwrap();
    assert_eq!(statuses, ["PROVISIONING", "PENDING", "RUNNING", "STOPPED"]);
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
async fn throttled_polls_do_not_end_the_wait() {
    // The SDK makes three attempts per poll.
    let ecs = FakeEcs::start(|operation, _, before| match operation {
        "RunTask" => task("PROVISIONING", json!([])),
        "DescribeTasks" if before < 4 => refusal("ThrottlingException", "Rate exceeded"),
        "DescribeTasks" => task("STOPPED", json!([{ "name": "app", "exitCode": 7 }])),
        _ => ok(json!({ "taskDefinition": serde_json::to_value(definition()).unwrap() })),
    });
    let client = Client::emulator(&ecs.url).await.unwrap();
    assert_eq!(run_one(&client, &request()).await.exit_code, Some(7));
}

#[tokio::test]
async fn waits_until_a_task_runs_or_is_healthy() {
    let ecs = FakeEcs::start(|operation, _, before| match operation {
        "RunTask" => task("PROVISIONING", json!([])),
        "DescribeTasks" => {
            let health = if before < 2 { "UNKNOWN" } else { "HEALTHY" };
            ok(
                json!({ "tasks": [{ "taskArn": TASK, "lastStatus": "RUNNING", "healthStatus": health }] }),
            )
        }
        _ => ok(json!({})),
    });

    let client = Client::emulator(&ecs.url).await.unwrap();
    for (until, polls) in [(WaitUntil::Running, 1), (WaitUntil::Healthy, 3)] {
        let wait = Wait { until, ..quick() };
        let outcomes = run(&client, &RunRequest { wait, ..request() })
            .await
            .unwrap();
        assert!(
            matches!(&outcomes[..], [TaskOutcome::Reached(_)]),
            "{outcomes:?}"
        );
        assert_eq!(ecs.count("DescribeTasks"), polls);
    }
}

#[tokio::test]
async fn waits_for_several_tasks() {
    let both = |status: &'static str| {
        let one = |name: &str, code: i32| {
            json!({ "taskArn": format!("{TASK}{name}"), "lastStatus": status,
            "taskDefinitionArn": REVISION, "containers": [{ "name": "app", "exitCode": code }] })
        };
        ok(json!({ "tasks": [one("a", 0), one("b", 5)] }))
    };

    let ecs = FakeEcs::start(move |operation, _, _| match operation {
        "RunTask" => both("PROVISIONING"),
        "DescribeTasks" => both("STOPPED"),
        _ => ok(json!({ "taskDefinition": serde_json::to_value(definition()).unwrap() })),
    });

    let client = Client::emulator(&ecs.url).await.unwrap();
    let outcomes = run(
        &client,
        &RunRequest {
            count: 2,
            ..request()
        },
    )
    .await
    .unwrap();
    let codes: Vec<_> = outcomes
        .iter()
        .map(|outcome| match outcome {
            TaskOutcome::Stopped(stopped) => stopped.exit_code,
            TaskOutcome::Reached(_) => None,
        })
        .collect();
    assert_eq!(codes, [Some(0), Some(5)]);
}

#[tokio::test]
async fn follows_the_output_to_its_end() {
    let ecs = FakeEcs::start(|operation, body, before| match operation {
        "RunTask" => task("PROVISIONING", json!([])),
        "DescribeTasks" if before < 2 => task("RUNNING", json!([])),
        "DescribeTasks" => task("STOPPED", json!([{ "name": "app", "exitCode": 0 }])),
        "GetLogEvents" => match (before, body["nextToken"].as_str()) {
            (0, _) => refusal(
                "ResourceNotFoundException",
                "The specified log stream does not exist.",
            ),
            (_, None) => {
                ok(json!({ "events": [{ "message": "first" }], "nextForwardToken": "f/1" }))
            }
            // The last line arrives after the task has stopped.
            (at, Some("f/1")) if at > 3 => {
                ok(json!({ "events": [{ "message": "last" }], "nextForwardToken": "f/2" }))
            }
            (_, Some(token)) => ok(json!({ "events": [], "nextForwardToken": token })),
        },
        _ => ok(json!({ "taskDefinition": serde_json::to_value(definition()).unwrap() })),
    });

    let client = Client::emulator(&ecs.url).await.unwrap();
    let wait_for = Wait {
        logs: FollowLogs::Yes,
        max_interval: Duration::from_secs(5),
        ..quick()
    };

    let (_sender, mut interrupt) = Interrupt::new();
    let started = start(&client, &request(), &mut interrupt, |_| {})
        .await
        .unwrap();
    let mut lines = Vec::new();
    wait(&client, "main", &started, wait_for, |progress| {
        if let Progress::Log { container, text } = progress {
            lines.push(format!("{container}: {text}"));
        }
    })
    .await
    .unwrap();

    assert_eq!(lines, ["app: first", "app: last"]);
    let body = ecs.body("GetLogEvents");
    assert_eq!(body["logGroupName"], "/ecs/web");
    assert_eq!(body["logStreamName"], "app/app/0123");
    // The signature must name the service, or CloudWatch Logs refuses it.
    let scope = ecs.authorization("GetLogEvents");
    assert!(scope.contains("/eu-central-1/logs/aws4_request"), "{scope}");
}

#[tokio::test]
async fn stops_every_task() {
    let ecs = FakeEcs::start(|_, _, _| ok(json!({ "task": {} })));
    let client = Client::emulator(&ecs.url).await.unwrap();
    let task = |name: &str| StartedTask {
        task: format!("{TASK}{name}"),
        task_definition: REVISION.to_owned(),
    };
    stop(&client, "main", &[task("a"), task("b")])
        .await
        .unwrap();
    let tasks = ecs.values("StopTask", "task");

    assert_eq!(
        tasks,
        [json!(format!("{TASK}a")), json!(format!("{TASK}b"))]
    );
}

#[tokio::test]
async fn cut_connections_and_429_do_not_end_the_wait() {
    let ecs = FakeEcs::start(|operation, _, before| match operation {
        "RunTask" => task("PROVISIONING", json!([])),
        "DescribeTasks" if before < 4 => (CUT, String::new()),
        "DescribeTasks" if before < 8 => (429, "<html>slow down</html>".to_owned()),
        "DescribeTasks" => task("STOPPED", json!([{ "name": "app", "exitCode": 7 }])),
        _ => (CUT, String::new()),
    });
    let client = Client::emulator(&ecs.url).await.unwrap();
    // The definition cannot be read either, so all containers count as essential.
    assert_eq!(run_one(&client, &request()).await.exit_code, Some(7));
}
