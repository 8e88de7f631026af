//! Deploying the stack of an assembly.

use ecs_client::{
    Change, Error, FollowWait, Operation, Plan, Readiness, StackChange, StackOutcome, StackPlan,
    StackState, Update, delete_stack, describe_service, describe_stack, follow, follow_stack,
    prepare,
};

use crate::fake::stack::{ChangeSet, StackFake};
use crate::fake::{Fault, wait};

fn template(image: &str) -> StackChange {
    StackChange::Template {
        text: format!("image: registry/web:{image}"),
        parameters: vec![("Vpc".to_owned(), "vpc-1".to_owned())],
        environment: "prod".to_owned(),
    }
}

/// Deploys as the command does. Returns the outcome of the stack; `None` if there was nothing to change in it.
async fn deploy(fake: &StackFake, change: &StackChange) -> Result<Option<StackOutcome>, Error> {
    let state = match prepare(fake, "web", wait(), |_| {}).await? {
        Readiness::New => None,
        Readiness::Existing(state) => Some(*state),
        Readiness::FailedCreation(state) => {
            delete_stack(fake, &state, wait(), |_| {}).await?;
            None
        }
    };
    let mut outcome = None;
    if let Some(plan) = StackPlan::new(fake, "web", state.as_ref(), change, wait()).await? {
        let executed = plan.execute(fake).await?;
        outcome = Some(follow_stack(fake, &executed, wait(), |_| {}).await?);
    }
    if matches!(outcome, None | Some(StackOutcome::Succeeded)) {
        repair(fake, &describe_stack(fake, "web").await?.unwrap()).await?;
    }
    Ok(outcome)
}

/// Deploys the revision of the stack if the service runs another one.
async fn repair(fake: &StackFake, state: &StackState) -> Result<(), Error> {
    let (service, revision) = (state.service().unwrap(), state.revision().unwrap());
    if describe_service(fake, &service).await?.revision() == revision {
        return Ok(());
    }
    let plan = Plan::new(fake, &service, Change::Revision(revision.to_owned())).await?;
    let FollowWait { interval, .. } = wait();
    if let Update::Started(started) = plan.apply(fake, &service, interval, |_| {}).await? {
        follow(fake, &service, &started, wait(), |_| {}).await?;
    }
    Ok(())
}

fn image(fake: &StackFake) -> String {
    fake.ecs.images()["app"].clone()
}

/// A stack that runs `web:1`.
async fn existing() -> StackFake {
    let fake = StackFake::new();
    deploy(&fake, &template("1")).await.unwrap();
    fake.calls.lock().unwrap().clear();
    fake
}

/// A stack that could not be created.
async fn failed_creation() -> StackFake {
    let fake = StackFake::new();
    deploy(&fake, &template("bad")).await.unwrap();
    assert_eq!(fake.status(), "ROLLBACK_COMPLETE");
    fake.calls.lock().unwrap().clear();
    fake
}

#[tokio::test]
async fn creates_updates_and_then_has_nothing_to_do() {
    let fake = StackFake::new();
    let created = deploy(&fake, &template("1")).await.unwrap();
    assert_eq!(created, Some(StackOutcome::Succeeded));
    assert_eq!(fake.status(), "CREATE_COMPLETE");
    let updated = deploy(&fake, &template("2")).await.unwrap();
    assert_eq!(updated, Some(StackOutcome::Succeeded));
    assert_eq!(image(&fake), "registry/web:2");

    fake.calls.lock().unwrap().clear();
    assert_eq!(deploy(&fake, &template("2")).await.unwrap(), None);
    let calls = fake.calls.lock().unwrap().len();
    assert!(calls <= 10, "{calls}");
    assert_eq!(fake.count(Operation::ExecuteChangeSet), 0);
    // The change set without changes is not left.
    assert!(fake.change(|stack| stack.change_sets.is_empty()));
}

#[tokio::test]
async fn a_service_that_runs_another_revision_is_repaired() {
    let fake = existing().await;
    let old = fake.ecs.change(|state| state.running().to_owned());
    let first = old.replace(":2", ":1");
    fake.ecs.change(|state| {
        state.begin(&first);
        state.deployments.last_mut().unwrap().status = "SUCCESSFUL";
    });
    assert_eq!(deploy(&fake, &template("1")).await.unwrap(), None);
    assert_eq!(fake.ecs.change(|state| state.running().to_owned()), old);
}

