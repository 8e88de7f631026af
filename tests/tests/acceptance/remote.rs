//! The verbs that speak to AWS, against a moto server on a loopback of its own.

use std::fs;
use std::process::Command;
use std::time::Duration;

use acceptance::{Finished, Network, Process, Project, workspace};
use serde_json::Value;

// Every wait ends as soon as its condition holds, so a long limit costs nothing. On a busy host starting moto and
// importing boto3 took more than a minute, and the SDK itself may retry for one minute before it reports an error.
const LIMIT: Duration = Duration::from_mins(5);
const ENDPOINT: &str = "http://127.0.0.1:5055";

#[test]
fn a_registered_assembly_shows_no_difference_until_it_changes() {
    let cloud = Cloud::start();
    let new = cloud.assemble(&["diff", "coins-secure"]);
    assert_eq!(new.code, 1, "{}", new.output());
    assert!(new.stderr.contains("never registered"), "{}", new.output());

    let registered = cloud.assemble(&["register", "coins-secure"]);
    assert_eq!(registered.code, 0, "{}", registered.output());
    assert!(
        registered
            .stdout
            .trim()
            .ends_with("task-definition/coins-secure:1"),
        "{registered:?}"
    );

    let same = cloud.assemble(&["diff", "coins-secure"]);
    assert_eq!(
        (same.code, same.stdout.as_str()),
        (0, ""),
        "{}",
        same.output()
    );

    let changed = cloud.assemble(&["diff", "coins-secure", "--value", "version=9.9.9"]);
    assert_eq!(changed.code, 1, "{}", changed.output());
    assert!(
        changed.stdout.contains("/containerDefinitions/coins/image"),
        "{}",
        changed.stdout
    );
    assert!(changed.stdout.contains("coins:9.9.9"), "{}", changed.stdout);

    let again = cloud.assemble(&["register", "coins-secure"]);
    assert_eq!(
        (again.code, again.stdout.as_str()),
        (0, ""),
        "{}",
        again.output()
    );
}

#[test]
fn a_run_waits_for_the_end_and_answers_with_the_tasks_exit_code() {
    let cloud = Cloud::start();
    let file = workspace().join("assemblies/rendered/thumbnail-on-demand/task-definition.json");
    let registered = cloud.assemble(&["register", &file.display().to_string()]);
    assert_eq!(registered.code, 0, "{}", registered.output());
    let (subnet, group) = cloud.network();
    let place = ["--subnet", &subnet, "--security-group", &group];
    let finished = cloud.assemble(&[&["run", "thumbnail-on-demand"][..], &place].concat());
    assert_eq!(finished.code, 0, "{}", finished.output());
    assert!(finished.stdout.contains("exit 0"), "{}", finished.output());
    assert!(finished.stderr.contains("STOPPED"), "{}", finished.output());
}

#[test]
fn a_refusal_is_said_in_plain_words_with_exit_code_3() {
    let cloud = Cloud::start();
    let (subnet, group) = cloud.network();
    let place = ["--subnet", &subnet, "--security-group", &group];
    let refused = cloud.assemble(&[&["run", "nothing-like-it"][..], &place].concat());
    assert_eq!(refused.code, 3, "{}", refused.output());
    assert!(
        refused.stderr.contains("ECS refused RunTask"),
        "{}",
        refused.output()
    );
}

/// What a container of a task with a role asks AWS, through the endpoint that Fargate has.
#[test]
fn a_container_speaks_to_aws_as_the_role_it_was_given() {
    let cloud = Cloud::start();
    let role = "arn:aws:iam::123456789012:role/app";
    let python = workspace().join(".venv/bin/python");
    let ask = "import boto3; s = boto3.Session(); c = s.get_credentials(); print(c.method, c.access_key[:4], \
               boto3.client('sts').get_caller_identity()['Arn'])";
    let line = format!(
        "{} -c \"{ask}\"; \"$0\" diff task.json; curl -sS \"http://169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI\"; echo",
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

    fs::write(cloud.project.root().join("task.json"), task.to_string()).expect("writable");
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

    let asked = cloud.assemble(&[&words[..], &more].concat());
    if asked.stderr.contains("the network here is this machine's") {
        eprintln!("skipped: credentials on 169.254.170.2 need network namespaces");
        return;
    }

    let output = asked.output();
    // boto3's name of the provider that asks the container's endpoint.
    assert!(output.contains("container-role ASIA"), "{output}");
    assert!(output.contains("assumed-role/app/assemble-up"), "{output}");

    // The AWS SDK for Rust, with nothing but the same variables, got as far as asking ECS.
    assert!(output.contains("never registered"), "{output}");
    let told = asked
        .stdout
        .lines()
        .find_map(|line| line.split_once("| {").map(|(_, rest)| format!("{{{rest}")));
    let told: Value = serde_json::from_str(&told.expect("curl was answered")).expect("JSON");

    assert_eq!(told["RoleArn"], role);
    assert!(
        told["Expiration"].is_string() && told["Token"].is_string(),
        "the names the SDKs read"
    );
}

/// A moto server, and `assemble` pointed at it.
struct Cloud {
    network: Network,
    project: Project,
    _server: Process,
}

impl Cloud {
    fn start() -> Self {
        let network = Network::new();
        let server = workspace().join(".venv/bin/moto_server");
        assert!(server.exists(), "moto is not installed: run `make setup`");

        let mut command = network.command(server);
        command.args(["-H", "127.0.0.1", "-p", "5055"]);
        let server = Process::start(command);
        let cloud = Self {
            network,
            project: Project::new(),
            _server: server,
        };
        let up = acceptance::wait_until(LIMIT, || {
            let mut ask = cloud.network.command("curl");
            ask.args(["--silent", "--fail", "--output", "/dev/null", ENDPOINT]);
            Process::finish(ask, LIMIT).code == 0
        });

        assert!(up, "moto does not answer");
        cloud
    }

    fn assemble(&self, arguments: &[&str]) -> Finished {
        Process::finish(
            as_a_user(self.project.assemble(&self.network), arguments),
            LIMIT,
        )
    }

    /// A cluster, and a subnet and security group of the network that moto has from the start.
    fn network(&self) -> (String, String) {
        const ASK: &str = "
import boto3, json
boto3.client('ecs').create_cluster(clusterName='default')
ec2 = boto3.client('ec2')
print(json.dumps([ec2.describe_subnets()['Subnets'][0]['SubnetId'],
                  ec2.describe_security_groups()['SecurityGroups'][0]['GroupId']]))";

        let python = self.network.command(workspace().join(".venv/bin/python"));
        let finished = Process::finish(as_a_user(python, &["-c", ASK]), LIMIT);
        let found: Value = serde_json::from_str(&finished.stdout)
            .unwrap_or_else(|_| panic!("{}", finished.output()));
        let text = |at: usize| found[at].as_str().expect("an id").to_owned();

        (text(0), text(1))
    }
}

/// With credentials that open nothing, and no way to anywhere but the server.
fn as_a_user(mut command: Command, arguments: &[&str]) -> Command {
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

/// Not remote at all, but the same door: what cannot be planned is never sent.
#[test]
fn what_has_findings_is_not_registered() {
    let (network, project) = (Network::new(), Project::new());
    let path = project.root().join("assemblies/bad.yaml");
    fs::write(&path, "name: bad\napp: coinz\n").expect("writable");

    let refused = Process::finish(
        as_a_user(project.assemble(&network), &["register", "bad"]),
        LIMIT,
    );

    assert_eq!(refused.code, 1, "{}", refused.output());
    assert!(
        refused.stderr.contains("write `coins`"),
        "{}",
        refused.output()
    );
}
