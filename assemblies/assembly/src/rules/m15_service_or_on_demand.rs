//! M15: a task must either serve or end.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M15",
    title: "a task must either serve or end",
    explanation: "`service` keeps tasks running; `on_demand` starts one for an event, and it ends. The app is started differently for each, so exactly one of them must be there.",
    source: "assemblies/README.md",
    hint: "keep one of `service` and `on_demand`",
    passing: "\
name: shop
app: web
service: {}
",
    failing: "\
name: shop
app: web
service: {}
on_demand: { bucket: inbox }
",
};

/// Both are there.
pub(crate) fn both(place: Place) -> Finding {
    RULE.error(
        place,
        "a task cannot be both `service` and `on_demand`",
        "take one of the two away",
    )
}

/// None is there.
pub(crate) fn neither(place: Place) -> Finding {
    RULE.error(
        place,
        "the manifest says neither `service` nor `on_demand`",
        "add `service: {}` for a task that serves, or `on_demand: …` for one that ends",
    )
}
