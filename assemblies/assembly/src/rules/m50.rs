//! M50: an image is not in the lock file.

use task_definition::{Finding, Place, Severity};

use super::Rule;
use crate::lock::Demand;

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
pub(crate) fn not_locked(place: Place, image: &str, demand: Demand) -> Finding {
    let message = format!("`{image}` is not in the lock file");
    let hint = "run `assemble lock`, with the same `--values`, and commit what it writes";
    demanded(Finding::error(RULE.id, place, message, hint), demand)
}

/// An error where everything must be locked, a warning elsewhere.
pub(super) fn demanded(finding: Finding, demand: Demand) -> Finding {
    let severity = match demand {
        Demand::Everything => Severity::Error,
        Demand::AsFarAsLocked => Severity::Warning,
    };
    Finding {
        severity,
        ..finding
    }
}
