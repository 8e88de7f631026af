//! Task definitions, clusters and tags.

use aws_sdk_ecs::error::ProvideErrorMetadata;
use aws_sdk_ecs::types::{
    ContainerDefinition, NetworkMode, Tag, TaskDefinitionField, TaskDefinitionStatus,
};

use crate::support::{Running, register, run};

#[tokio::test]
async fn revisions_are_numbered_and_retired() {
    let emulator = Running::start().await;
    let client = emulator.client();
    let first = register(&client, "web").await;
    let second = register(&client, "web").await;
    let definition = first.task_definition().unwrap();
    assert_eq!(
        definition.task_definition_arn(),
        Some("arn:aws:ecs:us-east-1:000000000000:task-definition/web:1")
    );

    assert_eq!(second.task_definition().unwrap().revision(), 2);

    // What ECS fills in.
    assert!(definition.registered_at().is_some());
    assert_eq!(definition.container_definitions()[0].cpu(), 0);
    assert_eq!(definition.compatibilities().len(), 2);

    client
        .deregister_task_definition()
        .task_definition("web:2")
        .send()
        .await
        .unwrap();
    let latest = client
        .describe_task_definition()
        .task_definition("web")
        .send()
        .await
        .unwrap();
    assert_eq!(
        latest.task_definition().unwrap().revision(),
        1,
        "the newest that is ACTIVE"
    );

    let inactive = client
        .list_task_definitions()
        .status(TaskDefinitionStatus::Inactive)
        .send()
        .await
        .unwrap();
    assert_eq!(inactive.task_definition_arns().len(), 1);

    let deleted = client
        .delete_task_definitions()
        .task_definitions("web:1")
        .task_definitions("web:2")
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.task_definitions().len(), 1);
    assert_eq!(deleted.failures().len(), 1, "web:1 is ACTIVE");
    emulator.stop().await;
}

#[tokio::test]
async fn refuses_definitions_that_ecs_refuses() {
    let emulator = Running::start().await;
    let client = emulator.client();
    // 1000 MiB is no size of Fargate.
    let app = ContainerDefinition::builder()
        .name("app")
        .image("app:1")
        .build();
    let call = client
        .register_task_definition()
        .family("web")
        .container_definitions(app)
        .network_mode(NetworkMode::Awsvpc);
    let call = call
        .requires_compatibilities("FARGATE".into())
        .cpu("256")
        .memory("1000");
    let error = call.send().await.unwrap_err().into_service_error();
    assert!(error.is_client_exception(), "{error:?}");
    assert!(error.message().unwrap().contains("/memory"), "{error:?}");

    let missing = client
        .describe_task_definition()
        .task_definition("web")
        .send()
        .await
        .unwrap_err();
    assert!(missing.into_service_error().is_client_exception());
    emulator.stop().await;
}

#[tokio::test]
async fn lists_are_cut_into_pages() {
    let emulator = Running::start().await;
    let client = emulator.client();
    for family in ["a", "b", "c"] {
        register(&client, family).await;
    }
    let (mut families, mut token) = (Vec::new(), None);
    loop {
        let call = client
            .list_task_definition_families()
            .max_results(2)
            .set_next_token(token);
        let page = call.send().await.unwrap();
        families.extend(page.families().to_vec());
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    assert_eq!(families, ["a", "b", "c"]);
    emulator.stop().await;
}

#[tokio::test]
async fn an_inactive_cluster_runs_no_tasks() {
    let emulator = Running::start().await;
    let client = emulator.client();
    register(&client, "web").await;
    let created = client
        .create_cluster()
        .cluster_name("shop")
        .send()
        .await
        .unwrap();
    assert_eq!(created.cluster().unwrap().status(), Some("ACTIVE"));
    client
        .delete_cluster()
        .cluster("shop")
        .send()
        .await
        .unwrap();

    let error = run(&client, "web")
        .cluster("shop")
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(error.is_cluster_not_found_exception(), "{error:?}");
    let described = client
        .describe_clusters()
        .clusters("shop")
        .clusters("none")
        .send()
        .await
        .unwrap();
    assert_eq!(described.clusters()[0].status(), Some("INACTIVE"));
    assert_eq!(described.failures()[0].reason(), Some("MISSING"));
    emulator.stop().await;
}

#[tokio::test]
async fn resources_have_tags() {
    let emulator = Running::start().await;
    let client = emulator.client();
    let arn = register(&client, "web")
        .await
        .task_definition()
        .unwrap()
        .task_definition_arn()
        .unwrap()
        .to_owned();
    let tag = Tag::builder().key("team").value("shop").build();
    client
        .tag_resource()
        .resource_arn(&arn)
        .tags(tag)
        .send()
        .await
        .unwrap();

    let call = client
        .describe_task_definition()
        .task_definition(&arn)
        .include(TaskDefinitionField::Tags);
    assert_eq!(call.send().await.unwrap().tags()[0].value(), Some("shop"));
    client
        .untag_resource()
        .resource_arn(&arn)
        .tag_keys("team")
        .send()
        .await
        .unwrap();
    let left = client
        .list_tags_for_resource()
        .resource_arn(&arn)
        .send()
        .await
        .unwrap();
    assert!(left.tags().is_empty());
    emulator.stop().await;
}
