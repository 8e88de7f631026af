//! The permissions of each verb are those of the calls that it makes.

use std::collections::BTreeSet;

use ecs_client::{
    Answer, AwsVerb, Change, LogReader, Plan, ScalableTarget, answer, container_target,
    describe_deployment, describe_service, rollback_target, running_task, scalable_target, scale,
    set_limits,
};

use crate::fake::{Fake, TASK, definition, images, name};

/// Returns the actions of the calls so far, and forgets them.
fn actions(fake: &Fake) -> BTreeSet<String> {
    let calls: Vec<_> = fake.calls.lock().unwrap().drain(..).collect();
    calls.iter().map(|call| call.operation.action()).collect()
}

/// Returns the actions in the table, without those that other calls need.
fn table(verb: AwsVerb) -> BTreeSet<String> {
    let actions = verb
        .permissions()
        .map(|permission| permission.action.to_owned());
    actions
        .filter(|action| !matches!(action.as_str(), "iam:PassRole" | "ecs:TagResource"))
        .collect()
}

#[tokio::test]
async fn deploys_and_rollbacks() {
    let fake = Fake::new();
    for image in ["app:2", "app:bad", "app:3"] {
        let change = Change::Images(images(&[("app", image)]));
        fake.deploy(change).await.unwrap();
    }
    let mut typed = definition();
    typed["memory"] = "1024".into();
    let typed = serde_json::from_value(typed).unwrap();
    fake.deploy(Change::Definition(typed)).await.unwrap();
    assert_eq!(actions(&fake), table(AwsVerb::Deploy));

    // The revision that is gone back to fails as well.
    fake.change(|state| {
        state.pauses = true;
        state.revisions[1]["containerDefinitions"][1]["image"] = "proxy:bad".into();
    });
    let begun = rollback_target(&fake, &name(), Some(1)).await.unwrap();
    let plan = Plan::new(&fake, &name(), begun).await.unwrap();
    plan.apply(&fake, &name(), std::time::Duration::from_millis(1), |_| {})
        .await
        .unwrap();
    fake.change(|state| state.deployments.last_mut().unwrap().status = "IN_PROGRESS");
    let arn = fake.change(|state| state.deployments.last().unwrap().arn.clone());
    for _ in 0..3 {
        describe_deployment(&fake, &arn).await.unwrap();
    }
    answer(&fake, &name(), Answer::RollBack).await.unwrap();
    fake.change(|state| state.pauses = false);
    describe_deployment(&fake, &arn).await.unwrap();

    rollback_target(&fake, &name(), None).await.unwrap();
    let target = rollback_target(&fake, &name(), Some(2)).await.unwrap();
    fake.deploy(target).await.unwrap();
    assert_eq!(actions(&fake), table(AwsVerb::Rollback));
}

#[tokio::test]
async fn the_other_verbs() {
    let fake = Fake::with(|state| {
        state.pauses = true;
        let arn = state.running().to_owned();
        state.begin(&arn);
        state.run_task();
    });
    for _ in 0..3 {
        let service = describe_service(&fake, &name()).await.unwrap();
        describe_deployment(&fake, service.current_deployment().unwrap())
            .await
            .unwrap();
    }
    assert_eq!(actions(&fake), table(AwsVerb::Status));

    answer(&fake, &name(), Answer::Continue).await.unwrap();
    assert_eq!(actions(&fake), table(AwsVerb::Continue));

    scalable_target(&fake, &name()).await.unwrap();
    set_limits(&fake, &name(), ScalableTarget { min: 1, max: 4 })
        .await
        .unwrap();
    scale(&fake, &name(), 3).await.unwrap();
    assert_eq!(actions(&fake), table(AwsVerb::Scale));

    let task = TASK.parse().unwrap();
    for reader in [
        LogReader::of_service(&fake, &name(), 0).await,
        LogReader::of_task(&fake, &task, 0).await,
    ] {
        reader.unwrap().read(&fake).await.unwrap();
    }
    assert_eq!(actions(&fake), table(AwsVerb::Logs));

    let task = running_task(&fake, &name()).await.unwrap();
    let target = container_target(&fake, &task, "app").await.unwrap();
    target.execute(&fake, "true").await.unwrap();
    assert_eq!(actions(&fake), table(AwsVerb::Exec));

    let task = running_task(&fake, &name()).await.unwrap();
    let target = container_target(&fake, &task, "app").await.unwrap();
    target.forward(&fake, 80, 8080).await.unwrap();
    assert_eq!(actions(&fake), table(AwsVerb::Forward));
}
