//! The verbs that call AWS, against a fake of ECS and STS in the test process.

#![cfg(feature = "aws")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed step fails the test"
)]

#[path = "../../ecs-client/tests/support/mod.rs"]
mod fake;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fake::{FakeEcs, Moto, Response, identity};
use serde_json::{Value, json};
use support::{CommandOutput, Project};

const ACCOUNT: &str = "210987654321";
const TASK: &str =
    "arn:aws:ecs:eu-central-1:210987654321:task/main/0123456789abcdef0123456789abcdef";
const REVISION: &str = "arn:aws:ecs:eu-central-1:210987654321:task-definition/shop:3";
const PLACE: [&str; 4] = ["--cluster", "main", "--subnet", "subnet-1"];

/// Returns the command with an endpoint on this host.
fn command(project: &Project, url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_assemble"));
    command
        .args(arguments)
        .current_dir(project.root())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", project.root())
        .env("NO_COLOR", "1")
        .env("AWS_ENDPOINT_URL", url)
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

fn aws(project: &Project, url: &str, arguments: &[&str]) -> CommandOutput {
    output(command(project, url, arguments))
}

/// Runs the command with an endpoint that is not on this host, as AWS's is: the fake is a proxy for it.
fn aws_elsewhere(project: &Project, fake: &FakeEcs, arguments: &[&str]) -> CommandOutput {
    let mut command = command(project, "http://aws.test.invalid", arguments);
    command.env("HTTP_PROXY", &fake.url);
    output(command)
}

fn output(mut command: Command) -> CommandOutput {
    let output = command.output().unwrap();
    CommandOutput {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A project whose values `prod` are those of the fake's account.
fn project() -> Project {
    let project = Project::new();
    let values = support::VALUES.replace("111122223333", ACCOUNT);
    project.write("assemblies/values/prod.yaml", values);
    project
}

fn ok(body: Value) -> Response {
    (200, body.to_string())
}

fn task(status: &str, more: Value) -> Response {
    let mut task = json!({ "taskArn": TASK, "taskDefinitionArn": REVISION, "lastStatus": status });
    task.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    ok(json!({ "tasks": [task], "failures": [] }))
}

fn stopped(code: i32) -> Response {
    task(
        "STOPPED",
        json!({ "stopCode": "EssentialContainerExited",
        "stoppedReason": "Essential container in task exited", "containers": [{ "name": "web", "exitCode": code }] }),
    )
}

/// A fake that remembers registered definitions, and whose tasks end with the given response.
fn ecs(end: Response) -> FakeEcs {
    let registered = std::sync::Mutex::new(None::<Value>);
    FakeEcs::start(move |operation, body, _| match operation {
        "GetCallerIdentity" => identity(ACCOUNT),
        "DescribeTaskDefinition" => match &*registered.lock().unwrap() {
            Some(definition) => ok(json!({ "taskDefinition": definition })),
            None => refusal("ClientException", "Unable to describe task definition."),
        },
        "RegisterTaskDefinition" => {
            let mut definition = body.clone();
            definition["taskDefinitionArn"] = REVISION.into();
            definition["revision"] = 3.into();
            definition["status"] = "ACTIVE".into();
            *registered.lock().unwrap() = Some(definition.clone());
            ok(json!({ "taskDefinition": definition }))
        }
        "RunTask" => task("PROVISIONING", json!({})),
        "DescribeTasks" => end.clone(),
        "StopTask" => ok(json!({ "task": {} })),
        "GetLogEvents" => {
            ok(json!({ "events": [{ "message": "hello" }], "nextForwardToken": "f/1" }))
        }
        _ => refusal("InvalidAction", operation),
    })
}

fn refusal(code: &str, message: &str) -> Response {
    (
        400,
        json!({ "__type": code, "message": message }).to_string(),
    )
}

fn run_arguments<'a>(what: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["run", what][..], &PLACE, more].concat()
}

/// A definition without an account.
const PLAIN: &str = r#"{ "family": "plain", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc",
  "cpu": "256", "memory": "512", "containerDefinitions": [{ "name": "web", "image": "web:1.0" }] }"#;

#[test]
fn example_values_are_never_registered_on_aws() {
    let (project, ecs) = (project(), ecs(stopped(0)));
    for arguments in [vec!["register", "shop"], run_arguments("shop", &[])] {
        let refused = aws_elsewhere(&project, &ecs, &arguments);
        assert!(matches!(refused.code, Some(2 | 125)), "{refused:?}");
        assert!(
            refused
                .err
                .contains("assemblies/values/example.yaml has example values"),
            "{}",
            refused.err
        );
        assert!(refused.err.contains("--values NAME"), "{}", refused.err);
    }

    // Neither the definition nor anything else was sent.
    assert_eq!(ecs.requests.lock().unwrap().len(), 0);
}

#[test]
fn another_account_or_region_is_refused_before_any_write() {
    let (project, ecs) = (project(), ecs(stopped(0)));
    let values = support::VALUES.replace("111122223333", "999988887777");
    project.write("assemblies/values/other.yaml", values);
    let account = aws_elsewhere(&project, &ecs, &["register", "shop", "--values", "other"]);

    assert_eq!(account.code, Some(2), "{account:?}");
    for part in [
        "assemblies/values/other.yaml is for account 999988887777 in eu-central-1",
        "the credentials are of account 210987654321",
        "log in to 999988887777 (`--profile NAME`)",
        "`--values NAME`",
    ] {
        assert!(account.err.contains(part), "{part}: {}", account.err);
    }

    let region = [
        "register",
        "shop",
        "--values",
        "prod",
        "--region",
        "us-east-1",
    ];
    let region = aws_elsewhere(&project, &ecs, &region);

    assert_eq!(region.code, Some(2), "{region:?}");
    assert!(
        region.err.contains("in us-east-1") && region.err.contains("--region eu-central-1"),
        "{}",
        region.err
    );

    let arn = REVISION.replace(ACCOUNT, "999988887777");
    let run = aws_elsewhere(&project, &ecs, &run_arguments(&arn, &[]));
    assert_eq!(run.code, Some(125), "{run:?}");
    assert!(run.err.contains("account 999988887777"), "{}", run.err);
    assert_eq!(ecs.count("GetCallerIdentity"), 3);
    assert_eq!(
        ecs.count("RegisterTaskDefinition") + ecs.count("RunTask"),
        0
    );
}

#[test]
fn the_right_account_is_registered_and_run() {
    let (project, ecs) = (project(), ecs(stopped(7)));
    let early = aws_elsewhere(
        &project,
        &ecs,
        &run_arguments("shop", &["--values", "prod"]),
    );

    assert_eq!(early.code, Some(125), "{early:?}");
    assert!(
        early
            .err
            .contains("never registered; run `assemble register shop`"),
        "{}",
        early.err
    );

    let registered = aws_elsewhere(&project, &ecs, &["register", "shop", "--values", "prod"]);
    assert_eq!(
        (registered.code, registered.out.trim()),
        (Some(0), REVISION),
        "{registered:?}"
    );

    // The revision that was compared, and the exit code of the task.
    let run = aws_elsewhere(
        &project,
        &ecs,
        &run_arguments("shop", &["--values", "prod"]),
    );

    assert_eq!(run.code, Some(7), "{run:?}");
    assert_eq!(ecs.body("RunTask")["taskDefinition"], REVISION);

    let changed = ["--values", "prod", "--value", "registry=other.example"];
    let changed = aws_elsewhere(&project, &ecs, &run_arguments("shop", &changed));
    assert_eq!(changed.code, Some(125), "{changed:?}");
    assert!(changed.err.contains("differs from"), "{}", changed.err);
    assert_eq!(ecs.count("RunTask"), 1);
}

#[test]
fn a_file_with_roles_of_another_account_is_refused() {
    let (project, ecs) = (project(), ecs(stopped(0)));
    let file = |account: &str| {
        let mut definition: Value = serde_json::from_str(PLAIN).unwrap();
        definition["taskRoleArn"] = format!("arn:aws:iam::{account}:role/web").into();
        definition.to_string()
    };
    project.write("other.json", file("999988887777"));
    project.write("example.json", file("111122223333"));
    let other = aws_elsewhere(&project, &ecs, &["register", "other.json"]);

    assert!(
        other.err.contains("change the ARNs of its roles"),
        "{other:?}"
    );
    let example = aws_elsewhere(&project, &ecs, &["register", "example.json"]);

    assert!(
        example
            .err
            .contains("111122223333, which is only an example"),
        "{example:?}"
    );
    assert_eq!(ecs.count("RegisterTaskDefinition"), 0);
}

#[test]
fn placeholders_are_refused() {
    let (project, ecs) = (project(), ecs(stopped(0)));
    project.write("task.json", PLAIN.replace("web:1.0", "${REGISTRY}/web:1.0"));
    for verb in ["register", "diff"] {
        let refused = aws(&project, &ecs.url, &[verb, "task.json"]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(
            refused.err.contains("`${REGISTRY}` is a placeholder"),
            "{}",
            refused.err
        );
    }

    assert_eq!(
        ecs.count("RegisterTaskDefinition") + ecs.count("DescribeTaskDefinition"),
        0
    );
}

#[test]
fn every_form_of_a_definition_is_registered() {
    let (project, ecs) = (project(), ecs(stopped(0)));
    // The response of describe-task-definition, whose tags are beside the definition.
    let mut described: Value = serde_json::from_str(PLAIN).unwrap();
    for (name, value) in [
        ("taskDefinitionArn", json!(REVISION)),
        ("revision", json!(3)),
        ("status", json!("ACTIVE")),
        ("compatibilities", json!(["EC2", "FARGATE"])),
        (
            "requiresAttributes",
            json!([{ "name": "ecs.capability.task-eni" }]),
        ),
        ("registeredAt", json!("2026-11-30T09:00:00Z")),
    ] {
        described[name] = value;
    }

    let described =
        json!({ "taskDefinition": described, "tags": [{ "key": "team", "value": "shop" }] });
    project.write("described.json", described.to_string());
    project.write("task.yaml", PLAIN);
    for file in ["described.json", "task.yaml"] {
        let registered = aws(&project, &ecs.url, &["register", "--force", file]);
        assert_eq!(registered.code, Some(0), "{file}: {registered:?}");
    }

    let bodies = ecs.values("RegisterTaskDefinition", "tags");
    assert_eq!(bodies[0], json!([{ "key": "team", "value": "shop" }]));
    let body = ecs.body("RegisterTaskDefinition");
    assert_eq!(
        (&body["revision"], &body["status"], &body["compatibilities"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );

    let same = aws(&project, &ecs.url, &["diff", "task.yaml"]);
    assert_eq!((same.code, same.out.as_str()), (Some(0), ""), "{same:?}");

    // Values that only CloudFormation knows must not be registered as something else.
    let template = json!({ "Parameters": { "Image": { "Type": "String" } }, "Resources": { "Task": {
        "Type": "AWS::ECS::TaskDefinition", "Properties": { "Family": "web", "Cpu": "256", "Memory": "512",
        "NetworkMode": "awsvpc", "RequiresCompatibilities": ["FARGATE"],
        "ContainerDefinitions": [{ "Name": "web", "Image": { "Ref": "Image" } }] } } } });
    project.write("template.json", template.to_string());
    let refused = aws(&project, &ecs.url, &["register", "template.json"]);

    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.err.contains("/containerDefinitions/0/image"),
        "{}",
        refused.err
    );
}

#[test]
fn own_failures_of_run_are_distinct_from_those_of_the_task() {
    let project = project();
    let failing =
        FakeEcs::start(|_, _, _| refusal("ClientException", "TaskDefinition is inactive"));
    let refused = aws(&project, &failing.url, &run_arguments("shop:1", &[]));

    assert_eq!(refused.code, Some(125), "{refused:?}");
    // 3 is only a code of the task.
    let three = ecs(stopped(3));
    assert_eq!(
        aws(&project, &three.url, &run_arguments("shop:1", &[])).code,
        Some(3)
    );

    let never = ecs(task(
        "STOPPED",
        json!({ "stopCode": "TaskFailedToStart",
        "stoppedReason": "CannotPullContainerError: pull image manifest has been retried 1 time(s): not found",
        "containers": [{ "name": "web", "reason": "CannotPullContainerError: not found" }] }),
    ));

    let never = aws(&project, &never.url, &run_arguments("shop:1", &[]));
    assert_eq!(never.code, Some(125), "{never:?}");
    assert!(
        never
            .err
            .contains("cause: the image does not exist in the registry"),
        "{}",
        never.err
    );
    assert!(never.out.contains("web  never ran"), "{}", never.out);
}

#[test]
fn run_ends_at_its_timeout_and_says_that_the_task_continues() {
    let (project, ecs) = (project(), ecs(task("RUNNING", json!({}))));
    let late = aws(
        &project,
        &ecs.url,
        &run_arguments("shop:1", &["--timeout", "300ms"]),
    );
    assert_eq!(late.code, Some(125), "{late:?}");
    assert!(
        late.err.contains("is still RUNNING") && late.err.contains("continues to run"),
        "{}",
        late.err
    );
}

#[test]
fn run_sends_its_options() {
    let (project, ecs) = (project(), ecs(stopped(0)));
    let more = [
        "--spot",
        "--command",
        "web=serve --fast",
        "--env",
        "web:A=1",
        "--cpu",
        "512",
        "--memory",
        "1024",
        "--once",
        "k1",
    ];
    let run = aws(&project, &ecs.url, &run_arguments("shop:1", &more));

    assert_eq!(run.code, Some(0), "{run:?}");
    let body = ecs.body("RunTask");
    assert_eq!(body["clientToken"], "k1");
    assert_eq!(
        body["capacityProviderStrategy"][0]["capacityProvider"],
        "FARGATE_SPOT"
    );

    let web = json!({ "name": "web", "command": ["serve", "--fast"], "environment": [{ "name": "A", "value": "1" }] });
    assert_eq!(
        body["overrides"],
        json!({ "containerOverrides": [web], "cpu": "512", "memory": "1024" })
    );
}

#[test]
fn run_returns_when_the_task_runs_and_prints_it() {
    let (project, ecs) = (
        project(),
        ecs(task("RUNNING", json!({ "healthStatus": "HEALTHY" }))),
    );
    for state in ["running", "healthy"] {
        let run = aws(
            &project,
            &ecs.url,
            &run_arguments("shop:1", &["--wait-until", state]),
        );
        assert_eq!((run.code, run.out.trim()), (Some(0), TASK), "{run:?}");
    }
}

#[test]
fn a_dry_run_sends_nothing_and_prints_the_calls() {
    let project = project();
    // Nothing listens there, and there are no credentials.
    let dry = |arguments: &[&str]| {
        let mut command = command(&project, "http://127.0.0.1:9", arguments);
        command.arg("--dry-run").env_remove("AWS_ACCESS_KEY_ID");
        output(command)
    };

    let register = dry(&["register", "shop", "--values", "prod"]);
    assert_eq!(register.code, Some(0), "{register:?}");
    for call in [
        "sts:GetCallerIdentity",
        "ecs:DescribeTaskDefinition",
        "ecs:RegisterTaskDefinition",
    ] {
        assert!(
            register.out.contains(&format!("{call} {{")),
            "{call}: {}",
            register.out
        );
    }

    assert!(
        register.out.contains("\"family\": \"shop\""),
        "{}",
        register.out
    );

    assert!(
        register.err.contains("nothing was sent"),
        "{}",
        register.err
    );

    let run = dry(&run_arguments("shop", &["--values", "prod"]));
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(
        run.out.contains("ecs:RunTask {") && run.out.contains("\"subnet-1\""),
        "{}",
        run.out
    );

    let diff = dry(&["diff", "shop"]);
    assert_eq!(diff.code, Some(0), "{diff:?}");
    assert!(
        diff.out.starts_with("ecs:DescribeTaskDefinition {"),
        "{}",
        diff.out
    );
}

#[test]
fn the_options_of_the_login_apply_to_every_verb() {
    let (project, ecs) = (project(), ecs(stopped(0)));
    project.write("task.json", PLAIN);
    project.write(
        ".aws/config",
        "[profile dev]\naws_access_key_id = AKIDDEV\naws_secret_access_key = x\n",
    );

    let run = run_arguments("shop:1", &[]);
    let verbs = [
        &["register", "task.json"][..],
        &["diff", "task.json"],
        &run,
        &["why", TASK],
    ];

    for verb in verbs {
        let login = [
            "--profile",
            "dev",
            "--region",
            "eu-west-1",
            "--endpoint-url",
            &ecs.url,
        ];
        let mut command = command(&project, "http://127.0.0.1:9", &[verb, &login].concat());
        command.env_remove("AWS_REGION");
        let before = ecs.requests.lock().unwrap().len();
        let output = output(command);
        assert!(matches!(output.code, Some(0 | 1)), "{verb:?}: {output:?}");

        let requests = ecs.requests.lock().unwrap();
        let new = &requests[before..];
        assert!(!new.is_empty(), "{verb:?}");
        for (operation, _, scope) in new {
            assert!(
                scope.contains("Credential=AKIDDEV/") && scope.contains("/eu-west-1/"),
                "{operation}: {scope}"
            );
        }
    }
}

#[test]
fn an_expired_session_says_how_to_log_in() {
    let (project, ecs) = (project(), ecs(stopped(0)));
    project.write(
        ".aws/config",
        "[profile sso]\nsso_session = corp\nsso_account_id = 111122223333\nsso_role_name = Dev\n\
         [sso-session corp]\nsso_start_url = https://corp.example/start\nsso_region = eu-central-1\n",
    );

    let mut register = command(
        &project,
        &ecs.url,
        &["register", "shop", "--profile", "sso"],
    );
    register.env_remove("AWS_ACCESS_KEY_ID");
    let expired = output(register);

    assert_eq!(expired.code, Some(2), "{expired:?}");
    assert!(
        expired.err.contains("aws sso login --profile sso"),
        "{}",
        expired.err
    );
}

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
        assert_eq!(
            calls(&ecs),
            without_implied(actions(&project, verb)),
            "{verb}"
        );
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

/// Returns the calls as actions. GetCallerIdentity needs no permission.
fn calls(ecs: &FakeEcs) -> BTreeSet<String> {
    let requests = ecs.requests.lock().unwrap();
    let names = requests.iter().map(|(operation, ..)| operation.as_str());
    let actions = names
        .filter(|name| *name != "GetCallerIdentity")
        .map(|name| {
            let service = if name == "GetLogEvents" {
                "logs"
            } else {
                "ecs"
            };
            format!("{service}:{name}")
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

#[test]
fn ctrl_c_asks_once_and_leaves_the_task_without_a_yes() {
    let (project, ecs) = (project(), ecs(task("RUNNING", json!({}))));
    let mut terminal = Terminal::start(&project, &ecs.url, &run_arguments("shop:1", &[]));
    terminal.wait_for("RUNNING");
    terminal.type_keys("\x03");
    terminal.wait_for("stop the task?");
    terminal.type_keys("n\n");
    terminal.wait_for("runs on; to stop it: aws ecs stop-task --cluster main");
    assert_eq!(terminal.finish(), Some(130));
    assert_eq!(ecs.count("StopTask"), 0);
}

#[test]
fn a_second_ctrl_c_leaves_the_task() {
    let (project, ecs) = (project(), ecs(task("RUNNING", json!({}))));
    let mut terminal = Terminal::start(&project, &ecs.url, &run_arguments("shop:1", &[]));
    terminal.wait_for("RUNNING");
    terminal.type_keys("\x03");
    terminal.wait_for("stop the task?");
    terminal.type_keys("\x03");
    assert_eq!(terminal.finish(), Some(130));
    assert_eq!(ecs.count("StopTask"), 0);
}

#[test]
fn signals_without_a_terminal_leave_the_task() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let (project, ecs) = (project(), ecs(task("RUNNING", json!({}))));
        let mut run = command(&project, &ecs.url, &run_arguments("shop:1", &[]));
        let child = run
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let child = child.spawn().unwrap();
        wait_until("the first poll", || ecs.count("DescribeTasks") > 0);
        let id = child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains("runs on; to stop it"), "{text}");
        assert_eq!(ecs.count("StopTask"), 0);
    }
}

#[test]
fn a_signal_ends_the_attempts_to_start_a_task() {
    let project = project();
    let ecs = FakeEcs::start(|_, _, _| {
        ok(
            json!({ "tasks": [], "failures": [{ "reason": "Capacity is unavailable at this time." }] }),
        )
    });

    let mut run = command(&project, &ecs.url, &run_arguments("shop:1", &[]));
    let child = run
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let child = child.spawn().unwrap();
    wait_until("the first attempt", || ecs.count("RunTask") > 0);
    let id = child.id().to_string();

    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );

    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(text.contains("Capacity is unavailable"), "{text}");
}

/// A command in its own terminal, created by util-linux's `script`.
struct Terminal {
    child: Child,
    log: std::path::PathBuf,
}

impl Terminal {
    fn start(project: &Project, url: &str, arguments: &[&str]) -> Self {
        let log = project.root().join("terminal.log");
        let line = format!("{} {}", env!("CARGO_BIN_EXE_assemble"), arguments.join(" "));
        let variables = command(project, url, &[]);
        let mut script = Command::new("script");
        script
            .args(["-qefc", &line])
            .arg(&log)
            .current_dir(project.root())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());

        for (name, value) in variables.get_envs() {
            script.env(name, value.unwrap_or_default());
        }
        let child = script.spawn().unwrap();
        Self { child, log }
    }

    fn wait_for(&self, text: &str) {
        wait_until(text, || self.text().contains(text));
    }

    fn text(&self) -> String {
        let mut text = Vec::new();
        if let Ok(mut file) = fs::File::open(&self.log) {
            let _ = file.read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    fn type_keys(&mut self, keys: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(keys.as_bytes()).unwrap();
        input.flush().unwrap();
    }

    /// Returns the exit code of the command, which `script -e` passes on.
    fn finish(&mut self) -> Option<i32> {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < end, "does not end: {}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_until(what: &str, test: impl Fn() -> bool) {
    let end = Instant::now() + LIMIT;
    while !test() {
        assert!(Instant::now() < end, "timed out waiting for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

// Every wait ends as soon as its condition holds.
const LIMIT: Duration = Duration::from_mins(1);

/// Registers and compares every assembly of the repository on moto, an independent emulator.
#[test]
fn shipped_assemblies_have_no_difference_after_registration() {
    let Some(moto) = Moto::start("shipped assemblies against moto") else {
        return;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.display().to_string();
    let project = Project::empty();
    let mut count = 0;

    for entry in fs::read_dir(Path::new(&root).join("assemblies")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "yaml") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap();
        let run = |verb: &str| aws(&project, &moto.url, &[verb, name, "--project", &root]);
        let registered = run("register");
        assert_eq!(registered.code, Some(0), "{name}: {registered:?}");
        let same = run("diff");
        assert_eq!(
            (same.code, same.out.as_str()),
            (Some(0), ""),
            "{name}: {same:?}"
        );
        count += 1;
    }
    assert!(count >= 4, "only {count} assemblies");
}
