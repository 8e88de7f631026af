//! The life of a task.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use aws_sdk_ecs::Client;
use aws_sdk_ecs::error::ProvideErrorMetadata;
use aws_sdk_ecs::types::{
    AwsVpcConfiguration, ContainerOverride, DesiredStatus, KeyValuePair, LaunchType,
    NetworkConfiguration, TaskOverride, TaskStopCode,
};

use crate::support::{Running, read_events, register, run, wait_for};

#[tokio::test]
async fn a_task_runs_until_it_is_stopped() {
    let emulator = Running::start().await;
    let client = emulator.client();
    register(&client, "web").await;
    let started = run(&client, "web").started_by("test").send().await.unwrap();
    let arn = started.tasks()[0].task_arn().unwrap().to_owned();
    assert_eq!(started.tasks()[0].last_status(), Some("PROVISIONING"));

    let task = wait_for(&client, &arn, "RUNNING").await;
    assert_eq!(
        task.containers()[0].network_bindings()[0].host_port(),
        Some(8080)
    );

    assert!(task.started_at().is_some());
    let details = task.attachments()[0].details();
    let address = details
        .iter()
        .find(|detail| detail.name() == Some("privateIPv4Address"))
        .unwrap();
    assert!(address.value().unwrap().starts_with("127."));

    let stopped = client
        .stop_task()
        .task(&arn)
        .reason("enough")
        .send()
        .await
        .unwrap();
    assert_eq!(stopped.task().unwrap().desired_status(), Some("STOPPED"));
    let task = wait_for(&client, &arn, "STOPPED").await;
    assert_eq!(task.stop_code(), Some(&TaskStopCode::UserInitiated));
    assert_eq!(task.stopped_reason(), Some("enough"));
    assert_eq!(task.containers()[0].exit_code(), Some(143));

    // Without a filter the call lists tasks that are wanted.
    let running = client.list_tasks().send().await.unwrap();
    assert!(running.task_arns().is_empty());
    let stopped = client
        .list_tasks()
        .desired_status(DesiredStatus::Stopped)
        .started_by("test")
        .send()
        .await
        .unwrap();
    assert_eq!(stopped.task_arns(), [arn]);
    emulator.stop().await;
}

#[tokio::test]
async fn events_have_every_status_of_a_task() {
    let emulator = Running::start().await;
    let client = emulator.client();
    register(&client, "web").await;
    let started = run(&client, "web").send().await.unwrap();
    let arn = started.tasks()[0].task_arn().unwrap();
    wait_for(&client, arn, "RUNNING").await;
    client.stop_task().task(arn).send().await.unwrap();
    wait_for(&client, arn, "STOPPED").await;
    let arn = arn.to_owned();
    // All events are written by the time the emulator has stopped.
    let events = read_events(&emulator.stop().await);
    let statuses: Vec<&str> = events
        .iter()
        .filter_map(|event| event["detail"]["lastStatus"].as_str())
        .collect();
    for status in ["PROVISIONING", "PENDING", "RUNNING", "STOPPED"] {
        assert!(statuses.contains(&status), "{status} of {statuses:?}");
    }
    assert_eq!(events[0]["detail-type"], "ECS Task State Change");
    assert_eq!(events[0]["resources"][0], arn);
}

#[tokio::test]
async fn a_token_starts_a_task_once() {
    let emulator = Running::start().await;
    let client = emulator.client();
    register(&client, "web").await;
    // The response of the first call may have been lost.
    let first = run(&client, "web").client_token("t").send().await.unwrap();
    let again = run(&client, "web").client_token("t").send().await.unwrap();
    assert_eq!(first.tasks()[0].task_arn(), again.tasks()[0].task_arn());

    let other = run(&client, "web")
        .client_token("t")
        .count(2)
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(other.is_conflict_exception(), "{other:?}");
    assert_eq!(
        client.list_tasks().send().await.unwrap().task_arns().len(),
        1
    );

    emulator.stop().await;
}

#[tokio::test]
async fn a_task_that_cannot_start_says_why() {
    let emulator = Running::start_with(|config| config.executable = "/bin/false".into()).await;
    let client = emulator.client();
    register(&client, "web").await;
    let started = run(&client, "web").send().await.unwrap();
    let task = wait_for(&client, started.tasks()[0].task_arn().unwrap(), "STOPPED").await;
    assert_eq!(task.stop_code(), Some(&TaskStopCode::TaskFailedToStart));
    assert!(
        task.stopped_reason()
            .unwrap()
            .starts_with("ResourceInitializationError: "),
        "{task:?}"
    );
    emulator.stop().await;
}

#[tokio::test]
async fn tasks_beyond_the_capacity_are_failures() {
    let emulator = Running::start_with(|config| config.max_tasks = 2).await;
    let client = emulator.client();
    register(&client, "web").await;
    let started = run(&client, "web").count(3).send().await.unwrap();
    assert_eq!((started.tasks().len(), started.failures().len()), (2, 1));
    assert!(
        started.failures()[0]
            .reason()
            .unwrap()
            .starts_with("Capacity is unavailable")
    );
    emulator.stop().await;
}

