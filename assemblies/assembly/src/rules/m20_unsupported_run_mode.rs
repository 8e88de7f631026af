//! M20: an app cannot run the way the manifest asks.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M20",
    title: "an app cannot run the way the manifest asks",
    explanation: "An app for `on_demand` has a command that ends (`commands.on_demand` in its component.yaml); one for `service` has one that serves.",
    source: "assemblies/README.md",
    hint: "choose an app that can, or the other way of running",
    passing: "\
name: shop
app: batch
on_demand: { bucket: inbox }
settings: { batch: { bucket: outbox } }
",
    failing: "\
name: shop
app: web
on_demand: { bucket: inbox }
",
};

/// An app that only serves.
pub(crate) fn no_on_demand_command(place: Place, name: &str) -> Finding {
    RULE.error(
        place,
        format!("`{name}` has no command that ends"),
        "write `service: {}` instead, or choose an app with `commands.on_demand`",
    )
}
