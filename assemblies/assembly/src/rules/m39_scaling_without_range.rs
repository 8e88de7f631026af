//! M39: something is said about scaling where nothing scales.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M39",
    title: "something is said about scaling where nothing scales",
    explanation: "Tasks come and go only where `max` is more than `min` and `target` says what to keep steady. Otherwise the word does nothing, and its author thinks it does.",
    source: "assemblies/README.md",
    hint: "take the word away, or let the service scale",
    passing: "\
name: shop
app: web
service: { max: 4, target: { cpu: 60 }, cooldown: { in: 120 } }
",
    failing: "\
name: shop
app: web
service: { cooldown: { in: 120 } }
",
};

/// A word without effect.
pub(crate) fn without_effect(place: Place, word: &str) -> Finding {
    let message = format!("`{word}` does nothing, since this service does not scale");
    let hint = "take it away, or give `max` and `target`";
    RULE.warning(place, message, hint)
}
