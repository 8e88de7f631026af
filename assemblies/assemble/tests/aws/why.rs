//! `why` and `permissions`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::common::{
    ACCOUNT, PLAIN, TASK, Terminal, aws, aws_elsewhere, ecs, ok, project, run_arguments, stopped,
    task,
};
use crate::fake::FakeEcs;
use crate::support::Project;

#[test]
fn why_explains_tasks_and_texts() {
    let project = project();
    let ecs = ecs(task(
        "STOPPED",
        json!({ "stopCode": "EssentialContainerExited",
        "stoppedReason": "Essential container in task exited",
        "containers": [{ "name": "web", "exitCode": 137, "reason": "OutOfMemoryError: Container killed due to memory usage" }] }),
    ));

    let why = aws(&project, &ecs.url, &["why", TASK]);
    assert_eq!(why.code, Some(0), "{why:?}");
    assert!(
        why.out
            .contains("cause: a container used more memory than its limit"),
        "{}",
        why.out
    );

    assert_eq!(ecs.body("DescribeTasks")["cluster"], "main");

    // Offline, quoted or not.
    let text = project.assemble(&["why", "exec /app: exec", "format", "error"]);
    assert_eq!(text.code, Some(0), "{text:?}");
    assert!(
        text.out.contains("CPU architecture") && text.out.contains("see:   https://"),
        "{}",
        text.out
    );

    let unknown = project.assemble(&["why", "something else"]);
    assert_eq!(
        (unknown.code, unknown.out.as_str()),
        (Some(1), ""),
        "{unknown:?}"
    );

    assert!(
        unknown.err.contains("unknown") && unknown.err.contains("https://docs.aws.amazon.com/"),
        "{}",
        unknown.err
    );
}

#[test]
fn why_says_that_ecs_forgets_tasks() {
    let project = project();
    let ecs = FakeEcs::start(|_, _, _| {
        ok(json!({ "tasks": [], "failures": [{ "arn": TASK, "reason": "MISSING" }] }))
    });

    let why = aws(
        &project,
        &ecs.url,
        &["why", "0123456789abcdef0123456789abcdef"],
    );

    assert_eq!(why.code, Some(3), "{why:?}");
    assert!(
        why.err
            .contains("forgets stopped tasks after about an hour"),
        "{}",
        why.err
    );
    assert_eq!(ecs.body("DescribeTasks")["cluster"], "default");
}

/// Returns the actions of the policy that `permissions` prints.
fn actions(project: &Project, verb: &str) -> BTreeSet<String> {
    let policy = project.assemble(&["permissions", verb]).json();
    let statements = policy["Statement"].as_array().unwrap().iter();
    statements
        .map(|statement| statement["Action"].as_str().unwrap().to_owned())
        .collect()
}

/// The table of permissions is complete and has nothing else: the calls that each verb really makes, with every option,
/// are those of its policy.
#[test]
fn the_policy_of_a_verb_allows_the_calls_that_it_makes() {
    let project = project();
    let logs = json!({ "logDriver": "awslogs", "options": { "awslogs-group": "/ecs/web",
        "awslogs-region": "eu-central-1", "awslogs-stream-prefix": "web" } });
    let mut definition: Value = serde_json::from_str(PLAIN).unwrap();
    definition["containerDefinitions"][0]["logConfiguration"] = logs;
    definition["executionRoleArn"] = format!("arn:aws:iam::{ACCOUNT}:role/execution").into();
    project.write("task.json", definition.to_string());

    for (verb, arguments) in [
        ("diff", vec!["diff", "task.json"]),
        ("register", vec!["register", "task.json"]),
        ("why", vec!["why", TASK]),
    ] {
        let ecs = ecs(stopped(1));
        aws_elsewhere(&project, &ecs, &arguments);
        let mut called = calls(&ecs);
        if verb == "diff" {
            // With a service more is read; that part of the library has a test of its own.
            called.extend(calls_of_diff_with_a_service(&project));
        }
        assert_eq!(called, without_implied(actions(&project, verb)), "{verb}");
    }

    // `run` calls StopTask after Ctrl-C.
    let ecs = ecs(task("RUNNING", json!({})));
    aws_elsewhere(&project, &ecs, &["register", "task.json"]);
    ecs.requests.lock().unwrap().clear();
    let mut terminal = Terminal::start(&project, &ecs.url, &run_arguments("shop:1", &["--logs"]));
    terminal.wait_for("RUNNING");
    terminal.type_keys("\x03");
    terminal.wait_for("stop the task?");
    terminal.type_keys("y\n");
    terminal.wait_for("stopping the task");
    terminal.type_keys("\x03");

    assert_eq!(terminal.finish(), Some(130));
    assert_eq!(calls(&ecs), without_implied(actions(&project, "run")));
}

fn calls_of_diff_with_a_service(project: &Project) -> BTreeSet<String> {
    let service = crate::service::Service::new();
    let arguments = ["diff", "shop", "--values", "prod", "--service", "main/web"];
    let diff = aws(project, service.url(), &arguments);
    assert_eq!(diff.code, Some(1), "{diff:?}");
    assert!(diff.out.contains("service\n"), "{}", diff.out);
    calls(&service.http)
}

/// Returns the calls as actions. GetCallerIdentity needs no permission.
fn calls(ecs: &FakeEcs) -> BTreeSet<String> {
    let requests = ecs.requests.lock().unwrap();
    let names = requests.iter().map(|(operation, ..)| operation.as_str());
    let actions = names
        .filter(|name| *name != "GetCallerIdentity")
        .map(|name| {
            let operation = ecs_client::Operation::ALL
                .iter()
                .find(|it| it.as_str() == name);
            operation.unwrap().action()
        });
    actions.collect()
}

/// Removes the permissions that other calls need, and that are no calls.
fn without_implied(mut actions: BTreeSet<String>) -> BTreeSet<String> {
    actions.retain(|action| !matches!(action.as_str(), "iam:PassRole" | "ecs:TagResource"));
    actions
}

#[test]
fn a_policy_is_limited_to_the_resources_of_an_assembly() {
    let project = project();
    let limited = [
        "permissions",
        "run",
        "shop",
        "--values",
        "prod",
        "--cluster",
        "main",
    ];
    let limited = project.assemble(&limited);

    assert_eq!(limited.code, Some(0), "{limited:?}");
    let start = format!("arn:aws:ecs:eu-central-1:{ACCOUNT}");
    assert!(
        limited
            .out
            .contains(&format!("{start}:task-definition/shop:*")),
        "{}",
        limited.out
    );

    assert!(
        limited.out.contains(&format!("{start}:task/main/*")),
        "{}",
        limited.out
    );

    assert!(
        limited.err.contains("ecs:RunTask: starts the task"),
        "{}",
        limited.err
    );
}
