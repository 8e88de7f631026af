//! Other images, with other writers at the same time.

use std::sync::Arc;
use std::time::Duration;

use ecs_client::{Change, DeploymentOutcome, Error, Operation, Plan};

use crate::fake::{Fake, definition, images, name};

#[tokio::test]
async fn changes_images_and_keeps_every_other_field() {
    let fake = Fake::new();
    let change = Change::Images(images(&[("app", "app:2")]));
    let outcome = fake.deploy(change).await.unwrap();
    assert_eq!(outcome, Some(DeploymentOutcome::Succeeded));

    let mut expected = definition();
    expected["containerDefinitions"][0]["image"] = "app:2".into();
    let sent = &fake.requests(Operation::RegisterTaskDefinition)[0];
    // As text, so that the order of the fields and the form of the numbers are compared too.
    assert_eq!(sent.to_string(), expected.to_string());
}

#[tokio::test]
async fn an_unknown_container_is_refused() {
    let fake = Fake::new();
    let change = Change::Images(images(&[("ap", "app:2")]));
    let error = fake.deploy(change).await.unwrap_err();
    assert!(matches!(error, Error::InvalidRequest(_)), "{error:?}");
    assert!(error.to_string().contains("app, proxy"), "{error}");
}

#[tokio::test]
async fn a_change_between_reading_and_writing_is_not_lost() {
    let fake = Fake::new();
    let change = Change::Images(images(&[("app", "app:2")]));
    let plan = Plan::new(&fake, &name(), change).await.unwrap();
    let other = Change::Images(images(&[("proxy", "proxy:2")]));
    fake.deploy(other).await.unwrap();
    plan.apply(&fake, &name(), Duration::from_millis(1), |_| {})
        .await
        .unwrap();
    assert_eq!(
        fake.images(),
        images(&[("app", "app:2"), ("proxy", "proxy:2")])
    );
}

/// Two writers begin at the same time, 1,000 times, with their calls interleaved at random.
#[tokio::test]
async fn two_writers_lose_nothing() {
    let mut fake = Fake::new();
    fake.yields = true;
    let fake = Arc::new(fake);

    for round in 0..1000 {
        let write = |container: &'static str| {
            let fake = Arc::clone(&fake);
            tokio::spawn(async move {
                let image = format!("{container}:round-{round}");
                let change = Change::Images(images(&[(container, &image)]));
                let plan = Plan::new(&*fake, &name(), change).await.unwrap();
                plan.apply(&*fake, &name(), Duration::from_micros(1), |_| {})
                    .await
                    .unwrap();
            })
        };
        let (app, proxy) = (write("app"), write("proxy"));
        app.await.unwrap();
        proxy.await.unwrap();
        let expected = [
            ("app", &*format!("app:round-{round}")),
            ("proxy", &*format!("proxy:round-{round}")),
        ];
        assert_eq!(fake.images(), images(&expected), "round {round}");
        // Only what the next round needs.
        fake.change(|state| {
            let running = state.running().to_owned();
            state
                .deployments
                .retain(|deployment| deployment.revision == running);
        });
        fake.calls.lock().unwrap().clear();
    }
}
