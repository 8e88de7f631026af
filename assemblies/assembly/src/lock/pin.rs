//! Replaces tags by digests in a finished task definition.

use diagnostics::{Finding, Location};
use task_definition::{ImageReference, LocatedDefinition, TaskDefinition};

use super::{Lock, is_mutable, reference};
use crate::rules;

/// How many images of a task must be locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LockMode {
    /// All of them: a tag that is not in the lock is an error (`--locked`).
    Required,
    /// Those in the lock file. If there is one, a tag that is not in it is a warning.
    #[default]
    BestEffort,
}

/// The Docker label for the tag, which ECS and its console would otherwise no longer show.
pub const LABEL: &str = "assemble.image-tag";

/// Pins every image of a definition, including those from overrides and the patch.
pub(crate) fn pin(located: &mut LocatedDefinition, lock: &Lock) -> Vec<Finding> {
    let mut findings = Vec::new();
    let platform = platform(&located.definition);
    let containers = located.definition.container_definitions.iter_mut();
    for (index, container) in containers.enumerate() {
        let pointer = format!("/containerDefinitions/{index}/image");
        let location = located.locations.get(&pointer);
        if !is_mutable(&container.image) {
            continue;
        }

        let Some(locked) = lock.get(&container.image) else {
            let finding = check_missing(&container.image, location, lock);
            findings.extend(finding.map(|finding| finding.with_pointer(pointer)));
            continue;
        };

        // Lock files without platforms are accepted: the field is optional.
        if !locked.platforms.is_empty() && !locked.platforms.contains(&platform) {
            let location = lock
                .location(&container.image, "/platforms")
                .unwrap_or(location);
            let finding = rules::m52_invalid_lock_entry::wrong_platform(
                location,
                &container.image,
                &platform,
                &locked.platforms,
            );
            findings.push(finding.with_pointer(pointer.as_str()));
        }

        // The documented forms are NAME:TAG and NAME@DIGEST; agents have failed on a reference with both.
        let tag = reference::tag(&container.image).to_owned();
        let repository = ImageReference::parse(&container.image).repository();
        let pinned = format!("{repository}@{}", locked.digest);

        container.image = pinned;
        container
            .docker_labels
            .entry(LABEL.to_owned())
            .or_insert(tag);
    }

    findings
}

/// Reports an image that is not in the lock. Without a lock file this is a finding only with `--locked`.
fn check_missing(image: &str, location: Location, lock: &Lock) -> Option<Finding> {
    let mode = lock.mode;
    // An environment without a lock file has not opted in.
    if lock.text.is_none() && mode == LockMode::BestEffort {
        return None;
    }
    let other_tags: Vec<&str> = lock.other_tags(image).map(reference::tag).collect();
    Some(if other_tags.is_empty() {
        rules::m50_not_locked::not_locked(location, image, mode)
    } else {
        rules::m51_stale_lock::stale_lock(location, image, &other_tags, mode)
    })
}

/// Returns the platform of a task in the format of OCI image indexes: `linux/amd64`.
pub(crate) fn platform(definition: &TaskDefinition) -> String {
    let platform = definition.runtime_platform.as_ref();
    let system = platform.and_then(|platform| platform.operating_system_family.as_deref());
    let is_windows = system.is_some_and(|system| system.starts_with("WINDOWS"));
    let architecture = platform.and_then(|platform| platform.cpu_architecture.as_deref());

    format!(
        "{}/{}",
        if is_windows { "windows" } else { "linux" },
        if architecture == Some("ARM64") {
            "arm64"
        } else {
            "amd64"
        },
    )
}
