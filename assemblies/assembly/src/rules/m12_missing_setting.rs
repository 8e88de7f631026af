//! M12: a setting that must be given is not.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M12",
    title: "a setting that must be given is not",
    explanation: "The program says that it cannot do without, and would not start.",
    source: "assemblies/README.md",
    hint: "give the setting",
    passing: "\
name: shop
app: web
ingress: [auth]
settings:
  auth: { issuer: 'https://issuer.example/' }
service: {}
",
    failing: "\
name: shop
app: web
ingress: [auth]
service: {}
",
};

/// A setting nobody gave.
pub(crate) fn missing_setting(place: Place, name: &str, setting: &str, doc: &str) -> Finding {
    RULE.error(
        place,
        format!("`{name}` needs the setting `{setting}` ({doc})"),
        format!("add it under `settings.{name}`"),
    )
}

/// Several settings of which nobody gave one.
pub(crate) fn missing_choice(place: Place, name: &str, first: &str, others: &[String]) -> Finding {
    RULE.error(
        place,
        format!("`{name}` needs the setting `{first}`, or another of its kind"),
        format!(
            "add `{first}` under `settings.{name}`, or one of: {}",
            others.join(", ")
        ),
    )
}

/// A secret nobody gave.
pub(crate) fn missing_secret(place: Place, name: &str, setting: &str, doc: &str) -> Finding {
    RULE.error(
        place,
        format!("`{name}` needs the secret `{setting}` ({doc})"),
        format!("add the ARN of a secret under `secrets.{name}`"),
    )
}
