//! M19: a permission names something that is not known.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M19",
    title: "a permission names something that is not known",
    explanation: "The resources of a permission are made from values, settings and the trigger. Without them the policy would be too wide or useless.",
    source: "assemblies/README.md",
    hint: "give the value or the setting",
    passing: "\
name: shop
app: batch
on_demand: { bucket: inbox }
settings: { batch: { bucket: outbox } }
",
    failing: "\
name: shop
app: batch
on_demand: { bucket: inbox }
",
};

/// Something in a resource that nobody gave.
pub(crate) fn unresolved(place: Place, name: &str, unknown: &str) -> Finding {
    RULE.error(
        place,
        format!("a permission of `{name}` needs `{unknown}`, which is not known"),
        hint(name, unknown),
    )
}

fn hint(name: &str, unknown: &str) -> String {
    match unknown.split_once('.') {
        Some(("settings", setting)) => format!("give `settings.{name}.{setting}`"),
        Some(("on_demand", field)) => format!("give `on_demand.{field}`"),
        _ => format!("add `{unknown}` to the values, or pass `--value {unknown}=…`"),
    }
}
