//! M09: requirement has no provider, or more than one.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M09.
pub(crate) const RULE: Rule = Rule {
    id: "M09",
    name: "unmet-requirement",
    title: "requirement has no provider, or more than one",
    explanation: "A component with a requirement works with a component in the same task that provides the interface, or with an address in its setting.",
    source: "docs/manifest.md",
    hint: "add a component that provides it, or set the address",
    passing: "\
name: shop
app: cart
sidecars: [store]
service: {}
",
    // `cart` requires a store, and neither a sidecar nor a setting provides one.
    failing: Failing::Document(
        "\
name: shop
app: cart
service: {}
",
    ),
    ..MANIFEST
};

/// Reports a required interface without a provider.
pub(crate) fn unmet(location: Location, name: &str, interface: &str, setting: &str) -> Finding {
    RULE.finding(
        location,
        format!("`{name}` needs `{interface}`, which no component in this task provides"),
        format!("add a sidecar that provides `{interface}`, or set `settings.{name}.{setting}`"),
    )
}

/// Reports a required interface with more than one provider.
pub(crate) fn ambiguous(
    location: Location,
    name: &str,
    interface: &str,
    offers: &str,
    setting: &str,
) -> Finding {
    RULE.finding(
        location,
        format!("`{name}` needs `{interface}`, which {offers} provide"),
        format!("choose one with `settings.{name}.{setting}`"),
    )
}
