//! `deploy NAME`, `rollback NAME` and `destroy NAME`, against a fake of CloudFormation and ECS.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ecs_client::{Call, Error, Operation, Service};
use serde_json::Value;

use crate::common::{ACCOUNT, Terminal, aws, command, output, wait_until};
use crate::fake::{FakeEcs, Response, identity};
use crate::service::hold;
use crate::service_fake::stack::{ChangeSet, StackFake};
use crate::support::{CommandOutput, Project, VALUES};

/// The fakes over HTTP.
struct Cloud {
    http: FakeEcs,
    state: Arc<StackFake>,
    is_held: Arc<AtomicBool>,
    is_released: Arc<AtomicBool>,
}

impl Cloud {
    fn new() -> Self {
        Self::holding("")
    }

    /// Does not respond to an operation until it is dropped.
    fn holding(held_operation: &'static str) -> Self {
        let state = Arc::new(StackFake::new());
        let (is_held, is_released) = (Arc::default(), Arc::default());
        let (shared, held, released) = (
            Arc::clone(&state),
            Arc::clone(&is_held),
            Arc::clone(&is_released),
        );
        let http = FakeEcs::start(move |name, body, _| {
            if name == held_operation {
                hold(&held, &released);
            }
            if name == "GetCallerIdentity" {
                return identity(ACCOUNT);
            }
            let operation = Operation::ALL.iter().find(|it| it.as_str() == name);
            let call = Call::new(*operation.unwrap(), body.clone());
            respond(&call, shared.answer(&call))
        });
        Self {
            http,
            state,
            is_held,
            is_released,
        }
    }

    fn calls(&self) -> usize {
        self.http.requests.lock().unwrap().len()
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.is_released.store(true, Ordering::SeqCst);
    }
}

/// Returns the response in the protocol of the API.
fn respond(call: &Call, answer: Result<Value, Error>) -> Response {
    let is_xml = call.operation.service() == Service::CloudFormation;
    let name = call.operation.as_str();
    match answer {
        Ok(value) if is_xml => {
            let result = xml(&value);
            let text =
                format!("<{name}Response><{name}Result>{result}</{name}Result></{name}Response>");
            (200, text)
        }
        Ok(value) => (200, value.to_string()),
        Err(Error::Refused { code, message, .. }) if is_xml => {
            let error = format!("<Code>{code}</Code><Message>{message}</Message>");
            (
                400,
                format!("<ErrorResponse><Error>{error}</Error></ErrorResponse>"),
            )
        }
        Err(other) => panic!("{other}"),
    }
}

fn xml(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let field =
                |(name, value): (&String, &Value)| format!("<{name}>{}</{name}>", xml(value));
            fields.iter().map(field).collect()
        }
        Value::Array(items) => {
            let item = |item: &Value| format!("<member>{}</member>", xml(item));
            items.iter().map(item).collect()
        }
        Value::Null => String::new(),
        Value::String(text) => text.replace('&', "&amp;").replace('<', "&lt;"),
        other => other.to_string(),
    }
}

/// A project with the assembly `web`, whose version is a value.
fn project() -> Project {
    let project = Project::new();
    let component = project.read("apps/web/component.yaml");
    project.write(
        "apps/web/component.yaml",
        component.replace("web:1", "web:${version}"),
    );
    project.write("assemblies/web.yaml", "name: web\napp: web\nservice: {}\n");
    let values = VALUES.replace("111122223333", ACCOUNT);
    let network = "version: \"1\"\ncluster: main\nvpc: vpc-1\nsubnets: subnet-1, subnet-2\n";
    project.write("assemblies/values/prod.yaml", values + network);
    project
}

fn deploy(project: &Project, cloud: &Cloud, version: &str, more: &[&str]) -> CommandOutput {
    let version = format!("version={version}");
    let arguments = ["deploy", "web", "--values", "prod", "--value", &version];
    aws(project, &cloud.http.url, &[&arguments[..], more].concat())
}

