//! M50: image is not in the lock file.

use diagnostics::{Finding, Location, Severity};

use super::{Failing, MANIFEST, Rule};
use crate::lock::LockMode;

/// The description of M50.
pub(crate) const RULE: Rule = Rule {
    id: "M50",
    name: "not-locked",
    title: "image is not in the lock file",
    explanation: "A tag can be pushed again; the lock file of an environment (`assemblies/locks/NAME.yaml`) records the image of each tag at the time of locking. With `--locked` every image of the task must be in it. Without, a missing image is a warning if other images are locked, and an environment without a lock file is not checked. The example is a lock file.",
    source: "docs/manifest.md",
    hint: "run `assemble lock`, and commit the file",
    passing: "\
lock: 1
images:
  'web:1': { digest: 'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef' }
",
    // The lock file has no images at all.
    failing: Failing::Document(
        "\
lock: 1
images: {}
",
    ),
    suppressible: true,
    ..MANIFEST
};

/// Reports an image that is not in the lock file.
pub(crate) fn not_locked(location: Location, image: &str, mode: LockMode) -> Finding {
    let message = format!("`{image}` is not in the lock file");
    let hint = "run `assemble lock`, with the same `--values`, and commit the file";
    with_mode_severity(RULE.finding(location, message, hint), mode)
}

/// Sets the severity: an error if every image must be locked, otherwise a warning.
pub(super) fn with_mode_severity(finding: Finding, mode: LockMode) -> Finding {
    let severity = match mode {
        LockMode::Required => Severity::Error,
        LockMode::BestEffort => Severity::Warning,
    };
    Finding {
        severity,
        ..finding
    }
}
