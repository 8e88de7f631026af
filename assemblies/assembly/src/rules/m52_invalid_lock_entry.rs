//! M52: invalid lock entry.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M52.
pub(crate) const RULE: Rule = Rule {
    id: "M52",
    name: "invalid-lock-entry",
    title: "invalid lock entry",
    explanation: "An entry has the reference that manifests and components use, a sha256 digest, and the platforms of the image. ECS would stop a task of another platform with CannotPullContainerError.",
    source: "OCI image specification, image index; ECS API, RuntimePlatform",
    hint: "run `assemble lock` instead of editing the file; build the image for the platform of the task, or change `size.architecture`",
    passing: "\
lock: 1
images:
  'web:1':
    digest: sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    platforms: [linux/amd64, linux/arm64]
",
    // The task runs on amd64, but the image was locked for arm64.
    failing: Failing::Change(
        "platforms: [linux/amd64, linux/arm64]",
        "platforms: [linux/arm64]",
    ),
    ..MANIFEST
};

/// Reports a key that is not an image reference with a tag.
pub(crate) fn not_a_tag(location: Location, image: &str) -> Finding {
    let message = format!("`{image}` is not an image with a tag");
    let hint = "remove the entry; `assemble lock` writes those that are needed";
    RULE.finding(location, message, hint)
}

/// Reports a malformed digest.
pub(crate) fn invalid_digest(location: Location, digest: &str) -> Finding {
    let message =
        format!("`{digest}` is not a digest: expected `sha256:` and 64 digits of 0-9 and a-f");
    let hint = "remove the entry and run `assemble lock`";
    RULE.finding(location, message, hint)
}

/// Reports an image that does not run on the platform of the task.
pub(crate) fn wrong_platform(
    location: Location,
    image: &str,
    platform: &str,
    platforms: &[String],
) -> Finding {
    // One image index can have several platforms.
    let has = platforms.join(", ");
    let message = format!("`{image}` was locked for {has}, but the task runs on {platform}");
    let hint =
        "push the image for that platform and run `assemble lock`, or change `size.architecture`";
    RULE.finding(location, message, hint)
}
