//! Deployments, their history and their hooks.

use serde_json::{Value, json};

use super::{Emulator, definition, messages};

#[test]
fn only_changes_of_a_revision_are_deployed() {
    let mut emulator = Emulator::with_service(json!({}));
    let minimum = json!({ "minimumHealthyPercent": 50 });
    for (update, count) in [
        (json!({ "desiredCount": 3 }), 1),
        (json!({ "deploymentConfiguration": minimum }), 1),
        (json!({ "taskDefinition": "web:1" }), 1),
        (json!({ "taskDefinition": "web" }), 2),
        (json!({ "forceNewDeployment": true }), 3),
        (json!({ "platformVersion": "1.4.0" }), 4),
    ] {
        let mut update = update;
        update["service"] = "web".into();
        emulator.call("UpdateService", update.clone());
        assert_eq!(emulator.deployments().len(), count, "{update}");
        emulator.pass(60);
    }

    let service = emulator.service();
    assert_eq!(definition(&service), "web:2");
    assert_eq!(service["runningCount"], 3);
    assert_eq!(service["deployments"].as_array().unwrap().len(), 1);
}

#[test]
fn a_rollback_restores_the_settings() {
    let mut emulator = Emulator::with_service(json!({}));
    emulator.call(
        "UpdateService",
        json!({ "service": "web", "taskDefinition": "web:2", "desiredCount": 1 }),
    );

    let arn = emulator.deployments()[0]["serviceDeploymentArn"].clone();
    emulator.call(
        "StopServiceDeployment",
        json!({ "serviceDeploymentArn": arn }),
    );

    emulator.pass(5);

    assert_eq!(emulator.last_deployment()["status"], "ROLLBACK_SUCCESSFUL");
    let service = emulator.service();
    assert_eq!(
        (definition(&service), &service["desiredCount"]),
        ("web:1", &json!(1))
    );

    let again = json!({ "serviceDeploymentArn": arn });
    assert_eq!(
        emulator.code("StopServiceDeployment", again),
        "ConflictException"
    );

    // Another update starts from what the service has, not from what failed.
    emulator.call(
        "UpdateService",
        json!({ "service": "web", "forceNewDeployment": true }),
    );

    assert_eq!(definition(&emulator.service()), "web:1");
}

#[test]
fn a_paused_deployment_is_continued_by_its_hook() {
    let mut emulator = Emulator::with_service(json!({}));
    let hook = json!({ "targetType": "PAUSE", "lifecycleStages": ["PRE_SCALE_UP"] });
    emulator.call("UpdateService", json!({
        "service": "web", "taskDefinition": "web:2", "deploymentConfiguration": { "lifecycleHooks": [hook] },
    }));
    emulator.pass(60);
    let paused = emulator.last_deployment();
    assert_eq!(paused["lifecycleStage"], "PRE_SCALE_UP");
    assert_eq!(paused["targetServiceRevision"]["runningTaskCount"], 0);

    let arn = &paused["serviceDeploymentArn"];
    let answer = |hook: &Value| json!({ "serviceDeploymentArn": arn, "hookId": hook });
    let other = json!("other");
    assert_eq!(
        emulator.code("ContinueServiceDeployment", answer(&other)),
        "InvalidParameterException"
    );

    let hook = &paused["lifecycleHookDetails"][0]["hookId"];
    emulator.call("ContinueServiceDeployment", answer(hook));
    emulator.pass(60);
    assert_eq!(emulator.last_deployment()["status"], "SUCCESSFUL");
}

#[test]
fn deployments_are_listed_newest_first_by_status_and_page() {
    let mut emulator = Emulator::with_service(json!({}));
    for _ in 0..2 {
        emulator.call(
            "UpdateService",
            json!({ "service": "web", "forceNewDeployment": true }),
        );
    }

    let list = |more: Value| {
        let mut request = json!({ "service": "web" });
        request
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        request
    };

    let count = |value: Value| value["serviceDeployments"].as_array().unwrap().len();
    assert_eq!(
        count(emulator.call(
            "ListServiceDeployments",
            list(json!({ "status": ["STOPPED"] }))
        )),
        1
    );

    let created = emulator.deployments()[2]["createdAt"].clone();
    let after = json!({ "createdAt": { "after": created } });
    assert_eq!(
        count(emulator.call("ListServiceDeployments", list(after))),
        2
    );

    let unknown = list(json!({ "status": ["DONE"] }));
    assert_eq!(
        emulator.code("ListServiceDeployments", unknown),
        "InvalidParameterException"
    );

    let first = emulator.call("ListServiceDeployments", list(json!({ "maxResults": 2 })));
    // The second page begins after the last item of the first.
    let rest = list(json!({ "maxResults": 2, "nextToken": first["nextToken"] }));
    let rest = emulator.call("ListServiceDeployments", rest);
    assert_eq!(
        (
            count(first),
            rest["serviceDeployments"][0]["status"].as_str()
        ),
        (2, Some("SUCCESSFUL"))
    );
}

#[test]
fn a_revision_is_described_as_it_was_deployed() {
    let mut emulator = Emulator::with_service(json!({}));
    emulator.call(
        "UpdateService",
        json!({ "service": "web", "taskDefinition": "web:2" }),
    );

    let source = emulator.last_deployment()["sourceServiceRevisions"][0]["arn"].clone();
    let request = json!({ "serviceRevisionArns": [source, "arn:aws:ecs:us-east-1:1:service-revision/a/b/1"] });
    let described = emulator.call("DescribeServiceRevisions", request);
    assert_eq!(definition(&described["serviceRevisions"][0]), "web:1");
    assert_eq!(
        described["serviceRevisions"][0]["containerImages"][0]["image"],
        "example.com/web:1"
    );

    assert_eq!(described["failures"][0]["reason"], "MISSING");
}

#[test]
fn a_revision_that_fails_its_health_checks_is_rolled_back() {
    let breaker = json!({ "deploymentCircuitBreaker": { "enable": true, "rollback": true } });
    let mut emulator = Emulator::with_service(json!({ "deploymentConfiguration": breaker }));
    emulator.register_with(json!({ "healthCheck": { "command": ["CMD-SHELL", "exit 1"] } }));
    emulator.call(
        "UpdateService",
        json!({ "service": "web", "taskDefinition": "web" }),
    );
    for _ in 0..60 {
        emulator.pass(1);
        for task in emulator.state.tasks.by_id.values_mut() {
            // Only the revision that the update deploys.
            if task.launch.revision == 3 {
                task.health = "UNHEALTHY".to_owned();
            }
        }
    }

    assert_eq!(emulator.last_deployment()["status"], "ROLLBACK_SUCCESSFUL");
    let service = emulator.service();
    assert_eq!(
        (definition(&service), &service["runningCount"]),
        ("web:1", &json!(2))
    );
    assert!(
        messages(&service).contains("failed container health checks."),
        "{service}"
    );
    let stopped = emulator
        .state
        .tasks
        .by_id
        .values()
        .filter_map(|task| task.stop.as_ref());
    assert!(
        stopped
            .clone()
            .any(|stop| stop.reason == "Task failed container health checks")
    );
    assert!(
        stopped
            .clone()
            .all(|stop| stop.code == "ServiceSchedulerInitiated")
    );
}
