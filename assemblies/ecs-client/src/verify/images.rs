//! Images in Amazon ECR: existence, digest and platform.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use task_definition::ImageReference;

use super::check::{Check, CheckGroup, CheckOutcome};
use super::paths::EcrRepository;
use super::reader::{Answer, Reader, join_all};
use super::request::VerifyRequest;
use super::{items, text};
use crate::api::{Api, Operation};

/// The images of each repository.
#[derive(Debug)]
pub(super) struct Images {
    repositories: BTreeMap<EcrRepository, Answer>,
}

impl Images {
    pub(super) async fn collect(reader: &Reader<'_, impl Api>, request: &VerifyRequest) -> Self {
        // One call for all images of a repository: the containers of a bundle share one.
        let mut wanted: BTreeMap<EcrRepository, BTreeSet<(&str, &str)>> = BTreeMap::new();
        for container in &request.definition.container_definitions {
            if let Some(repository) = EcrRepository::parse(&container.image) {
                let ids = wanted.entry(repository).or_default();
                ids.extend(image_ids(&container.image));
            }
        }

        let answers = wanted.into_iter().map(async |(repository, ids)| {
            if repository.region != request.region {
                let reason = format!("the repository is in {}", repository.region);
                return (repository, Answer::not_asked(reason));
            }
            let ids: Vec<_> = ids
                .into_iter()
                .map(|(field, id)| json!({ field: id }))
                .collect();
            let body = json!({ "registryId": repository.account, "repositoryName": repository.name,
                    "imageIds": ids, "acceptedMediaTypes": MEDIA_TYPES });
            let answer = reader.ask(Operation::BatchGetImage, body).await;
            (repository, answer)
        });

        Self {
            repositories: join_all(answers).await.into_iter().collect(),
        }
    }

    /// Returns a check for each image.
    pub(super) fn checks(&self, request: &VerifyRequest) -> Vec<Check> {
        let images: BTreeSet<_> = request
            .definition
            .container_definitions
            .iter()
            .map(|container| container.image.as_str())
            .collect();
        images
            .into_iter()
            .map(|image| Check::new(CheckGroup::Images, image, self.check(image, request)))
            .collect()
    }

    fn check(&self, image: &str, request: &VerifyRequest) -> CheckOutcome {
        let Some(repository) = EcrRepository::parse(image) else {
            return CheckOutcome::skip(
                "not in Amazon ECR; `assemble check --images` reads other registries",
            );
        };

        let push = "push it: `assemble images push`";
        let found = match self.repositories.get(&repository) {
            Some(Answer::Found(found)) => found,
            Some(Answer::Unknown(unknown)) => return unknown.into(),
            Some(Answer::Missing(message)) => {
                return CheckOutcome::fail(
                    format!("there is no repository {}: {message}", repository.name),
                    "create it: `assemble images push --create-repositories`",
                );
            }
            None => return CheckOutcome::skip("not read"),
        };

        let reference = ImageReference::parse(image);
        let by = |field: &str, id: Option<&str>| {
            let id = id?;
            items(&found["images"]).find(|entry| entry["imageId"][field] == id)
        };

        let by_tag = by("imageTag", Some(reference.tag().unwrap_or(LATEST)));
        let Some(digest) = reference.digest() else {
            return match by_tag {
                Some(entry) => platform(entry, request),
                None => CheckOutcome::fail(
                    format!(
                        "the repository has no tag {}",
                        reference.tag().unwrap_or(LATEST)
                    ),
                    push,
                ),
            };
        };

        let Some(entry) = by("imageDigest", Some(digest)) else {
            return CheckOutcome::fail(
                format!("the repository has no image {digest}"),
                "push it, or run `assemble lock` for the digest that the tag has now",
            );
        };

        // ECS pulls by digest; the tag would be what a person reads.
        let moved = by_tag
            .map(|entry| text(&entry["imageId"], "imageDigest"))
            .filter(|found| reference.tag().is_some() && *found != digest);
        match moved {
            Some(other) => CheckOutcome::fail(
                format!(
                    "the tag {} is now {other}, another image than the pinned one",
                    reference.tag().unwrap_or_default()
                ),
                "run `assemble lock`, or push the pinned image with this tag",
            ),
            None => platform(entry, request),
        }
    }
}

/// Returns what BatchGetImage takes for an image: the digest, and the tag.
fn image_ids(image: &str) -> Vec<(&'static str, &str)> {
    let reference = ImageReference::parse(image);
    let digest = reference.digest().map(|digest| ("imageDigest", digest));
    let tag = match (reference.tag(), digest) {
        (Some(tag), _) => Some(("imageTag", tag)),
        (None, None) => Some(("imageTag", LATEST)),
        (None, Some(_)) => None,
    };
    digest.into_iter().chain(tag).collect()
}

/// Checks that an image is for the platform of the task.
fn platform(entry: &Value, request: &VerifyRequest) -> CheckOutcome {
    let (os, cpu) = request.platform();
    let digest = text(&entry["imageId"], "imageDigest");
    let manifest: Value = serde_json::from_str(text(entry, "imageManifest")).unwrap_or(Value::Null);
    let Some(children) = manifest["manifests"].as_array() else {
        // The platform of a single image is in its configuration, a blob that BatchGetImage does not return.
        return CheckOutcome::ok(format!(
            "{digest}; one image, whose platform `assemble check --images` reads"
        ));
    };

    let platforms: BTreeSet<_> = children
        .iter()
        .map(|child| &child["platform"])
        .map(|platform| {
            format!(
                "{}/{}",
                text(platform, "os"),
                text(platform, "architecture")
            )
        })
        // Attestations of build tools.
        .filter(|platform| platform != "unknown/unknown")
        .collect();

    let wanted = format!("{os}/{cpu}");
    if platforms.contains(&wanted) {
        return CheckOutcome::ok(format!("{digest}, {wanted}"));
    }
    CheckOutcome::fail(
        format!(
            "the image is for {}, the task for {wanted}",
            platforms.into_iter().collect::<Vec<_>>().join(", ")
        ),
        format!("push an image for {wanted}, or set `runtimePlatform`"),
    )
}

/// What ECS pulls if an image has neither tag nor digest.
const LATEST: &str = "latest";

/// The formats of manifests and indexes that Fargate pulls.
const MEDIA_TYPES: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];
