//! The tasks of services.

use std::time::Duration;

use serde_json::json;

use super::{Emulator, GROUP, messages, service};
use crate::tasks::Stop;

#[test]
fn tasks_beyond_the_capacity_are_retried() {
    let mut emulator = Emulator::new();
    // One task less than the service wants.
    emulator.state.max_tasks = 1;
    emulator.call("CreateService", service(json!({})));
    emulator.pass(3);
    assert!(messages(&emulator.service()).contains("unable to place a task"));
    emulator.state.max_tasks = 2;
    emulator.pass(120);
    assert_eq!(emulator.service()["runningCount"], 2);
}

#[test]
fn a_task_that_a_user_stops_is_replaced() {
    let mut emulator = Emulator::with_service(json!({ "enableECSManagedTags": true }));
    let id = emulator.state.tasks.by_id.keys().next().unwrap().clone();
    let tags = &emulator.state.tasks.by_id[&id].launch.tags;
    assert!(
        tags.iter()
            .any(|tag| (tag.key.as_str(), tag.value.as_str()) == ("aws:ecs:serviceName", "web"))
    );

    let stop = Stop {
        code: "UserInitiated".into(),
        reason: "mine".into(),
    };

    emulator.state.request_stop(&id, stop, emulator.now);
    emulator.pass(60);
    assert_eq!(emulator.service()["runningCount"], 2);
    assert_eq!(emulator.state.tasks.by_id.len(), 3);
}

#[test]
fn protected_tasks_are_not_scaled_in() {
    let mut emulator = Emulator::with_service(json!({}));
    let first = emulator
        .state
        .tasks
        .by_id
        .values_mut()
        .min_by_key(|task| task.number)
        .unwrap();
    // As UpdateTaskProtection does.
    first.protected_until = Some(emulator.now + Duration::from_hours(1));
    let id = first.id.clone();
    emulator.call(
        "UpdateService",
        json!({ "service": "web", "desiredCount": 0 }),
    );

    emulator.pass(5);
    assert!(emulator.state.tasks.by_id[&id].is_wanted());
    assert_eq!(emulator.service()["runningCount"], 1);

    emulator.pass(3600);
    assert_eq!(emulator.service()["runningCount"], 0);
}

#[test]
fn a_task_whose_port_is_never_published_is_unhealthy() {
    let balancer =
        json!([{ "targetGroupArn": GROUP, "containerName": "web", "containerPort": 80 }]);
    let mut emulator = Emulator::with_service(json!({ "loadBalancers": balancer }));
    let service = emulator.service();
    assert_eq!(service["deployments"][0]["rolloutState"], "IN_PROGRESS");
    assert!(
        messages(&service).contains("is unhealthy in (target-group arn:"),
        "{service}"
    );
    assert!(
        messages(&service).contains("listens on 127.0.0.1:"),
        "{service}"
    );
}

#[test]
fn a_huge_service_starts_in_portions() {
    let mut emulator = Emulator::new();
    // The limit under test is that of one step, not that of the emulator.
    emulator.state.max_tasks = 2000;
    assert_eq!(
        emulator.code("CreateService", service(json!({ "desiredCount": 5001 }))),
        "InvalidParameterException"
    );
    emulator.call("CreateService", service(json!({ "desiredCount": 120 })));
    assert_eq!(emulator.state.tasks.by_id.len(), 50);
    emulator.pass(60);
    assert_eq!(emulator.service()["runningCount"], 120);
}
