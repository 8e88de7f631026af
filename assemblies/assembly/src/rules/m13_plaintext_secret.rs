//! M13: a secret is written out, or something plain is called a secret.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M13",
    title: "a secret is written out, or something plain is called a secret",
    explanation: "What is written into `settings` can be read by everybody who may describe the task definition. A secret is named by its ARN under `secrets` and read by ECS when the container starts.",
    source: "assemblies/README.md",
    hint: "move it to the other map",
    passing: "\
name: shop
app: web
ingress: [tls]
secrets:
  tls: { certificate: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:tls-a1b2c3' }
service: {}
",
    failing: "\
name: shop
app: web
ingress: [tls]
settings:
  tls: { certificate: 'BEGIN CERTIFICATE' }
service: {}
",
};

/// A secret among the settings.
pub(crate) fn plain_secret(place: Place, name: &str, setting: &str) -> Finding {
    RULE.error(
        place,
        format!("`{setting}` of `{name}` is a secret and must not be written here"),
        format!("put the secret into Secrets Manager and its ARN under `secrets.{name}.{setting}`"),
    )
}

/// A setting that is given twice.
pub(crate) fn setting_and_secret(place: Place, name: &str, setting: &str) -> Finding {
    RULE.error(
        place,
        format!("`{setting}` of `{name}` is given as a setting and as a secret"),
        "take one of the two away",
    )
}
