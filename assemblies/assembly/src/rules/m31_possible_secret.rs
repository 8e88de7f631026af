//! M31: value looks like a credential.

use diagnostics::{Finding, Location, Severity};

use super::{Failing, MANIFEST, Rule};

/// The description of M31.
pub(crate) const RULE: Rule = Rule {
    id: "M31",
    name: "possible-secret",
    severity: Severity::Warning,
    title: "value looks like a credential",
    explanation: "Values are committed, and become part of a task definition that every principal with the permission to describe it can read. The value of a secret is its ARN; ECS reads the secret itself when the container starts.",
    source: "ECS developer guide: pass sensitive data to an Amazon ECS container",
    hint: "store it in Secrets Manager, and write its ARN here",
    passing: "\
name: shop
app: web
settings:
  web: { greeting: '${token_url}' }
values: { token_url: 'https://issuer.example/token' }
service: {}
",
    // The name ends in `token`, and the value is neither an ARN nor a URL.
    failing: Failing::Document(
        "\
name: shop
app: web
settings:
  web: { greeting: '${api_token}' }
values: { api_token: k2Jf93hQ }
service: {}
",
    ),
    suppressible: true,
    ..MANIFEST
};

/// Returns whether a value may be a credential itself, by its name or by its format.
pub(crate) fn is_plain_secret(name: &str, text: &str) -> bool {
    let name = name.to_lowercase().replace('-', "_");
    let is_named = ENDINGS.iter().any(|ending| name.ends_with(ending));
    // An ARN, a path of a parameter and a URL say where a credential is, not what it is.
    let elsewhere = text.starts_with("arn:") || text.starts_with('/') || text.contains("://");
    // `max_token: 100` is a limit, not a credential.
    let no_text = text.is_empty() || text.parse::<f64>().is_ok() || text.parse::<bool>().is_ok();
    let is_other = text.starts_with("${") && text.ends_with('}');
    let is_key = text.contains("PRIVATE KEY-----") || is_access_key(text);
    is_key || (is_named && !elsewhere && !no_text && !is_other)
}

/// Returns whether a text is an AWS access key id: a four-letter prefix and sixteen other characters.
fn is_access_key(text: &str) -> bool {
    (text.starts_with("AKIA") || text.starts_with("ASIA"))
        && text.len() == 20
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

const ENDINGS: [&str; 9] = [
    "password",
    "passwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "private_key",
    "access_key",
    "licence_key",
];

/// Reports a value that looks like a credential.
pub(crate) fn plain_text_secret(location: Location, name: &str) -> Finding {
    RULE.finding(
        location,
        format!("the value `{name}` looks like a secret in plain text"),
        "store it in Secrets Manager, and write its ARN here",
    )
}
