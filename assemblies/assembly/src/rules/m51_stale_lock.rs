//! M51: the lock file is of another tag.

use task_definition::{Finding, Place};

use super::Rule;
use super::m50_not_locked::with_mode_severity;
use crate::lock::LockMode;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M51",
    title: "the lock file is of another tag",
    explanation: "The tag was changed in the manifest, the component or the values, and the lock file still holds the one before it. What runs would not be what was locked.",
    source: "assemblies/README.md",
    hint: "run `assemble lock` again",
    passing: "\
lock: 1
images:
  'web:1': { digest: 'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef' }
",
    failing: "\
lock: 1
images:
  'web:0.9': { digest: 'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef' }
",
};

/// A tag whose siblings are locked.
pub(crate) fn stale_lock(place: Place, image: &str, tags: &[&str], mode: LockMode) -> Finding {
    let tags: Vec<String> = tags.iter().map(|tag| format!("`{tag}`")).collect();
    let message = format!(
        "`{image}` is not in the lock file, which has this image as {}",
        tags.join(", ")
    );
    let hint =
        "run `assemble lock`, with the same `--values`, or go back to the tag that is locked";
    with_mode_severity(RULE.error(place, message, hint), mode)
}
