//! M23: settings in a document that cannot be checked.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M23.
pub(crate) const RULE: Rule = Rule {
    id: "M23",
    name: "opaque-settings",
    title: "settings in a document that cannot be checked",
    explanation: "A program reads whole documents of settings from `<NAME>_SETTINGS` and `<NAME>_SETTINGS_FILE`. No rule checks their contents: not the names, not the types, not whether an inner hop stays on loopback.",
    source: "docs/manifest.md",
    hint: "move the settings to `settings:`",
    passing: "\
name: shop
app: web
settings:
  web: { greeting: good morning }
overrides:
  web: { environment: [{ name: TZ, value: Europe/Berlin }] }
service: {}
",
    // `WEB_SETTINGS` is a whole document in a variable.
    failing: Failing::Document(
        "\
name: shop
app: web
overrides:
  web: { environment: [{ name: WEB_SETTINGS, value: '{ \"greeting\": \"good morning\" }' }] }
service: {}
",
    ),
    suppressible: true,
    guard: true,
    ..MANIFEST
};

/// Reports a variable that contains or names a document of settings.
pub(crate) fn settings_document(location: Location, name: &str, variable: &str) -> Finding {
    RULE.finding(
        location,
        format!("`{variable}` passes settings to `{name}` that cannot be checked"),
        "move the settings to `settings:`",
    )
}
