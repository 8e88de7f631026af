//! Checks the examples of the rules against a small catalog, the shop.

use diagnostics::Finding;
use diagnostics::source::Source;

use crate::component::{Catalog, Component};
use crate::environments::check_names;
use crate::lock::{Lock, LockMode};
use crate::plan;
use crate::values::Values;

/// Returns the findings for an example: a manifest of the shop, a `component.yaml` or a lock file.
pub fn findings(text: &str) -> Vec<Finding> {
    let source = Source::new("example.yaml", text);
    // The first key identifies the kind of file.
    if text.starts_with("schema:") {
        return Component::read(&source).err().unwrap_or_default();
    }

    if text.starts_with("lock:") {
        return lock_findings(&source);
    }
    let environments = environments_of(text);
    let values = environments.first().cloned().unwrap_or_else(values);
    let planned = plan(&source, &catalog(), &values);
    let mut findings = planned.map_or_else(|findings| findings, |plan| plan.warnings().to_vec());
    findings.extend(check_names(&source, &environments));
    findings
}

/// Returns the values of the environments of a manifest, each with its name as the value `stage`.
fn environments_of(text: &str) -> Vec<Values> {
    let names = ["staging", "production"].into_iter();
    let has_environments = text.contains("\nenvironments:\n  staging:");
    names
        .filter(|_| has_environments)
        .map(|name| values().with_environment(name).with("stage", name))
        .collect()
}

/// Checks a lock file with a task of one image, which must be locked.
fn lock_findings(source: &Source) -> Vec<Finding> {
    let manifest = Source::new("shop.yaml", "name: shop\napp: web\nservice: {}\n");
    let planned = Lock::read(source).and_then(|lock| {
        let lock = lock.with_mode(LockMode::Required);
        plan(&manifest, &catalog(), &values().with_lock(lock))
    });
    planned.map_or_else(|findings| findings, |plan| plan.warnings().to_vec())
}

fn catalog() -> Catalog {
    let sources = COMPONENTS.map(|(name, text)| Source::new(name, text));
    Catalog::read(&sources)
}

fn values() -> Values {
    let text = [
        ("account", "111122223333"),
        ("region", "eu-central-1"),
        ("registry", "registry.example"),
        ("version", "1"),
    ];
    let with = |values: Values, (name, value): (&str, &str)| values.with(name, value);
    text.into_iter().fold(Values::default(), with)
}

/// The components of the shop. A test compares the findings with those for all files of the folder.
const COMPONENTS: [(&str, &str); 15] = [
    (
        "auth.yaml",
        include_str!("../../tests/rule-catalog/auth.yaml"),
    ),
    (
        "batch.yaml",
        include_str!("../../tests/rule-catalog/batch.yaml"),
    ),
    (
        "careful.yaml",
        include_str!("../../tests/rule-catalog/careful.yaml"),
    ),
    (
        "cart.yaml",
        include_str!("../../tests/rule-catalog/cart.yaml"),
    ),
    (
        "collector.yaml",
        include_str!("../../tests/rule-catalog/collector.yaml"),
    ),
    (
        "greedy.yaml",
        include_str!("../../tests/rule-catalog/greedy.yaml"),
    ),
    (
        "lavish.yaml",
        include_str!("../../tests/rule-catalog/lavish.yaml"),
    ),
    (
        "legacy.yaml",
        include_str!("../../tests/rule-catalog/legacy.yaml"),
    ),
    (
        "otel.yaml",
        include_str!("../../tests/rule-catalog/otel.yaml"),
    ),
    (
        "parrot.yaml",
        include_str!("../../tests/rule-catalog/parrot.yaml"),
    ),
    (
        "press.yaml",
        include_str!("../../tests/rule-catalog/press.yaml"),
    ),
    (
        "shopfront.yaml",
        include_str!("../../tests/rule-catalog/shopfront.yaml"),
    ),
    (
        "store.yaml",
        include_str!("../../tests/rule-catalog/store.yaml"),
    ),
    (
        "tls.yaml",
        include_str!("../../tests/rule-catalog/tls.yaml"),
    ),
    (
        "web.yaml",
        include_str!("../../tests/rule-catalog/web.yaml"),
    ),
];
