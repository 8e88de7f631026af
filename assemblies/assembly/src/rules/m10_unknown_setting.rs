//! M10: unknown setting.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M10.
pub(crate) const RULE: Rule = Rule {
    id: "M10",
    name: "unknown-setting",
    title: "unknown setting",
    explanation: "The settings of a component are those in its `component.yaml`, which are those of the program (`<program> describe`). The program rejects an unknown setting when it starts; this rule finds it before. The same applies to a variable with the component's prefix that an override or a patch adds.",
    source: "docs/manifest.md",
    hint: "correct the name",
    passing: "\
name: shop
app: web
settings:
  web: { greeting: hello }
service: {}
",
    // `greting` is a typing error for `greeting`.
    failing: Failing::Change("web: { greeting: hello }", "web: { greting: hello }"),
    ..MANIFEST
};

/// Reports a setting that the component does not declare.
pub(crate) fn unknown_setting(
    location: Location,
    name: &str,
    setting: &str,
    hint: &str,
) -> Finding {
    RULE.finding(
        location,
        format!("`{name}` has no setting `{setting}`"),
        hint,
    )
}

/// Reports a variable with the component's prefix that belongs to none of its settings.
pub(crate) fn unknown_variable(
    location: Location,
    name: &str,
    variable: &str,
    hint: &str,
) -> Finding {
    RULE.finding(
        location,
        format!("`{name}` has no setting for the variable `{variable}`"),
        hint,
    )
}
