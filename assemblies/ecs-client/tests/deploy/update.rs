//! What a deploy changes.

use ecs_client::{Change, DeployEvent, DeploymentOutcome, Operation};
use serde_json::{Value, json};
use task_definition::TaskDefinition;

use crate::fake::{Fake, definition, images};

fn definition_with(change: impl FnOnce(&mut Value)) -> Change {
    let mut value = definition();
    value
        .as_object_mut()
        .unwrap()
        .remove("zNewerThanThisProgram");
    value["containerDefinitions"][0]
        .as_object_mut()
        .unwrap()
        .remove("newer");
    change(&mut value);
    let definition: TaskDefinition = serde_json::from_value(value).unwrap();
    Change::Definition(Box::new(definition))
}

#[tokio::test]
async fn updates_the_revision_and_nothing_else() {
    let fake = Fake::new();
    let outcome = fake
        .deploy(definition_with(|it| it["memory"] = "1024".into()))
        .await
        .unwrap();
    assert_eq!(outcome, Some(DeploymentOutcome::Succeeded));

    let updates = fake.requests(Operation::UpdateService);
    let revision = "arn:aws:ecs:eu-central-1:210987654321:task-definition/web:2";
    assert_eq!(
        updates,
        [json!({ "cluster": "main", "service": "web", "taskDefinition": revision })]
    );
}

#[tokio::test]
async fn a_revision_that_runs_needs_no_change() {
    let fake = Fake::new();
    assert_eq!(fake.deploy(definition_with(|_| {})).await.unwrap(), None);
    assert!(fake.count() <= 10, "{} calls", fake.count());
    let same = Change::Images(images(&[("app", "app:1")]));
    assert_eq!(fake.deploy(same).await.unwrap(), None);
    assert!(fake.requests(Operation::RegisterTaskDefinition).is_empty());
    assert!(fake.requests(Operation::UpdateService).is_empty());
}

#[tokio::test]
async fn an_equal_registered_revision_is_used() {
    let fake = Fake::new();
    let change = || definition_with(|it| it["memory"] = "1024".into());
    fake.change(|state| {
        let mut equal = definition();
        equal["memory"] = "1024".into();
        equal
            .as_object_mut()
            .unwrap()
            .remove("zNewerThanThisProgram");
        state.register(&equal);
    });
    fake.deploy(change()).await.unwrap();
    assert!(fake.requests(Operation::RegisterTaskDefinition).is_empty());
    assert_eq!(fake.requests(Operation::UpdateService).len(), 1);
}

#[tokio::test]
async fn a_failed_deployment_of_the_same_revision_is_begun_again() {
    let fake = Fake::with(|state| state.deployments[0].status = "STOPPED");
    let mut has_failed = false;
    let outcome = fake
        .deploy_with(definition_with(|_| {}), |event| {
            has_failed |= event == DeployEvent::FailedBefore;
        })
        .await;
    assert_eq!(outcome.unwrap(), Some(DeploymentOutcome::Succeeded));
    assert!(has_failed);
    assert_eq!(
        fake.requests(Operation::UpdateService)[0]["forceNewDeployment"],
        true
    );
}

#[tokio::test]
async fn other_controllers_are_refused_before_anything_is_changed() {
    for (controller, text) in [
        ("CODE_DEPLOY", "deploy it with CodeDeploy"),
        ("EXTERNAL", "task sets"),
    ] {
        let fake = Fake::with(|state| {
            state.service["deploymentController"] = json!({ "type": controller });
        });
        let change = definition_with(|it| it["memory"] = "1024".into());
        let error = fake.deploy(change).await.unwrap_err().to_string();
        assert!(
            error.contains(controller) && error.contains(text),
            "{error}"
        );
        assert!(fake.requests(Operation::RegisterTaskDefinition).is_empty());
    }
}

#[tokio::test]
async fn deleted_services_are_refused() {
    for status in ["INACTIVE", "DRAINING"] {
        let fake = Fake::with(|state| state.service["status"] = status.into());
        let error = fake
            .deploy(definition_with(|_| {}))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("main/web"), "{error}");
    }
}
