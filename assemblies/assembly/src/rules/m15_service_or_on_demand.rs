//! M15: both or neither of `service` and `on_demand`.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M15.
pub(crate) const RULE: Rule = Rule {
    id: "M15",
    name: "service-or-on-demand",
    title: "both or neither of `service` and `on_demand`",
    explanation: "`service` keeps tasks running; `on_demand` starts one task for an event, and the task ends. The app starts with a different command for each, so a manifest has exactly one of them.",
    source: "docs/manifest.md",
    hint: "keep one of `service` and `on_demand`",
    passing: "\
name: shop
app: web
service: {}
",
    // The manifest has both run modes.
    failing: Failing::Document(
        "\
name: shop
app: web
service: {}
on_demand: { bucket: inbox }
",
    ),
    ..MANIFEST
};

/// Reports a manifest with both.
pub(crate) fn both(location: Location) -> Finding {
    RULE.finding(
        location,
        "a task cannot be both `service` and `on_demand`",
        "remove one of the two",
    )
}

/// Reports a manifest with neither.
pub(crate) fn neither(location: Location) -> Finding {
    RULE.finding(
        location,
        "the manifest has neither `service` nor `on_demand`",
        "add `service: {}` for a service, or `on_demand: …` for a task that ends",
    )
}
