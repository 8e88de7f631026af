//! M52: an entry of the lock file is no good for the task.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M52",
    title: "an entry of the lock file is no good for the task",
    explanation: "An entry has the reference that manifests and components write, a sha256 digest, and the platforms that the image runs on. A task of another platform would be stopped with CannotPullContainerError.",
    source: "OCI image specification, image index; ECS API, RuntimePlatform",
    hint: "run `assemble lock` instead of editing the file; build the image for the platform of the task, or change `size.architecture`",
    passing: "\
lock: 1
images:
  'web:1':
    digest: sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    platforms: [linux/amd64, linux/arm64]
",
    failing: "\
lock: 1
images:
  'web:1':
    digest: sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    platforms: [linux/arm64]
",
};

/// A key that names no tag.
pub(crate) fn not_a_tag(place: Place, image: &str) -> Finding {
    let message = format!("`{image}` is no image with a tag");
    let hint = "take the entry away; `assemble lock` writes those that are needed";
    RULE.error(place, message, hint)
}

/// A digest that is none.
pub(crate) fn invalid_digest(place: Place, digest: &str) -> Finding {
    let message =
        format!("`{digest}` is no digest: that is `sha256:` and 64 digits of 0-9 and a-f");
    let hint = "take the entry away and run `assemble lock`";
    RULE.error(place, message, hint)
}

/// An image that does not run where the task does.
pub(crate) fn wrong_platform(
    place: Place,
    image: &str,
    platform: &str,
    platforms: &[String],
) -> Finding {
    let has = platforms.join(", ");
    let message = format!("`{image}` was locked for {has}; the task is {platform}");
    let hint =
        "push the image for that platform and run `assemble lock`, or change `size.architecture`";
    RULE.error(place, message, hint)
}
