//! M12: required setting is missing.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M12.
pub(crate) const RULE: Rule = Rule {
    id: "M12",
    name: "missing-setting",
    title: "required setting is missing",
    explanation: "The program declares that it does not start without this setting.",
    source: "docs/manifest.md",
    hint: "add the setting",
    passing: "\
name: shop
app: web
ingress: [auth]
settings:
  auth: { issuer: 'https://issuer.example/' }
service: {}
",
    // `auth` requires the setting `issuer`.
    failing: Failing::Document(
        "\
name: shop
app: web
ingress: [auth]
service: {}
",
    ),
    ..MANIFEST
};

/// Reports a required setting without a value.
pub(crate) fn missing_setting(location: Location, name: &str, setting: &str, doc: &str) -> Finding {
    RULE.finding(
        location,
        format!(
            "`{name}` needs the setting `{setting}`{}",
            in_parentheses(doc)
        ),
        format!("add it under `settings.{name}`"),
    )
}

/// Reports a group of settings of which at least one is required.
pub(crate) fn missing_choice(
    location: Location,
    name: &str,
    first: &str,
    others: &[String],
) -> Finding {
    RULE.finding(
        location,
        format!("`{name}` needs the setting `{first}`, or an alternative to it"),
        format!(
            "add `{first}` under `settings.{name}`, or one of: {}",
            others.join(", ")
        ),
    )
}

/// Reports a required secret without an ARN.
pub(crate) fn missing_secret(location: Location, name: &str, setting: &str, doc: &str) -> Finding {
    RULE.finding(
        location,
        format!(
            "`{name}` needs the secret `{setting}`{}",
            in_parentheses(doc)
        ),
        format!("add the ARN of a secret under `secrets.{name}`"),
    )
}

/// Formats the setting's documentation as a suffix; a component may leave `doc` out.
fn in_parentheses(doc: &str) -> String {
    if doc.is_empty() {
        String::new()
    } else {
        format!(" ({doc})")
    }
}