/// Fakes whose stack runs version 1.
fn existing(project: &Project) -> Cloud {
    let cloud = Cloud::new();
    let run = deploy(project, &cloud, "1", &["--yes"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    cloud
}

#[test]
fn deploys_a_stack_and_then_has_nothing_to_do() {
    let project = project();
    let cloud = existing(&project);
    let parameters = cloud.state.change(|stack| stack.applied.parameters.clone());
    assert_eq!(parameters["Subnets"], "subnet-1,subnet-2");

    let run = deploy(&project, &cloud, "2", &["--yes"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.out.ends_with(":task-definition/web:3\n"), "{run:?}");
    for line in [
        "-/+ TaskDefinition  AWS::ECS::TaskDefinition  replaced",
        "UPDATE_IN_PROGRESS  Service  AWS::ECS::Service",
        "of 2 tasks running",
        "UPDATE_COMPLETE  web  AWS::CloudFormation::Stack",
    ] {
        assert!(run.err.contains(line), "{line}: {}", run.err);
    }

    let before = cloud.calls();
    let again = deploy(&project, &cloud, "2", &[]);
    assert_eq!((again.code, again.out.as_str()), (Some(0), ""), "{again:?}");
    assert!(again.err.contains("nothing was done"), "{}", again.err);
    assert!(cloud.calls() - before <= 10, "{}", cloud.calls() - before);
}

#[test]
fn a_failed_deploy_has_its_reason_and_the_next_one_repairs() {
    let project = project();
    let cloud = Cloud::new();
    let run = deploy(&project, &cloud, "bad", &["--yes"]);
    assert_eq!((run.code, run.out.as_str()), (Some(3), ""), "{run:?}");
    for text in [
        "app  exit 3",
        "app | no such table: users",
        "(ROLLBACK_COMPLETE)",
        "Service (AWS::ECS::Service): ECS Deployment Circuit Breaker was triggered",
    ] {
        assert!(run.err.contains(text), "{text}: {}", run.err);
    }

    let asked = deploy(&project, &cloud, "1", &[]);
    assert_eq!(asked.code, Some(2), "{asked:?}");
    assert!(
        asked.err.contains("must be deleted and created anew")
            && asked.err.contains("pass `--yes`"),
        "{}",
        asked.err
    );
    let again = deploy(&project, &cloud, "1", &["--yes"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(cloud.state.status(), "CREATE_COMPLETE");
}

#[test]
fn a_stack_of_another_environment_is_refused() {
    let project = project();
    let values = project.read("assemblies/values/prod.yaml");
    project.write("assemblies/values/staging.yaml", values);
    let cloud = existing(&project);
    for verb in ["deploy", "destroy", "rollback"] {
        let arguments = [
            verb,
            "web",
            "--values",
            "staging",
            "--yes",
            "--value",
            "version=2",
        ];
        let run = aws(&project, &cloud.http.url, &arguments);
        assert_eq!(run.code, Some(3), "{verb}: {run:?}");
        let message = "has the values of `prod`, and this command those of `staging`";
        assert!(run.err.contains(message), "{verb}: {}", run.err);
    }

    assert_eq!(cloud.state.status(), "CREATE_COMPLETE");
    assert_eq!(cloud.state.count(Operation::CreateChangeSet), 1);
}

#[test]
fn an_existing_log_group_has_its_own_message() {
    let project = project();
    let cloud = Cloud::new();
    cloud
        .state
        .change(|stack| stack.existing = Some(("LogGroup", "AWS::Logs::LogGroup")));
    let run = deploy(&project, &cloud, "1", &["--yes"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    assert!(run.err.contains("aws logs delete-log-group"), "{}", run.err);
}

#[test]
fn a_dry_run_leaves_nothing() {
    let project = project();
    let cloud = Cloud::new();
    let run = deploy(&project, &cloud, "1", &["--dry-run"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(
        run.err.contains("+ Service  AWS::ECS::Service"),
        "{}",
        run.err
    );
    assert_eq!(cloud.state.status(), "");
    assert_eq!(cloud.state.count(Operation::ExecuteChangeSet), 0);
}

#[test]
fn an_emulator_of_ecs_alone_is_none_of_cloudformation() {
    let project = project();
    let cloud = Cloud::new();
    let arguments = ["deploy", "web", "--values", "prod", "--yes"];
    // CloudFormation is not on this host; the fake is a proxy for it.
    let mut command = command(&project, "http://aws.test.invalid", &arguments);
    command
        .env("HTTP_PROXY", &cloud.http.url)
        .env("AWS_ENDPOINT_URL_ECS", &cloud.http.url);

    let run = output(command);
    assert_eq!(run.code, Some(2), "{run:?}");
    let message = "set AWS_ENDPOINT_URL_CLOUDFORMATION";
    assert!(run.err.contains(message), "{}", run.err);
    assert_eq!(cloud.state.count(Operation::CreateChangeSet), 0);
}

#[test]
fn what_cannot_be_deployed_is_refused() {
    let project = project();
    let cloud = existing(&project);
    let unconfirmed = deploy(&project, &cloud, "2", &[]);
    assert_eq!(unconfirmed.code, Some(2), "{unconfirmed:?}");
    assert!(
        unconfirmed.err.contains("pass `--yes`"),
        "{}",
        unconfirmed.err
    );
    assert!(cloud.state.change(|stack| stack.change_sets.is_empty()));

    cloud
        .state
        .change(|stack| stack.change_sets.push(ChangeSet::foreign()));
    let foreign = deploy(&project, &cloud, "2", &["--yes"]);
    assert_eq!(foreign.code, Some(3), "{foreign:?}");
    assert!(
        foreign.err.contains("change set `by-hand` of another tool"),
        "{}",
        foreign.err
    );

    cloud.state.change(|stack| stack.tags = Value::Null);
    for verb in ["deploy", "rollback", "destroy"] {
        let arguments = [verb, "web", "--values", "prod", "--yes"];
        let run = aws(&project, &cloud.http.url, &arguments);
        assert_eq!(run.code, Some(3), "{run:?}");
        assert!(
            run.err.contains("was not made by `assemble deploy`"),
            "{}",
            run.err
        );
    }

    let values = project
        .read("assemblies/values/prod.yaml")
        .replace("vpc: vpc-1\n", "");
    project.write("assemblies/values/prod.yaml", values);
    let missing = deploy(&project, &cloud, "2", &["--yes"]);
    assert_eq!(missing.code, Some(2), "{missing:?}");
    assert!(missing.err.contains("\n  vpc: …"), "{}", missing.err);
}

#[test]
fn a_declined_question_changes_nothing() {
    let project = project();
    let cloud = Cloud::new();
    let arguments = ["deploy", "web", "--values", "prod"];
    let mut terminal = Terminal::start(&project, &cloud.http.url, &arguments);
    terminal.wait_for("deploy? [y/N]");
    terminal.type_keys("n\n");
    assert_eq!(terminal.finish(), Some(1), "{}", terminal.text());
    assert_eq!(cloud.state.status(), "");
}

#[test]
fn rolls_back_through_the_stack() {
    let project = project();
    let cloud = existing(&project);
    deploy(&project, &cloud, "2", &["--yes"]);
    let arguments = ["rollback", "web", "--values", "prod", "--yes"];
    let run = aws(&project, &cloud.http.url, &arguments);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.out.ends_with(":task-definition/web:2\n"), "{run:?}");
    assert_eq!(cloud.state.ecs.images()["app"], "registry.example/web:1");
}

#[test]
fn destroys_the_stack_and_says_what_stays() {
    let project = project();
    let cloud = existing(&project);
    let arguments = ["destroy", "web", "--values", "prod", "--yes"];
    let run = aws(&project, &cloud.http.url, &arguments);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(
        run.err
            .contains("stay:\n  LogGroup  AWS::Logs::LogGroup  /ecs/web"),
        "{}",
        run.err
    );
    assert_eq!(cloud.state.status(), "DELETE_COMPLETE");
    let again = aws(&project, &cloud.http.url, &arguments);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(
        again.err.contains("there is no stack `web`"),
        "{}",
        again.err
    );
}

#[test]
fn a_signal_at_any_call_says_what_goes_on() {
    let project = project();
    for (operation, expected) in [
        ("DescribeStacks", "nothing was changed"),
        ("CreateChangeSet", "nothing was changed"),
        ("DescribeChangeSet", "nothing was changed"),
        ("ExecuteChangeSet", "the stack may be changing already"),
    ] {
        let cloud = Cloud::holding(operation);
        let arguments = ["deploy", "web", "--values", "prod", "--yes"];
        let mut run = command(&project, &cloud.http.url, &arguments);
        run.stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let child = run.spawn().unwrap();
        wait_until(operation, || cloud.is_held.load(Ordering::SeqCst));
        let id = child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &id])
                .status()
                .unwrap()
                .success()
        );

        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{text}");
        assert!(text.contains(expected), "{operation}: {text}");
    }
}
