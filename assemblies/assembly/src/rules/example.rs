//! Checks the examples of the rules against a small catalog, the shop.

use diagnostics::Finding;
use diagnostics::source::Source;

use crate::component::{Catalog, Component};
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
    match plan(&source, &catalog(), &values()) {
        Ok(plan) => plan.warnings().to_vec(),
        Err(findings) => findings,
    }
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
const COMPONENTS: [(&str, &str); 12] = [
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
        "greedy.yaml",
        include_str!("../../tests/rule-catalog/greedy.yaml"),
    ),
    (
        "lavish.yaml",
        include_str!("../../tests/rule-catalog/lavish.yaml"),
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
