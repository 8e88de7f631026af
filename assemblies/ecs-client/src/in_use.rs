//! The images that ECS may start: those of recent task definitions, and those of services.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::api::{Api, Call, Operation};
use crate::error::Error;

/// Returns the references of all images that a task can be started with, and the digests that services resolved.
///
/// These are the images of the latest `revisions` active task definitions of every family, and those of every service:
/// its current task definitions and its service revisions, to which ECS can roll back. A reference is `repository:tag`,
/// `repository@sha256:…`, or the digest alone.
pub async fn images_in_use(api: &impl Api, revisions: usize) -> Result<BTreeSet<String>, Error> {
    let mut definitions = BTreeSet::new();
    let request = json!({ "status": "ACTIVE" });
    for family in list(
        api,
        Operation::ListTaskDefinitionFamilies,
        request,
        "families",
    )
    .await?
    {
        definitions.extend(latest_definitions(api, &family, revisions).await?);
    }

    let mut images = BTreeSet::new();
    for cluster in list(api, Operation::ListClusters, json!({}), "clusterArns").await? {
        for service in services(api, &cluster).await? {
            definitions.extend(service_definitions(&service));
            let revisions = service_revisions(api, &cluster, &service).await?;
            add_revision_images(api, &revisions, &mut definitions, &mut images).await?;
        }
    }

    for definition in definitions {
        images.extend(definition_images(api, &definition).await?);
    }
    Ok(images)
}

/// Returns the strings of a list in all pages of an operation.
async fn list(
    api: &impl Api,
    operation: Operation,
    mut request: Value,
    field: &str,
) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    loop {
        let response = api.call(&Call::new(operation, request.clone())).await?;
        found.extend(strings(&response[field]));

        // A page with the token of the page before it would never end.
        let next = &response["nextToken"];
        if next.is_null() || *next == request["nextToken"] {
            return Ok(found);
        }
        request["nextToken"] = next.clone();
    }
}

/// Returns the ARNs of the latest active revisions of a family.
async fn latest_definitions(
    api: &impl Api,
    family: &str,
    revisions: usize,
) -> Result<Vec<String>, Error> {
    let request = json!({ "familyPrefix": family, "status": "ACTIVE" });
    let definitions = list(
        api,
        Operation::ListTaskDefinitions,
        request,
        "taskDefinitionArns",
    )
    .await?;

    // ECS takes the whole name of the family in spite of the parameter's name; emulators take a prefix. Sorted here,
    // since emulators ignore the requested order.
    let start = format!(":task-definition/{family}:");
    let mut found: Vec<(u64, String)> = definitions
        .into_iter()
        .filter_map(|arn| {
            let (_, number) = arn.split_once(&start)?;
            Some((number.parse().ok()?, arn))
        })
        .collect();

    found.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    found.truncate(revisions);
    Ok(found.into_iter().map(|(_, arn)| arn).collect())
}

/// Returns the descriptions of the services of a cluster.
async fn services(api: &impl Api, cluster: &str) -> Result<Vec<Value>, Error> {
    let request = json!({ "cluster": cluster });
    let names = list(api, Operation::ListServices, request, "serviceArns").await?;
    let mut services = Vec::new();

    for group in names.chunks(DESCRIBED_SERVICES) {
        let request = json!({ "cluster": cluster, "services": group });
        let mut response = api
            .call(&Call::new(Operation::DescribeServices, request))
            .await?;
        if let Value::Array(described) = response["services"].take() {
            services.extend(described);
        }
    }

    Ok(services)
}

fn service_definitions(service: &Value) -> impl Iterator<Item = String> {
    let deployments = items(&service["deployments"]);
    let sets = items(&service["taskSets"]);
    let parts = [service].into_iter().chain(deployments).chain(sets);
    parts.filter_map(|part| Some(part["taskDefinition"].as_str()?.to_owned()))
}

/// Returns the ARNs of the revisions that the deployments of a service lead to.
async fn service_revisions(
    api: &impl Api,
    cluster: &str,
    service: &Value,
) -> Result<BTreeSet<String>, Error> {
    let current = items(&service["currentServiceRevisions"]);
    let current = current.filter_map(|revision| Some(revision["arn"].as_str()?.to_owned()));
    let mut revisions: BTreeSet<String> = current.collect();
    let mut request = json!({ "cluster": cluster, "service": service["serviceArn"] });

    // Bounded: older deployments than these are not rolled back to.
    for _ in 0..MAX_DEPLOYMENT_PAGES {
        let call = Call::new(Operation::ListServiceDeployments, request.clone());
        let response = api.call(&call).await?;
        let targets = items(&response["serviceDeployments"]);
        revisions.extend(targets.filter_map(|deployment| {
            let target = deployment["targetServiceRevisionArn"].as_str()?;
            Some(target.to_owned())
        }));

        if response["nextToken"].is_null() {
            break;
        }
        request["nextToken"] = response["nextToken"].clone();
    }

    Ok(revisions)
}

async fn add_revision_images(
    api: &impl Api,
    revisions: &BTreeSet<String>,
    definitions: &mut BTreeSet<String>,
    images: &mut BTreeSet<String>,
) -> Result<(), Error> {
    let revisions: Vec<&String> = revisions.iter().collect();
    for group in revisions.chunks(DESCRIBED_REVISIONS) {
        let request = json!({ "serviceRevisionArns": group });
        let call = Call::new(Operation::DescribeServiceRevisions, request);
        let response = api.call(&call).await?;

        for revision in items(&response["serviceRevisions"]) {
            definitions.extend(revision["taskDefinition"].as_str().map(str::to_owned));
            for image in items(&revision["containerImages"]) {
                let names = [&image["image"], &image["imageDigest"]];
                images.extend(
                    names
                        .into_iter()
                        .filter_map(Value::as_str)
                        .map(str::to_owned),
                );
            }
        }
    }

    Ok(())
}

async fn definition_images(api: &impl Api, definition: &str) -> Result<Vec<String>, Error> {
    let request = json!({ "taskDefinition": definition });
    let call = Call::new(Operation::DescribeTaskDefinition, request);
    let response = api.call(&call).await?;
    let containers = items(&response["taskDefinition"]["containerDefinitions"]);
    let images = containers.filter_map(|container| Some(container["image"].as_str()?.to_owned()));
    Ok(images.collect())
}

/// Returns the items of a list; a list that is left out is empty.
fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn strings(value: &Value) -> impl Iterator<Item = String> {
    items(value).filter_map(|item| Some(item.as_str()?.to_owned()))
}

/// The limit of DescribeServices (Amazon ECS API Reference).
const DESCRIBED_SERVICES: usize = 10;
/// The limit of DescribeServiceRevisions (Amazon ECS API Reference).
const DESCRIBED_REVISIONS: usize = 20;
/// Pages of up to 100 deployments each.
const MAX_DEPLOYMENT_PAGES: usize = 10;