#[tokio::test]
async fn a_rollback_sets_only_the_revision() {
    let fake = existing().await;
    let first = fake.ecs.change(|state| state.running().to_owned());
    deploy(&fake, &template("2")).await.unwrap();
    let outcome = deploy(&fake, &StackChange::Revision(first)).await.unwrap();
    assert_eq!(outcome, Some(StackOutcome::Succeeded));
    assert_eq!(image(&fake), "registry/web:1");
    let applied = fake.change(|stack| stack.applied.clone());
    assert_eq!(applied.template, "image: registry/web:2");
    assert_eq!(applied.parameters["Vpc"], "vpc-1");
    // The next deploy leaves the rollback.
    deploy(&fake, &template("2")).await.unwrap();
    assert_eq!(image(&fake), "registry/web:2");
}

#[tokio::test]
async fn a_failed_deployment_is_never_a_success() {
    let fake = existing().await;
    let outcome = deploy(&fake, &template("bad")).await.unwrap();
    let Some(StackOutcome::Failed { status, cause }) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(status, "UPDATE_ROLLBACK_COMPLETE");
    assert!(cause.unwrap().reason.contains("Circuit Breaker"));
    assert_eq!(image(&fake), "registry/web:1");
}

#[tokio::test]
async fn stacks_and_change_sets_of_others_are_refused() {
    let fake = existing().await;
    fake.change(|stack| stack.change_sets.push(ChangeSet::foreign()));
    let error = deploy(&fake, &template("2")).await.unwrap_err();
    assert!(matches!(error, Error::ForeignChangeSet { .. }), "{error}");

    fake.change(|stack| stack.tags = serde_json::Value::Null);
    let error = deploy(&fake, &template("2")).await.unwrap_err();
    assert!(matches!(error, Error::ForeignStack { .. }), "{error}");
    assert_eq!(fake.count(Operation::CreateChangeSet), 0);
}

#[tokio::test]
async fn a_discarded_plan_does_not_delete_a_stack_that_was_created_meanwhile() {
    let fake = StackFake::new();
    let plan = StackPlan::new(&fake, "web", None, &template("1"), wait()).await;
    let plan = plan.unwrap().expect("a new stack has changes");
    deploy(&fake, &template("1")).await.unwrap();

    plan.discard(&fake).await.unwrap();
    assert_eq!(fake.status(), "CREATE_COMPLETE");
    assert_eq!(fake.count(Operation::DeleteStack), 0);
}

#[tokio::test]
async fn stuck_stacks_say_how_to_go_on() {
    let fake = existing().await;
    for (status, expected) in [
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
        ("DELETE_FAILED", "delete-stack"),
    ] {
        fake.change(|stack| stack.status = Some(status.to_owned()));
        let error = deploy(&fake, &template("2")).await.unwrap_err().to_string();
        assert!(
            error.contains(status) && error.contains(expected),
            "{error}"
        );
    }
}

/// Breaks each call of a deploy in turn, then deploys again.
async fn break_every_call<F: Future<Output = StackFake>>(fault: Fault, before: impl Fn() -> F) {
    let mut at = 0;
    loop {
        let mut fake = before().await;
        fake.fault = Some((at, fault));
        let broken = deploy(&fake, &template("2")).await;
        let is_reached = fake.calls.lock().unwrap().len() > at;
        if let (Fault::AccessDenied, Err(error)) = (fault, &broken) {
            let action = fake.calls.lock().unwrap()[at].operation.action();
            assert!(error.to_string().contains(&action), "{action}: {error}");
        }

        // The next deploy finds what the broken one left: a change set, an operation, or nothing.
        fake.fault = None;
        let again = deploy(&fake, &template("2")).await;
        let is_done = matches!(again, Ok(None | Some(StackOutcome::Succeeded)));
        assert!(is_done, "{fault:?} at {at}: {again:?}");
        assert_eq!(image(&fake), "registry/web:2", "{fault:?} at {at}");
        assert!(fake.status().ends_with("E_COMPLETE"), "{}", fake.status());
        assert!(fake.change(|stack| stack.change_sets.is_empty()));
        if !is_reached {
            break;
        }
        at += 1;
    }
    assert!(at > 8, "only {at} calls");
}

#[tokio::test]
async fn a_deploy_after_a_fault_at_any_call_repairs() {
    for fault in [Fault::CutBefore, Fault::CutAfter, Fault::AccessDenied] {
        break_every_call(fault, || async { StackFake::new() }).await;
        break_every_call(fault, existing).await;
        break_every_call(fault, failed_creation).await;
    }
}
