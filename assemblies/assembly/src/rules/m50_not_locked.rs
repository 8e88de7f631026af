//! M50: an image is not in the lock file.

use task_definition::{Finding, Place, Severity};

use super::Rule;
use crate::lock::LockMode;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M50",
    title: "an image is not in the lock file",
    explanation: "A tag can be pushed again; the lock file of an environment (`assemblies/locks/NAME.yaml`) says which image each tag stood for when somebody looked. With `--locked` every image of the task must be in it; without, one that is missing beside others that are there is a warning, and an environment without a lock file is left alone. The case shown is a lock file.",
    source: "assemblies/README.md",
    hint: "run `assemble lock`, and commit what it writes",
    passing: "\
lock: 1
images:
  'web:1': { digest: 'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef' }
",
    failing: "\
lock: 1
images: {}
",
};

/// A tag that nobody has locked.
pub(crate) fn not_locked(place: Place, image: &str, mode: LockMode) -> Finding {
    let message = format!("`{image}` is not in the lock file");
    let hint = "run `assemble lock`, with the same `--values`, and commit what it writes";
    with_mode_severity(RULE.error(place, message, hint), mode)
}

/// An error where everything must be locked, a warning elsewhere.
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
