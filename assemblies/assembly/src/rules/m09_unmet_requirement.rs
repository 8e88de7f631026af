//! M09: a requirement is met by nobody, or by several.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M09",
    title: "a requirement is met by nobody, or by several",
    explanation: "A component that must be given an interface works with one that offers it in the same task, or with an address in its setting.",
    source: "assemblies/README.md",
    hint: "add a component that offers it, or set the address",
    passing: "\
name: shop
app: cart
sidecars: [store]
service: {}
",
    failing: "\
name: shop
app: cart
service: {}
",
};

/// An interface nobody offers.
pub(crate) fn unmet(place: Place, name: &str, interface: &str, setting: &str) -> Finding {
    RULE.error(
        place,
        format!("`{name}` needs `{interface}`, which nobody in this task offers"),
        format!("add a sidecar that offers `{interface}`, or set `settings.{name}.{setting}`"),
    )
}

/// An interface several offer.
pub(crate) fn ambiguous(
    place: Place,
    name: &str,
    interface: &str,
    offers: &str,
    setting: &str,
) -> Finding {
    RULE.error(
        place,
        format!("`{name}` needs `{interface}`, which {offers} offer"),
        format!("say which one by `settings.{name}.{setting}`"),
    )
}
