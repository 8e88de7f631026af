//! M51: lock entry is for another tag.

use diagnostics::{Finding, Location};

use super::m50_not_locked::with_mode_severity;
use super::{Failing, MANIFEST, Rule};
use crate::lock::LockMode;

/// The description of M51.
pub(crate) const RULE: Rule = Rule {
    id: "M51",
    name: "stale-lock",
    title: "lock entry is for another tag",
    explanation: "The tag has changed in the manifest, the component or the values, and the lock file still has the previous one. The task would not run the image that was locked.",
    source: "docs/manifest.md",
    hint: "run `assemble lock` again",
    passing: "\
lock: 1
images:
  'web:1': { digest: 'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef' }
",
    // The task uses tag 1, but the lock file has tag 0.9.
    failing: Failing::Document(
        "\
lock: 1
images:
  'web:0.9': { digest: 'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef' }
",
    ),
    suppressible: true,
    ..MANIFEST
};

/// Reports an image that is locked under other tags only.
pub(crate) fn stale_lock(
    location: Location,
    image: &str,
    tags: &[&str],
    mode: LockMode,
) -> Finding {
    let tags: Vec<String> = tags.iter().map(|tag| format!("`{tag}`")).collect();
    let message = format!(
        "`{image}` is not in the lock file, which has this image as {}",
        tags.join(", ")
    );
    let hint = "run `assemble lock`, with the same `--values`, or use the locked tag";
    with_mode_severity(RULE.finding(location, message, hint), mode)
}
