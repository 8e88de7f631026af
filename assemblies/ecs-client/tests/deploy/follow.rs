//! Following a deployment.

use std::time::Duration;

use ecs_client::{
    Answer, Change, DeployEvent, DeploymentOutcome, Error, FollowWait, Operation, Plan, Update,
    answer, follow,
};

use crate::fake::{Fake, START, images, name, wait};

fn change(image: &str) -> Change {
    Change::Images(images(&[("app", image)]))
}

#[tokio::test]
async fn a_rollback_is_no_success_and_says_why() {
    let fake = Fake::new();
    let mut failed = Vec::new();
    let mut events = Vec::new();
    let outcome = fake
        .deploy_with(change("app:bad"), |event| match event {
            DeployEvent::FailedTask(task) => failed.push(task.clone()),
            DeployEvent::Service { message } => events.push(message.to_owned()),
            _ => {}
        })
        .await
        .unwrap();

    let expected = DeploymentOutcome::RolledBack {
        revision: Some(format!("{START}:task-definition/web:1")),
        reason: Some("tasks failed to start".to_owned()),
    };
    assert_eq!(outcome, Some(expected));
    // Three tasks failed for the same reason, which is reported once, with the container that failed by itself.
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!(failed[0].container.as_deref(), Some("app"));
    assert_eq!(failed[0].task.exit_code, Some(3));
    assert_eq!(failed[0].lines, ["no such table: users"]);
    assert_eq!(events.len(), 3, "{events:?}");
    let logs = &fake.requests(Operation::GetLogEvents)[0];
    assert_eq!(logs["logGroupName"], "/ecs/web");
    assert_eq!(logs["logStreamName"], format!("web/app/{:032}", 1));
}

#[tokio::test]
async fn the_reason_is_reported_with_the_first_look_after_the_failure() {
    let fake = Fake::new();
    let mut looks = 0;
    let mut found_at = None;
    fake.deploy_with(change("app:bad"), |event| match event {
        DeployEvent::State { .. } => looks += 1,
        DeployEvent::FailedTask(_) => found_at = found_at.or(Some(looks)),
        _ => {}
    })
    .await
    .unwrap();
    assert_eq!(found_at, Some(1));
}

#[tokio::test]
async fn a_failure_without_rollback_is_a_failure() {
    let fake = Fake::with(|state| state.rolls_back = false);
    let outcome = fake.deploy(change("app:bad")).await.unwrap();
    assert!(
        matches!(outcome, Some(DeploymentOutcome::Failed { .. })),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn another_deployment_ends_the_wait() {
    let fake = Fake::new();
    let plan = Plan::new(&fake, &name(), change("app:2")).await.unwrap();
    let update = plan
        .apply(&fake, &name(), Duration::from_millis(1), |_| {})
        .await;
    let Ok(Update::Started(started)) = update else {
        panic!("{update:?}");
    };
    fake.change(|state| {
        let other = state.register(&crate::fake::definition());
        let arn = other["taskDefinition"]["taskDefinitionArn"]
            .as_str()
            .unwrap()
            .to_owned();
        state.begin(&arn);
    });

    let outcome = follow(&fake, &name(), &started, wait(), |_| {})
        .await
        .unwrap();
    let expected = DeploymentOutcome::Replaced {
        by: format!("{START}:service-deployment/main/web/3"),
        revision: Some(format!("{START}:task-definition/web:3")),
    };
    assert_eq!(outcome, expected);
}

#[tokio::test]
async fn a_deployment_stopped_by_hand_is_no_success() {
    let fake = Fake::new();
    let plan = Plan::new(&fake, &name(), change("app:2")).await.unwrap();
    let update = plan
        .apply(&fake, &name(), Duration::from_millis(1), |_| {})
        .await;
    let Ok(Update::Started(started)) = update else {
        panic!("{update:?}");
    };
    fake.change(|state| state.deployments[1].status = "STOPPED");
    let outcome = follow(&fake, &name(), &started, wait(), |_| {})
        .await
        .unwrap();
    assert_eq!(outcome, DeploymentOutcome::Stopped { reason: None });
}

#[tokio::test]
async fn a_hook_that_waits_is_answered() {
    for (given, expected) in [
        (Answer::Continue, DeploymentOutcome::Succeeded),
        (
            Answer::RollBack,
            DeploymentOutcome::RolledBack {
                revision: Some(format!("{START}:task-definition/web:1")),
                reason: None,
            },
        ),
    ] {
        let fake = Fake::with(|state| state.pauses = true);
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let deploy = fake.deploy_with(change("app:2"), |event| {
            if let DeployEvent::State { now, .. } = event
                && let [pause] = &now.pauses[..]
            {
                sender.send(pause.hook.clone()).unwrap();
            }
        });
        let reply = async {
            assert_eq!(receiver.recv().await.as_deref(), Some("h1"));
            let (_, pauses) = answer(&fake, &name(), given).await.unwrap().unwrap();
            assert_eq!(pauses.len(), 1);
        };
        let (outcome, ()) = tokio::join!(deploy, reply);
        assert_eq!(outcome.unwrap(), Some(expected));
    }
}

#[tokio::test]
async fn without_a_deployment_there_is_no_hook() {
    let fake = Fake::new();
    let answered = answer(&fake, &name(), Answer::Continue).await.unwrap();
    assert_eq!(answered, None);
    assert!(
        fake.requests(Operation::ContinueServiceDeployment)
            .is_empty()
    );
}

#[tokio::test]
async fn the_wait_ends_at_its_timeout() {
    let fake = Fake::with(|state| state.pauses = true);
    let plan = Plan::new(&fake, &name(), change("app:2")).await.unwrap();
    let update = plan
        .apply(&fake, &name(), Duration::from_millis(1), |_| {})
        .await;
    let Ok(Update::Started(started)) = update else {
        panic!("{update:?}");
    };
    let short = FollowWait {
        timeout: Duration::from_millis(50),
        ..wait()
    };
    let error = follow(&fake, &name(), &started, short, |_| {})
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::DeploymentTimeout { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("goes on"), "{error}");
}
