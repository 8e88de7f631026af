//! Output of containers, and commands in them.

use ecs_client::{LogReader, Operation, TaskName, container_target, running_task, scalable_target};
use serde_json::json;

use crate::fake::{Fake, TASK, name};

type Edit = fn(&mut serde_json::Value);

const STREAM: &str = "web/app/0123456789abcdef0123456789abcdef";

fn task() -> TaskName {
    TASK.parse().unwrap()
}

#[tokio::test]
async fn reads_lines_once_and_in_order_even_if_they_arrive_late() {
    let line = |time: u64, text: &str| (time, STREAM.to_owned(), format!("{text}\n"));
    let fake = Fake::with(|state| {
        state.run_task();
        state.lines = vec![
            line(70_000, "second"),
            line(50_000, "first"),
            line(1, "long ago"),
        ];
    });

    for mut reader in [
        LogReader::of_service(&fake, &name(), 40_000).await.unwrap(),
        LogReader::of_task(&fake, &task(), 40_000).await.unwrap(),
    ] {
        let texts = |lines: Vec<ecs_client::LogLine>| -> Vec<String> {
            lines.into_iter().map(|line| line.text).collect()
        };
        assert_eq!(
            texts(reader.read(&fake).await.unwrap()),
            ["first", "second"]
        );
        assert_eq!(texts(reader.read(&fake).await.unwrap()), [""; 0]);
        fake.change(|state| state.lines.push(line(60_000, "late")));
        let lines = reader.read(&fake).await.unwrap();
        assert_eq!(
            (lines[0].container.as_str(), lines[0].task.len()),
            ("app", 32)
        );
        assert_eq!(texts(lines), ["late"]);
        fake.change(|state| state.lines.pop());
    }
}

#[tokio::test]
async fn only_containers_with_output_in_cloudwatch_can_be_chosen() {
    let fake = Fake::new();
    let mut reader = LogReader::of_service(&fake, &name(), 0).await.unwrap();
    assert_eq!(reader.containers(), ["app"]);
    let error = reader.only("proxy").unwrap_err().to_string();
    assert!(error.contains("log driver awslogs"), "{error}");
    let mut reader = LogReader::of_service(&fake, &name(), 0).await.unwrap();
    let error = reader.only("ap").unwrap_err().to_string();
    assert!(error.contains("there are app, proxy"), "{error}");
}

#[tokio::test]
async fn a_command_needs_a_running_container_that_can_be_reached() {
    let fake = Fake::with(ecs_state_with_a_task);
    let target = container_target(&fake, &task(), "app").await.unwrap();
    assert_eq!(
        target.id(),
        "ecs:main_0123456789abcdef0123456789abcdef_0123-1"
    );
    let session = target.execute(&fake, "date").await.unwrap();
    assert!(!format!("{session:?}").contains("secret"), "{session:?}");
    assert_eq!(
        fake.requests(Operation::ExecuteCommand)[0]["interactive"],
        true
    );

    let cases: [(Edit, &str); 4] = [
        (
            |task| task["enableExecuteCommand"] = false.into(),
            "--enable-execute-command",
        ),
        (
            |task| task["lastStatus"] = "STOPPED".into(),
            "its status is STOPPED",
        ),
        (
            |task| {
                task["containers"][0]["managedAgents"][0] =
                    json!({ "name": "ExecuteCommandAgent", "lastStatus": "STOPPED" });
            },
            "/var/lib/amazon/ssm",
        ),
        (
            |task| task["containers"][0]["name"] = "other".into(),
            "it has other, proxy",
        ),
    ];
    for (change, text) in cases {
        let fake = Fake::with(ecs_state_with_a_task);
        fake.change(|state| change(&mut state.tasks[0]));
        let error = container_target(&fake, &task(), "app")
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(text), "{text}: {error}");
        assert!(fake.requests(Operation::ExecuteCommand).is_empty());
    }
}

fn ecs_state_with_a_task(state: &mut crate::fake::State) {
    state.run_task();
}

#[tokio::test]
async fn a_service_without_tasks_cannot_be_reached() {
    let fake = Fake::new();
    let error = running_task(&fake, &name()).await.unwrap_err().to_string();
    assert!(error.contains("main/web: no task is running"), "{error}");
}

#[tokio::test]
async fn limits_of_other_services_are_not_read() {
    let fake = Fake::new();
    scalable_target(&fake, &name()).await.unwrap();
    let request = &fake.requests(Operation::DescribeScalableTargets)[0];
    assert_eq!(request["ResourceIds"], json!(["service/main/web"]));
}
