//! M19: permission refers to an unknown value.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M19.
pub(crate) const RULE: Rule = Rule {
    id: "M19",
    name: "unresolved-permission",
    title: "permission refers to an unknown value",
    explanation: "The resources of a permission are built from values, settings and the trigger. Without them the policy would be too broad or would match nothing.",
    source: "docs/manifest.md",
    hint: "define the value or the setting",
    passing: "\
name: shop
app: batch
on_demand: { bucket: inbox }
settings: { batch: { bucket: outbox } }
",
    // The permission of `batch` refers to its setting `bucket`, which has no value.
    failing: Failing::Document(
        "\
name: shop
app: batch
on_demand: { bucket: inbox }
",
    ),
    ..MANIFEST
};

/// Reports a reference in a resource that cannot be resolved.
pub(crate) fn unresolved_reference(location: Location, name: &str, unknown: &str) -> Finding {
    RULE.finding(
        location,
        format!("a permission of `{name}` needs `{unknown}`, which is not defined"),
        hint(name, unknown),
    )
}

fn hint(name: &str, unknown: &str) -> String {
    match unknown.split_once('.') {
        Some(("settings", setting)) => format!("set `settings.{name}.{setting}`"),
        Some(("on_demand", field)) => format!("set `on_demand.{field}`"),
        _ => format!("add `{unknown}` to the values, or pass `--value {unknown}=…`"),
    }
}
