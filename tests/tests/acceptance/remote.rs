//! The verbs that call AWS, against a moto server on an isolated loopback.

use std::fs;
use std::process::Command;
use std::time::Duration;

use acceptance::{Network, Process, ProcessOutput, Project, workspace};
use serde_json::Value;

// Every wait ends as soon as its condition holds, so a long limit costs nothing. On a busy host starting moto and
// importing boto3 took more than a minute, and the SDK itself may retry for one minute before it reports an error.
const LIMIT: Duration = Duration::from_mins(5);
const ENDPOINT: &str = "http://127.0.0.1:5055";

#[test]
fn diff_is_empty_after_register_until_the_assembly_changes() {
    let moto = Moto::start();
    let new = moto.assemble(&["diff", "coins-secure"]);
    // 1 means a difference, as with diff(1).
    assert_eq!(new.code, 1, "{}", new.output());
    assert!(new.stderr.contains("never registered"), "{}", new.output());

    let registered = moto.assemble(&["register", "coins-secure"]);
    assert_eq!(registered.code, 0, "{}", registered.output());
    assert!(
        registered
            .stdout
            .trim()
            .ends_with("task-definition/coins-secure:1"),
        "{registered:?}"
    );

    let same = moto.assemble(&["diff", "coins-secure"]);
    assert_eq!(
        (same.code, same.stdout.as_str()),
        (0, ""),
        "{}",
        same.output()
    );

    // Another version changes the image of every component.
    let changed = moto.assemble(&["diff", "coins-secure", "--value", "version=9.9.9"]);
    assert_eq!(changed.code, 1, "{}", changed.output());
    assert!(
        changed.stdout.contains("/containerDefinitions/coins/image"),
        "{}",
        changed.stdout
    );
    assert!(changed.stdout.contains("coins:9.9.9"), "{}", changed.stdout);

    // Registering the same definition creates no revision.
    let again = moto.assemble(&["register", "coins-secure"]);
    assert_eq!(
        (again.code, again.stdout.as_str()),
        (0, ""),
        "{}",
        again.output()
    );
}

#[test]
fn run_waits_for_the_task_and_returns_its_exit_code() {
    let moto = Moto::start();
    // A plain task definition, without its assembly.
    let file = workspace().join("assemblies/rendered/thumbnail-on-demand/task-definition.json");
    let registered = moto.assemble(&["register", &file.display().to_string()]);
    assert_eq!(registered.code, 0, "{}", registered.output());
    let (subnet, group) = moto.network();
    let placement = ["--subnet", &subnet, "--security-group", &group];
    let finished = moto.assemble(&[&["run", "thumbnail-on-demand"][..], &placement].concat());
    assert_eq!(finished.code, 0, "{}", finished.output());
    assert!(finished.stdout.contains("exit 0"), "{}", finished.output());
    assert!(finished.stderr.contains("STOPPED"), "{}", finished.output());
}

#[test]
fn a_rejected_call_exits_125_with_a_message() {
    let moto = Moto::start();
    let (subnet, group) = moto.network();
    let placement = ["--subnet", &subnet, "--security-group", &group];
    let output = moto.assemble(&[&["run", "nothing-like-it"][..], &placement].concat());
    // As `docker run`: the codes below are those of the task.
    assert_eq!(output.code, 125, "{}", output.output());
    assert!(
        output.stderr.contains("ECS refused RunTask"),
        "{}",
        output.output()
    );
}

