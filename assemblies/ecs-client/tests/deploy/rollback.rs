//! Going back.

use ecs_client::{Change, DeploymentOutcome, rollback_target};

use crate::fake::{Fake, START, images, name};

#[tokio::test]
async fn goes_back_to_the_last_revision_that_completed() {
    let fake = Fake::new();
    for image in ["app:2", "app:bad", "app:3"] {
        let change = Change::Images(images(&[("app", image)]));
        fake.deploy(change).await.unwrap();
    }
    // Revision 4 runs, revision 3 was rolled back.
    let target = rollback_target(&fake, &name(), None).await.unwrap();
    assert_eq!(
        target,
        Change::Revision(format!("{START}:task-definition/web:2"))
    );
    let outcome = fake.deploy(target).await.unwrap();
    assert_eq!(outcome, Some(DeploymentOutcome::Succeeded));
    assert_eq!(fake.images()["app"], "app:2");

    let target = rollback_target(&fake, &name(), Some(1)).await.unwrap();
    assert_eq!(
        target,
        Change::Revision(format!("{START}:task-definition/web:1"))
    );
}

#[tokio::test]
async fn revisions_that_cannot_be_used_are_refused() {
    let fake = Fake::new();
    let error = rollback_target(&fake, &name(), None)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("--to N"), "{error}");

    let error = rollback_target(&fake, &name(), Some(9))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("web:9") && error.contains("does not exist"),
        "{error}"
    );

    fake.change(|state| state.revisions[0]["status"] = "INACTIVE".into());
    let error = rollback_target(&fake, &name(), Some(1))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("its status is INACTIVE"), "{error}");
}
