//! The command with a fake of AWS, and in a terminal.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fake::{FakeEcs, Response, identity};
use crate::support::{self, CommandOutput, Project};

pub(crate) const ACCOUNT: &str = "210987654321";

pub(crate) const TASK: &str =
    "arn:aws:ecs:eu-central-1:210987654321:task/main/0123456789abcdef0123456789abcdef";

pub(crate) const REVISION: &str = "arn:aws:ecs:eu-central-1:210987654321:task-definition/shop:3";

pub(crate) const PLACE: [&str; 4] = ["--cluster", "main", "--subnet", "subnet-1"];

/// Returns the command with an endpoint on this host.
pub(crate) fn command(project: &Project, url: &str, arguments: &[&str]) -> Command {
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

pub(crate) fn aws(project: &Project, url: &str, arguments: &[&str]) -> CommandOutput {
    output(command(project, url, arguments))
}

/// Runs the command with an endpoint that is not on this host, as AWS's is: the fake is a proxy for it.
pub(crate) fn aws_elsewhere(
    project: &Project,
    fake: &FakeEcs,
    arguments: &[&str],
) -> CommandOutput {
    let mut command = command(project, "http://aws.test.invalid", arguments);
    command.env("HTTP_PROXY", &fake.url);
    output(command)
}

pub(crate) fn output(mut command: Command) -> CommandOutput {
    let output = command.output().unwrap();
    CommandOutput {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A project whose values `prod` are those of the fake's account.
pub(crate) fn project() -> Project {
    let project = Project::new();
    let values = support::VALUES.replace("111122223333", ACCOUNT);
    project.write("assemblies/values/prod.yaml", values);
    project
}

pub(crate) fn ok(body: Value) -> Response {
    (200, body.to_string())
}

pub(crate) fn task(status: &str, more: Value) -> Response {
    let mut task = json!({ "taskArn": TASK, "taskDefinitionArn": REVISION, "lastStatus": status });
    task.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    ok(json!({ "tasks": [task], "failures": [] }))
}

pub(crate) fn stopped(code: i32) -> Response {
    task(
        "STOPPED",
        json!({ "stopCode": "EssentialContainerExited",
        "stoppedReason": "Essential container in task exited", "containers": [{ "name": "web", "exitCode": code }] }),
    )
}

/// A fake that remembers registered definitions, and whose tasks end with the given response.
pub(crate) fn ecs(end: Response) -> FakeEcs {
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

pub(crate) fn refusal(code: &str, message: &str) -> Response {
    (
        400,
        json!({ "__type": code, "message": message }).to_string(),
    )
}

pub(crate) fn run_arguments<'a>(what: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["run", what][..], &PLACE, more].concat()
}

/// A definition without an account.
pub(crate) const PLAIN: &str = r#"{ "family": "plain", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc",
  "cpu": "256", "memory": "512", "containerDefinitions": [{ "name": "web", "image": "web:1.0" }] }"#;

/// A command in its own terminal, created by util-linux's `script`.
pub(crate) struct Terminal {
    child: Child,
    log: std::path::PathBuf,
}

impl Terminal {
    pub(crate) fn start(project: &Project, url: &str, arguments: &[&str]) -> Self {
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

    pub(crate) fn wait_for(&self, text: &str) {
        wait_until(text, || self.text().contains(text));
    }

    pub(crate) fn text(&self) -> String {
        let mut text = Vec::new();
        if let Ok(mut file) = fs::File::open(&self.log) {
            let _ = file.read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    pub(crate) fn type_keys(&mut self, keys: &str) {
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(keys.as_bytes()).unwrap();
        input.flush().unwrap();
    }

    /// Returns the exit code of the command, which `script -e` passes on.
    pub(crate) fn finish(&mut self) -> Option<i32> {
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

pub(crate) fn wait_until(what: &str, test: impl Fn() -> bool) {
    let end = Instant::now() + LIMIT;
    while !test() {
        assert!(Instant::now() < end, "timed out waiting for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

// Every wait ends as soon as its condition holds.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);
