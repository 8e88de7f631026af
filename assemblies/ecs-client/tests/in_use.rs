//! The images that ECS may start, from a moto server and from a fake ECS with services.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::collections::BTreeSet;

use ecs_client::{Client, images_in_use, register};
use serde_json::json;

mod support;
use support::{FakeEcs, Moto, definition};

fn set(images: &[&str]) -> BTreeSet<String> {
    images.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn finds_the_images_of_the_latest_revisions() {
    let Some(moto) = Moto::start("images in use against moto") else {
        return;
    };
    let client = Client::emulator(&moto.url).await.unwrap();
    let mut definition = definition();
    definition.container_definitions.truncate(1);
    definition.container_definitions[0].depends_on = Vec::new();

    // A second family with a name that begins like the first one.
    for (family, image) in [
        ("web", "web:1"),
        ("web", "web:2"),
        ("web", "web:3"),
        ("web-admin", "admin:1"),
    ] {
        family.clone_into(&mut definition.family);
        image.clone_into(&mut definition.container_definitions[0].image);
        register(&client, &definition).await.unwrap();
    }

    let images = images_in_use(&client, 2).await.unwrap();
    assert_eq!(images, set(&["web:2", "web:3", "admin:1"]));
    assert_eq!(images_in_use(&client, 0).await.unwrap(), set(&[]));
}

#[tokio::test]
async fn finds_the_images_of_services_and_their_revisions() {
    let fake = FakeEcs::start(|operation, input, _| {
        let output = match operation {
            "ListClusters" => json!({ "clusterArns": ["main"] }),
            "ListServices" => json!({ "serviceArns": ["s"] }),
            "DescribeServices" => json!({ "services": [{
                "serviceArn": "s",
                "taskDefinition": "web:1",
                "deployments": [{ "taskDefinition": "web:2" }],
                "currentServiceRevisions": [{ "arn": "current" }],
            }] }),
            "ListServiceDeployments" => json!({ "serviceDeployments": [
                { "targetServiceRevisionArn": "earlier" },
            ] }),
            "DescribeServiceRevisions" => {
                let arns = input["serviceRevisionArns"].as_array().unwrap();
                let revisions = arns.iter().map(|arn| {
                    let digest = format!("sha256:{}", arn.as_str().unwrap());
                    json!({
                        "taskDefinition": "web:3",
                        "containerImages": [{ "image": "r/web:3", "imageDigest": digest }],
                    })
                });
                json!({ "serviceRevisions": revisions.collect::<Vec<_>>() })
            }
            "DescribeTaskDefinition" => {
                let image = format!("of-{}", input["taskDefinition"].as_str().unwrap());
                json!({ "taskDefinition": { "containerDefinitions": [{ "image": image }] } })
            }
            _ => json!({}),
        };
        (200, output.to_string())
    });
    let client = Client::emulator(&fake.url).await.unwrap();
    let expected = set(&[
        "of-web:1",
        "of-web:2",
        "of-web:3",
        "r/web:3",
        "sha256:current",
        "sha256:earlier",
    ]);
    assert_eq!(images_in_use(&client, 5).await.unwrap(), expected);
}

#[tokio::test]
async fn reports_a_refused_list() {
    let fake = FakeEcs::start(|_, _, _| {
        let error = r#"{"__type":"AccessDeniedException","message":"no"}"#;
        (400, error.to_owned())
    });
    let client = Client::emulator(&fake.url).await.unwrap();
    let error = images_in_use(&client, 5).await.unwrap_err();
    assert!(error.is_remote(), "{error}");
    assert!(error.to_string().contains("ListTaskDefinitionFamilies"));
}
