//! Cut connections, missing permissions and throttling at every call.

use ecs_client::{Change, DeploymentOutcome, Operation};

use crate::fake::{Fake, Fault, images};

fn change() -> Change {
    Change::Images(images(&[("app", "app:2")]))
}

/// Returns the number of calls of a deploy without faults.
async fn count() -> usize {
    let fake = Fake::new();
    fake.deploy(change()).await.unwrap();
    fake.count()
}

#[tokio::test]
async fn the_next_deploy_repairs_one_that_was_cut_off_at_any_call() {
    let count = count().await;
    assert!(count > 10, "{count}");
    for at in 0..count {
        for fault in [Fault::CutBefore, Fault::CutAfter] {
            let mut fake = Fake::new();
            fake.fault = Some((at, fault));
            // Cut polls do not end the wait, so some deploys end well.
            let _ = fake.deploy(change()).await;
            let again = fake.deploy(change()).await.unwrap();
            assert!(
                matches!(again, None | Some(DeploymentOutcome::Succeeded)),
                "{at} {fault:?}: {again:?}"
            );
            assert_eq!(
                fake.images(),
                images(&[("app", "app:2"), ("proxy", "proxy:1")]),
                "{at} {fault:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_missing_permission_is_named_at_every_call() {
    for at in 0..count().await {
        let mut fake = Fake::new();
        fake.fault = Some((at, Fault::AccessDenied));
        let error = fake.deploy(change()).await.unwrap_err().to_string();
        let denied = fake.calls.lock().unwrap()[at].operation.action();
        assert!(
            error.contains(&format!("must allow {denied}")),
            "{at}: {error}"
        );
    }
}

#[tokio::test]
async fn details_of_failed_tasks_are_optional() {
    let mut fake = Fake::new();
    let bad = || Change::Images(images(&[("app", "app:bad")]));
    fake.deploy(bad()).await.unwrap();
    let calls = fake.calls.lock().unwrap().clone();
    let at = calls
        .iter()
        .position(|call| call.operation == Operation::ListTasks)
        .unwrap();

    fake = Fake::new();
    fake.fault = Some((at, Fault::AccessDenied));
    let mut notes = Vec::new();
    let outcome = fake
        .deploy_with(bad(), |event| {
            if let ecs_client::DeployEvent::NoDetails { reason } = event {
                notes.push(reason.to_owned());
            }
        })
        .await
        .unwrap();
    assert!(matches!(
        outcome,
        Some(DeploymentOutcome::RolledBack { .. })
    ));
    assert!(
        notes.len() == 1 && notes[0].contains("ecs:ListTasks"),
        "{notes:?}"
    );
}

#[tokio::test]
async fn throttled_polls_do_not_end_the_wait() {
    let fake = Fake::new();
    fake.deploy(change()).await.unwrap();
    let calls = fake.calls.lock().unwrap().clone();
    let polls = calls
        .iter()
        .enumerate()
        .filter(|(_, call)| matches!(call.operation, Operation::DescribeServiceDeployments));
    for (at, _) in polls {
        let mut fake = Fake::new();
        fake.fault = Some((at, Fault::Throttled));
        let outcome = fake.deploy(change()).await.unwrap();
        assert_eq!(outcome, Some(DeploymentOutcome::Succeeded));
    }
}