/// A container of a task with a role calls AWS with credentials from the endpoint that Fargate has.
#[test]
fn a_container_calls_aws_with_the_role_of_its_task() {
    let moto = Moto::start();
    let role = "arn:aws:iam::123456789012:role/app";
    let python = workspace().join(".venv/bin/python");
    let script = "import boto3; s = boto3.Session(); c = s.get_credentials(); print(c.method, c.access_key[:4], \
               boto3.client('sts').get_caller_identity()['Arn'])";
    let line = format!(
        "{} -c \"{script}\"; \"$0\" diff task.json; curl -sS \"http://169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI\"; echo",
        python.display()
    );

    let command = [
        "-c".to_owned(),
        line,
        acceptance::binary("assemble").display().to_string(),
    ];
    let task = serde_json::json!({
        "family": "asks", "taskRoleArn": role, "cpu": "256", "memory": "512",
        "containerDefinitions": [{ "name": "app", "image": "sh", "entryPoint": ["/bin/sh"], "command": command }],
    });

    fs::write(moto.project.root().join("task.json"), task.to_string()).expect("writable");
    let endpoint = format!("AWS_ENDPOINT_URL={ENDPOINT}");
    let words = [
        "up",
        "task.json",
        "--bin",
        "app=/bin/sh",
        "--credentials",
        "role",
        "--env",
        &endpoint,
    ];

    let more = [
        "--env",
        "AWS_EC2_METADATA_DISABLED=true",
        "--env",
        "AWS_REGION=eu-central-1",
        "--env",
        "AWS_DEFAULT_REGION=eu-central-1",
    ];

    let finished = moto.assemble(&[&words[..], &more].concat());
    if finished
        .stderr
        .contains("the task shares the host's network")
    {
        eprintln!("skipped: credentials on 169.254.170.2 need network namespaces");
        return;
    }

    let output = finished.output();
    // boto3's name for credentials from the container endpoint, and the prefix of temporary keys.
    assert!(output.contains("container-role ASIA"), "{output}");
    assert!(output.contains("assumed-role/app/assemble-up"), "{output}");

    // The AWS SDK for Rust found credentials with the same variables, and called ECS.
    assert!(output.contains("never registered"), "{output}");
    let credentials = finished
        .stdout
        .lines()
        .find_map(|line| line.split_once("| {").map(|(_, rest)| format!("{{{rest}")));
    let credentials: Value =
        serde_json::from_str(&credentials.expect("the response to curl")).expect("JSON");

    assert_eq!(credentials["RoleArn"], role);
    assert!(
        credentials["Expiration"].is_string() && credentials["Token"].is_string(),
        "the names that the SDKs read"
    );
}

/// A moto server, and `assemble` with its endpoint.
struct Moto {
    network: Network,
    project: Project,
    _server: Process,
}

impl Moto {
    fn start() -> Self {
        let network = Network::new();
        let server = workspace().join(".venv/bin/moto_server");
        assert!(server.exists(), "moto is not installed: run `make setup`");

        let mut command = network.command(server);
        command.args(["-H", "127.0.0.1", "-p", "5055"]);
        let server = Process::start(command);
        let moto = Self {
            network,
            project: Project::new(),
            _server: server,
        };
        let up = acceptance::wait_until(LIMIT, || {
            let mut request = moto.network.command("curl");
            request.args(["--silent", "--fail", "--output", "/dev/null", ENDPOINT]);
            Process::finish(request, LIMIT).code == 0
        });

        assert!(up, "moto does not answer");
        moto
    }

    fn assemble(&self, arguments: &[&str]) -> ProcessOutput {
        Process::finish(
            with_aws_environment(self.project.assemble(&self.network), arguments),
            LIMIT,
        )
    }

    /// Creates a cluster, and returns a subnet and a security group of moto's default network.
    fn network(&self) -> (String, String) {
        const SCRIPT: &str = "
import boto3, json
boto3.client('ecs').create_cluster(clusterName='default')
ec2 = boto3.client('ec2')
print(json.dumps([ec2.describe_subnets()['Subnets'][0]['SubnetId'],
                  ec2.describe_security_groups()['SecurityGroups'][0]['GroupId']]))";

        let python = self.network.command(workspace().join(".venv/bin/python"));
        let finished = Process::finish(with_aws_environment(python, &["-c", SCRIPT]), LIMIT);
        let found: Value = serde_json::from_str(&finished.stdout)
            .unwrap_or_else(|_| panic!("{}", finished.output()));
        let text = |at: usize| found[at].as_str().expect("an id").to_owned();

        (text(0), text(1))
    }
}

/// Adds arguments and an environment with dummy credentials and the endpoint of the server.
fn with_aws_environment(mut command: Command, arguments: &[&str]) -> Command {
    command
        .args(arguments)
        .env("AWS_ENDPOINT_URL", ENDPOINT)
        .env("AWS_REGION", "eu-central-1");
    command
        .env("AWS_DEFAULT_REGION", "eu-central-1")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test");

    command
}

/// `register` plans first, so nothing is sent for an invalid assembly.
#[test]
fn an_assembly_with_findings_is_not_registered() {
    let (network, project) = (Network::new(), Project::new());
    let path = project.root().join("assemblies/bad.yaml");
    fs::write(&path, "name: bad\napp: coinz\n").expect("writable");

    let output = Process::finish(
        with_aws_environment(project.assemble(&network), &["register", "bad"]),
        LIMIT,
    );

    assert_eq!(output.code, 1, "{}", output.output());
    assert!(
        output.stderr.contains("write `coins`"),
        "{}",
        output.output()
    );
}
