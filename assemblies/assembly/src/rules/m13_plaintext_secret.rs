//! M13: secret in plain text, or plain setting under `secrets`.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M13.
pub(crate) const RULE: Rule = Rule {
    id: "M13",
    name: "plaintext-secret",
    title: "secret in plain text, or plain setting under `secrets`",
    explanation: "Every principal that may describe the task definition can read `settings`. A secret is named by its ARN under `secrets`; ECS reads it when the container starts.",
    source: "ECS developer guide: pass sensitive data to an Amazon ECS container",
    hint: "move it to the other map",
    passing: "\
name: shop
app: web
ingress: [tls]
secrets:
  tls: { certificate: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:tls-a1b2c3' }
service: {}
",
    // The certificate itself would be readable in the task definition.
    failing: Failing::Document(
        "\
name: shop
app: web
ingress: [tls]
settings:
  tls: { certificate: 'BEGIN CERTIFICATE' }
service: {}
",
    ),
    ..MANIFEST
};

/// Reports a secret under `settings`.
pub(crate) fn plain_secret(location: Location, name: &str, setting: &str) -> Finding {
    RULE.finding(
        location,
        format!("`{setting}` of `{name}` is a secret and must not be in plain text"),
        format!("put the secret into Secrets Manager and its ARN under `secrets.{name}.{setting}`"),
    )
}

/// Reports a setting with both a plain value and a secret.
pub(crate) fn setting_and_secret(location: Location, name: &str, setting: &str) -> Finding {
    RULE.finding(
        location,
        format!("`{setting}` of `{name}` is both a setting and a secret"),
        "remove one of the two",
    )
}