#[tokio::test]
async fn overrides_reach_the_definition_that_runs() {
    let emulator = Running::start().await;
    let client = emulator.client();
    register(&client, "web").await;
    let variable = KeyValuePair::builder().name("MODE").value("fast").build();
    let container = ContainerOverride::builder()
        .name("app")
        .command("serve")
        .environment(variable)
        .build();
    let overrides = TaskOverride::builder()
        .container_overrides(container)
        .memory("1024")
        .build();
    let started = run(&client, "web")
        .overrides(overrides)
        .send()
        .await
        .unwrap();
    let task = wait_for(&client, started.tasks()[0].task_arn().unwrap(), "RUNNING").await;
    assert_eq!(task.memory(), Some("1024"));

    let runs = fs::read_dir(emulator.root.path().join(".assemble/run")).unwrap();
    let folder = runs.flatten().next().unwrap().path();
    let text = fs::read_to_string(folder.join("definition.json")).unwrap();
    let definition: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(definition["containerDefinitions"][0]["command"][0], "serve");
    assert_eq!(
        definition["containerDefinitions"][0]["environment"][0]["value"],
        "fast"
    );

    emulator.stop().await;
}

#[tokio::test]
async fn refuses_calls_that_ecs_refuses() {
    let emulator = Running::start().await;
    let client = emulator.client();
    register(&client, "web").await;
    let code =
        |error: aws_sdk_ecs::operation::run_task::RunTaskError| error.code().map(str::to_owned);

    let without_network = client
        .run_task()
        .task_definition("web")
        .launch_type("FARGATE".into())
        .send()
        .await;
    assert_eq!(
        code(without_network.unwrap_err().into_service_error()).as_deref(),
        Some("InvalidParameterException")
    );

    let missing = run(&client, "none")
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert_eq!(code(missing).as_deref(), Some("ClientException"));
    let many = run(&client, "web")
        .count(11)
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert_eq!(code(many).as_deref(), Some("InvalidParameterException"));
    let version = run(&client, "web")
        .platform_version("9")
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(version.is_platform_unknown_exception());

    let unknown = client.describe_tasks().tasks("0123").send().await.unwrap();
    assert_eq!(unknown.failures()[0].reason(), Some("MISSING"));
    let unsupported = client
        .list_attributes()
        .target_type("container-instance".into())
        .send()
        .await
        .unwrap_err();
    assert_eq!(
        unsupported.into_service_error().code(),
        Some("UnknownOperationException")
    );

    emulator.stop().await;
}

/// Creates a service with two tasks, and returns them once they run.
async fn start_service(client: &Client) -> Vec<String> {
    register(client, "web").await;
    let network = AwsVpcConfiguration::builder().subnets("subnet-1").build();
    let network = NetworkConfiguration::builder().awsvpc_configuration(network.unwrap());
    let service = client.create_service().service_name("web");
    let service = service.task_definition("web:1").desired_count(2);
    let service = service.launch_type(LaunchType::Fargate);
    let created = service.network_configuration(network.build()).send().await;
    created.unwrap();

    let deadline = Instant::now() + Duration::from_mins(1);
    let listed = loop {
        let listed = client.list_tasks().service_name("web").send().await;
        let arns = listed.unwrap().task_arns().to_vec();
        if arns.len() == 2 {
            break arns;
        }
        assert!(Instant::now() < deadline, "{arns:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    for arn in &listed {
        wait_for(client, arn, "RUNNING").await;
    }
    listed
}

/// The endpoint in a task keeps the protection in a file of the run directory.
#[tokio::test]
async fn a_task_protects_itself_and_sees_what_the_api_changes() {
    let emulator = Running::start().await;
    let client = emulator.client();
    let task = start_service(&client).await.remove(0);
    let id = &task[task.len() - 32..];
    let runs = fs::read_dir(emulator.root.path().join(".assemble/run")).unwrap();
    let own = |folder: &PathBuf| folder.to_string_lossy().contains(&id[..8]);
    let folder = runs.map(|entry| entry.unwrap().path()).find(own).unwrap();

    let in_an_hour = SystemTime::now() + Duration::from_hours(1);
    let seconds = in_an_hour.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    fs::write(folder.join("protection"), seconds.as_secs().to_string()).unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let call = client.get_task_protection().cluster("default").tasks(&task);
        let found = call.send().await.unwrap();
        let found = &found.protected_tasks()[0];
        if found.protection_enabled() {
            let until = found.expiration_date().unwrap();
            assert_eq!(until.secs().unsigned_abs(), seconds.as_secs());
            break;
        }
        assert!(Instant::now() < deadline, "{found:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let call = client.update_task_protection().cluster("default");
    let call = call.tasks(&task).protection_enabled(false);
    call.send().await.unwrap();
    while !fs::read_to_string(folder.join("protection"))
        .unwrap()
        .is_empty()
    {
        assert!(Instant::now() < deadline, "the file is not emptied");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    emulator.stop().await;
}

/// A service would replace tasks that the emulator stops at its end.
#[tokio::test]
async fn the_tasks_of_a_service_are_not_replaced_at_the_end() {
    let emulator = Running::start().await;
    let client = emulator.client();
    let listed = start_service(&client).await;

    let events = read_events(&emulator.stop().await);
    let tasks: BTreeSet<&str> = events
        .iter()
        .filter_map(|event| event["detail"]["taskArn"].as_str())
        .collect();
    assert_eq!(tasks, listed.iter().map(String::as_str).collect());
}
