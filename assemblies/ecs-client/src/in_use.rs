//! The images that ECS may start: those of recent task definitions, and those of services.

use std::collections::BTreeSet;

use aws_sdk_ecs::types::{
    Deployment, Service, ServiceCurrentRevisionSummary, ServiceDeploymentBrief, ServiceField,
    TaskDefinition, TaskDefinitionFamilyStatus, TaskDefinitionStatus, TaskSet,
};

use crate::client::Client;
use crate::error::Error;

/// Returns the references of all images that a task can be started with, and the digests that services resolved.
///
/// These are the images of the latest `revisions` active task definitions of every family, and those of every service:
/// its current task definitions and its service revisions, to which ECS can roll back. A reference is `repository:tag`,
/// `repository@sha256:…`, or the digest alone.
pub async fn images_in_use(client: &Client, revisions: usize) -> Result<BTreeSet<String>, Error> {
    let mut definitions = BTreeSet::new();
    for family in families(client).await? {
        definitions.extend(latest_definitions(client, &family, revisions).await?);
    }

    let mut images = BTreeSet::new();
    for cluster in clusters(client).await? {
        for services in services(client, &cluster).await? {
            for service in &services {
                definitions.extend(service_definitions(service));
                let revisions = service_revisions(client, &cluster, service).await?;
                add_revision_images(client, &revisions, &mut definitions, &mut images).await?;
            }
        }
    }

    // A set: services and families name the same revisions.
    for definition in definitions {
        images.extend(definition_images(client, &definition).await?);
    }
    Ok(images)
}

async fn families(client: &Client) -> Result<Vec<String>, Error> {
    let mut pages = client
        .ecs
        .list_task_definition_families()
        .status(TaskDefinitionFamilyStatus::Active)
        .into_paginator()
        .items()
        .send();
    let mut families = Vec::new();
    while let Some(family) = pages.next().await {
        families
            .push(family.map_err(|error| Error::from_sdk("ListTaskDefinitionFamilies", error))?);
    }

    Ok(families)
}

/// Returns the ARNs of the latest active revisions of a family.
async fn latest_definitions(
    client: &Client,
    family: &str,
    revisions: usize,
) -> Result<Vec<String>, Error> {
    let mut pages = client
        .ecs
        .list_task_definitions()
        .family_prefix(family)
        .status(TaskDefinitionStatus::Active)
        .into_paginator()
        .items()
        .send();

    // ECS takes the whole name of the family in spite of the parameter's name; emulators take a prefix. Sorted here,
    // since emulators ignore the requested order.
    let start = format!(":task-definition/{family}:");
    let mut found = Vec::new();
    while let Some(definition) = pages.next().await {
        let definition =
            definition.map_err(|error| Error::from_sdk("ListTaskDefinitions", error))?;
        let number = definition.split_once(&start);
        let number = number.and_then(|(_, number)| number.parse::<u64>().ok());
        found.extend(number.map(|number| (number, definition)));
    }

    found.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    found.truncate(revisions);
    Ok(found
        .into_iter()
        .map(|(_, definition)| definition)
        .collect())
}

async fn clusters(client: &Client) -> Result<Vec<String>, Error> {
    let mut pages = client.ecs.list_clusters().into_paginator().items().send();
    let mut clusters = Vec::new();
    while let Some(cluster) = pages.next().await {
        clusters.push(cluster.map_err(|error| Error::from_sdk("ListClusters", error))?);
    }

    Ok(clusters)
}

/// Returns the services of a cluster, in groups as large as ECS describes at once.
async fn services(client: &Client, cluster: &str) -> Result<Vec<Vec<Service>>, Error> {
    let mut pages = client
        .ecs
        .list_services()
        .cluster(cluster)
        .into_paginator()
        .items()
        .send();
    let mut names = Vec::new();
    while let Some(service) = pages.next().await {
        names.push(service.map_err(|error| Error::from_sdk("ListServices", error))?);
    }

    let mut groups = Vec::new();
    for group in names.chunks(DESCRIBED_SERVICES) {
        let output = client
            .ecs
            .describe_services()
            .cluster(cluster)
            .set_services(Some(group.to_vec()))
            .include(ServiceField::Tags)
            .send()
            .await
            .map_err(|error| Error::from_sdk("DescribeServices", error))?;
        groups.push(output.services.unwrap_or_default());
    }

    Ok(groups)
}

fn service_definitions(service: &Service) -> impl Iterator<Item = String> {
    let deployments = service.deployments().iter();
    let deployments = deployments.filter_map(Deployment::task_definition);
    let sets = service.task_sets().iter();
    let sets = sets.filter_map(TaskSet::task_definition);
    let all = service.task_definition().into_iter();
    all.chain(deployments).chain(sets).map(str::to_owned)
}

/// Returns the ARNs of the revisions that the deployments of a service lead to.
async fn service_revisions(
    client: &Client,
    cluster: &str,
    service: &Service,
) -> Result<BTreeSet<String>, Error> {
    let current = service.current_service_revisions().iter();
    let current = current.filter_map(ServiceCurrentRevisionSummary::arn);
    let mut revisions: BTreeSet<String> = current.map(str::to_owned).collect();

    let mut token = None;
    // Bounded: older deployments than these are not rolled back to.
    for _ in 0..MAX_DEPLOYMENT_PAGES {
        let output = client
            .ecs
            .list_service_deployments()
            .cluster(cluster)
            .service(service.service_arn().unwrap_or_default())
            .set_next_token(token)
            .send()
            .await
            .map_err(|error| Error::from_sdk("ListServiceDeployments", error))?;
        let targets = output.service_deployments().iter();
        let targets = targets.filter_map(ServiceDeploymentBrief::target_service_revision_arn);
        revisions.extend(targets.map(str::to_owned));

        token = output.next_token;
        if token.is_none() {
            break;
        }
    }

    Ok(revisions)
}

async fn add_revision_images(
    client: &Client,
    revisions: &BTreeSet<String>,
    definitions: &mut BTreeSet<String>,
    images: &mut BTreeSet<String>,
) -> Result<(), Error> {
    let revisions: Vec<String> = revisions.iter().cloned().collect();
    for group in revisions.chunks(DESCRIBED_REVISIONS) {
        let output = client
            .ecs
            .describe_service_revisions()
            .set_service_revision_arns(Some(group.to_vec()))
            .send()
            .await
            .map_err(|error| Error::from_sdk("DescribeServiceRevisions", error))?;
        for revision in output.service_revisions() {
            definitions.extend(revision.task_definition().map(str::to_owned));
            for image in revision.container_images() {
                images.extend(image.image().map(str::to_owned));
                images.extend(image.image_digest().map(str::to_owned));
            }
        }
    }

    Ok(())
}

async fn definition_images(client: &Client, definition: &str) -> Result<Vec<String>, Error> {
    let output = client
        .ecs
        .describe_task_definition()
        .task_definition(definition)
        .send()
        .await
        .map_err(|error| Error::from_sdk("DescribeTaskDefinition", error))?;
    let containers = output
        .task_definition()
        .map(TaskDefinition::container_definitions);
    let images = containers.unwrap_or_default().iter();
    Ok(images
        .filter_map(|container| container.image().map(str::to_owned))
        .collect())
}

/// The limit of DescribeServices (Amazon ECS API Reference).
const DESCRIBED_SERVICES: usize = 10;
/// The limit of DescribeServiceRevisions (Amazon ECS API Reference).
const DESCRIBED_REVISIONS: usize = 20;
/// Pages of up to 100 deployments each.
const MAX_DEPLOYMENT_PAGES: usize = 10;
