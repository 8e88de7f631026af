//! Tests against a fake ECS for what moto does not support: exit codes, failures, errors.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failing helper fails the test"
)]

mod support;

use std::process::Command;
use std::time::Duration;

use ecs_client::{
    Capacity, Client, Error, FollowLogs, Interrupt, Override, Progress, PublicAddress, RunRequest,
    StartedTask, StoppedTask, TaskOutcome, Wait, WaitUntil, latest, register, run, start, stop,
    wait,
};
use serde_json::{Value, json};
use support::{CUT, FakeEcs, Response, definition};

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
        ..Wait::default()
    }
}

/// Runs one task until it stops.
async fn run_one(client: &Client, request: &RunRequest) -> StoppedTask {
    let mut outcomes = run(client, request).await.unwrap();
    assert_eq!(outcomes.len(), 1, "{outcomes:?}");
    match outcomes.remove(0) {
        TaskOutcome::Stopped(stopped) => stopped,
        TaskOutcome::Reached(task) => panic!("{task:?} did not stop"),
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

fn capacity() -> Response {
    // The text of Fargate: re:Post, "ecs-fargate-runtask-capacity".
    ok(
        json!({ "tasks": [], "failures": [{ "reason": "Capacity is unavailable at this time. \
        Please try again later or in a different availability zone" }] }),
    )
}

fn refusal(code: &str, message: &str) -> Response {
    (
        400,
        json!({ "__type": code, "message": message }).to_string(),
    )
}

/// Starts a fake ECS that responds to the first RunTask calls as given; the task then stops with exit code 0.
fn ecs_after(first: Vec<Response>) -> FakeEcs {
    FakeEcs::start(move |operation, _, before| match operation {
        "RunTask" => first
            .get(before)
            .cloned()
            .unwrap_or_else(|| task("PROVISIONING", json!([]))),
        "DescribeTasks" => task("STOPPED", json!([{ "name": "app", "exitCode": 0 }])),
        _ => ok(json!({ "taskDefinition": serde_json::to_value(definition()).unwrap() })),
    })
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
        error.contains("allow DescribeTasks: see `assemble permissions`"),
        "{error}"
    );
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
async fn a_connection_that_is_cut_starts_no_second_task() {
    // ECS may have started the task before the connection broke.
    let ecs = ecs_after(vec![(CUT, String::new()), (CUT, String::new())]);
    let client = Client::emulator(&ecs.url).await.unwrap();
    assert_eq!(run_one(&client, &request()).await.exit_code, Some(0));
    let tokens = ecs.values("RunTask", "clientToken");
    assert_eq!(tokens.len(), 3);
    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
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
        let hint = format!("must allow {denied}: see `assemble permissions`");
        assert!(error.contains(&hint), "{error}");
        assert_eq!(ecs.count(denied), 1, "a refusal is final");
    }
}
