//! M39: scaling options without a scaling range.

use diagnostics::{Finding, Location, Severity};

use super::{Failing, MANIFEST, Rule};

/// The description of M39.
pub(crate) const RULE: Rule = Rule {
    id: "M39",
    name: "scaling-without-range",
    severity: Severity::Warning,
    title: "scaling options without a scaling range",
    explanation: "A service scales only when `max` is greater than `min` and `target` is set. Otherwise the option has no effect.",
    source: "Application Auto Scaling user guide: target tracking scaling policies",
    hint: "remove the option, or let the service scale",
    passing: "\
name: shop
app: web
service: { max: 4, target: { cpu: 60 }, cooldown: { in: 120 } }
",
    // `max` is 1, so the cooldown has no effect.
    failing: Failing::Document(
        "\
name: shop
app: web
service: { cooldown: { in: 120 } }
",
    ),
    suppressible: true,
    ..MANIFEST
};

/// Reports a scaling option of a service that does not scale.
pub(crate) fn without_effect(location: Location, option: &str) -> Finding {
    let message = format!("`{option}` has no effect: this service does not scale");
    let hint = "remove it, or set `max` and `target`";
    RULE.finding(location, message, hint)
}
