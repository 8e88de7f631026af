//! M20: app does not support this run mode.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M20.
pub(crate) const RULE: Rule = Rule {
    id: "M20",
    name: "unsupported-run-mode",
    title: "app does not support this run mode",
    explanation: "An app for `on_demand` has a command that ends (`commands.on_demand` in its component.yaml); an app for `service` has a command that serves.",
    source: "docs/manifest.md",
    hint: "choose an app with such a command, or the other run mode",
    passing: "\
name: shop
app: batch
on_demand: { bucket: inbox }
settings: { batch: { bucket: outbox } }
",
    // `web` only has a command that serves.
    failing: Failing::Document(
        "\
name: shop
app: web
on_demand: { bucket: inbox }
",
    ),
    ..MANIFEST
};

/// Reports an app without a command for `on_demand`.
pub(crate) fn no_on_demand_command(location: Location, name: &str) -> Finding {
    RULE.finding(
        location,
        format!("`{name}` has no command that ends"),
        "write `service: {}` instead, or choose an app with `commands.on_demand`",
    )
}
