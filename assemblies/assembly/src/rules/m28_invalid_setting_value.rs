//! M28: setting value is out of range or malformed.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};
use crate::component::InvalidValue;

/// The description of M28.
pub(crate) const RULE: Rule = Rule {
    id: "M28",
    name: "invalid-setting-value",
    title: "setting value is out of range or malformed",
    explanation: "The type of the program's configuration (`<program> describe`) defines which words, numbers, durations, addresses and URLs a setting accepts. The program rejects any other value when it starts, which on Fargate is a task that stops after minutes; this rule finds it before. Values are interpolated first, and a variable that an override or a patch adds is checked like a setting.",
    source: "docs/manifest.md",
    hint: "write a value that the program accepts",
    passing: "\
name: shop
app: web
settings:
  web: { workers: 4, log: '${level}', patience: 250ms }
values: { level: debug }
service: {}
",
    // `debgu` is not among the choices of `log`.
    failing: Failing::Document(
        "\
name: shop
app: web
settings:
  web: { log: '${level}' }
values: { level: debgu }
service: {}
",
    ),
    ..MANIFEST
};

/// Reports a value that the program would reject.
pub(crate) fn invalid_value(
    location: Location,
    name: &str,
    setting: &str,
    invalid: InvalidValue,
) -> Finding {
    let message = format!("`{setting}` of `{name}` {}", invalid.message);
    RULE.finding(location, message, invalid.hint)
}
