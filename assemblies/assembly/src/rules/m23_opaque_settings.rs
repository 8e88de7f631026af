//! M23: settings stand in a document that nobody can judge.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M23",
    title: "settings stand in a document that nobody can judge",
    explanation: "A program takes whole documents of settings from `<NAME>_SETTINGS` and `<NAME>_SETTINGS_FILE`. What stands in them is held against no rule: not the names, not the kinds, not whether an inner hop stays on loopback.",
    source: "assemblies/README.md",
    hint: "write it under `settings:`",
    passing: "\
name: shop
app: web
settings:
  web: { greeting: good morning }
overrides:
  web: { environment: [{ name: TZ, value: Europe/Berlin }] }
service: {}
",
    failing: "\
name: shop
app: web
overrides:
  web: { environment: [{ name: WEB_SETTINGS, value: '{ \"greeting\": \"good morning\" }' }] }
service: {}
",
};

/// A document of settings.
pub(crate) fn settings_document(place: Place, name: &str, variable: &str) -> Finding {
    RULE.error(
        place,
        format!("`{variable}` brings settings of `{name}` in that nobody can judge"),
        "write it under `settings:`",
    )
}
