//! An emulator for a test, and a client of the AWS SDK. Its tasks are run by a script that records what `up` would.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use aws_sdk_ecs::Client;
use aws_sdk_ecs::config::retry::RetryConfig;
use aws_sdk_ecs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_ecs::operation::register_task_definition::RegisterTaskDefinitionOutput;
use aws_sdk_ecs::types::{
    AwsVpcConfiguration, Compatibility, ContainerDefinition, LaunchType, NetworkConfiguration,
    NetworkMode, Task,
};
use ecs_emulator::{Config, Emulator};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A running emulator.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) root: TempDir,
    key: (String, String),
    shutdown: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

impl Running {
    /// Starts an emulator with tasks that run until they are stopped.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts an emulator with changes of its configuration.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut config = Config::new(root.path().to_owned(), write_script(&root));
        change(&mut config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let emulator = Emulator::new(config, listener).unwrap();

        let address = emulator.address().unwrap();
        let key = (
            emulator.keys().id().to_owned(),
            emulator.keys().secret().to_owned(),
        );

        let (shutdown, stop) = oneshot::channel();
        let server = tokio::spawn(async move {
            // An error means that the test has dropped the sender, which is a stop too.
            let stop = async { drop(stop.await) };
            emulator.serve(stop, std::future::pending()).await.unwrap();
        });

        Self {
            address,
            root,
            key,
            shutdown: Some(shutdown),
            server,
        }
    }

    /// Stops the emulator. Returns its directory once its tasks have ended.
    pub(crate) async fn stop(mut self) -> TempDir {
        let _ = self.shutdown.take().map(|shutdown| shutdown.send(()));
        self.server.await.unwrap();
        self.root
    }

    pub(crate) fn client(&self) -> Client {
        self.client_with(&self.key.0, &self.key.1, "us-east-1")
    }

    pub(crate) fn client_with(&self, id: &str, secret: &str, region: &str) -> Client {
        let config = aws_sdk_ecs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(format!("http://{}", self.address))
            .region(Region::new(region.to_owned()))
            .credentials_provider(Credentials::new(id, secret, None, None, "test"))
            // A test sees each response; the defaults would hide errors that are retried.
            .retry_config(RetryConfig::disabled());
        Client::from_conf(config.build())
    }

    pub(crate) fn key_id(&self) -> &str {
        &self.key.0
    }
}

/// Reads the events of an emulator.
pub(crate) fn read_events(root: &TempDir) -> Vec<serde_json::Value> {
    let path = root.path().join(".assemble/emulator/events.jsonl");
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Writes a program that behaves towards the emulator as `up` does: it records a RUNNING task in the run directory,
/// and a STOPPED one once its stdin is closed.
fn write_script(root: &TempDir) -> PathBuf {
    let script = root.path().join("up");
    fs::write(&script, SCRIPT).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    script
}

const SCRIPT: &str = r#"#!/bin/sh
for argument in "$@"; do
  case "$argument" in --name=*) name=${argument#--name=} ;; esac
done
cd "$2/.assemble/run/$name" || exit 125
record() {
  echo "$1" > task.json.new && mv task.json.new task.json
}
record '{"tasks":[{"lastStatus":"RUNNING","desiredStatus":"RUNNING","healthStatus":"HEALTHY","startedAt":1700000000.5,"containers":[{"name":"app","lastStatus":"RUNNING","healthStatus":"HEALTHY","networkBindings":[{"bindIP":"127.9.9.9","containerPort":8080,"hostPort":8080,"protocol":"tcp"}]}]}]}'
read -r line
record '{"tasks":[{"lastStatus":"STOPPED","desiredStatus":"STOPPED","stopCode":"UserInitiated","stoppedReason":"Task stopped by user","stoppedAt":1700000001,"containers":[{"name":"app","lastStatus":"STOPPED","exitCode":143}]}]}'
"#;

/// Registers a definition with one container.
pub(crate) async fn register(client: &Client, family: &str) -> RegisterTaskDefinitionOutput {
    let app = ContainerDefinition::builder()
        .name("app")
        .image("app:1")
        .essential(true)
        .build();
    let call = client
        .register_task_definition()
        .family(family)
        .container_definitions(app);
    let call = call
        .network_mode(NetworkMode::Awsvpc)
        .cpu("256")
        .memory("512");
    call.requires_compatibilities(Compatibility::Fargate)
        .send()
        .await
        .unwrap()
}

/// Prepares a RunTask call on Fargate.
pub(crate) fn run(
    client: &Client,
    definition: &str,
) -> aws_sdk_ecs::operation::run_task::builders::RunTaskFluentBuilder {
    let network = AwsVpcConfiguration::builder()
        .subnets("subnet-1")
        .build()
        .unwrap();
    let network = NetworkConfiguration::builder()
        .awsvpc_configuration(network)
        .build();
    client
        .run_task()
        .task_definition(definition)
        .launch_type(LaunchType::Fargate)
        .network_configuration(network)
}

/// Waits until a task has a status.
pub(crate) async fn wait_for(client: &Client, arn: &str, status: &str) -> Task {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let response = client.describe_tasks().tasks(arn).send().await.unwrap();
        let task = response.tasks()[0].clone();
        if task.last_status() == Some(status) {
            return task;
        }
        assert!(Instant::now() < deadline, "{task:#?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
