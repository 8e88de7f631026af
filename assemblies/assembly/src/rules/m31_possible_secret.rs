//! M31: a value looks like a password in plain text.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M31",
    title: "a value looks like a password in plain text",
    explanation: "Values are committed, and end in a task definition that everybody may read who may describe it. The value of a secret is its ARN; what is behind it is read by ECS when the container starts.",
    source: "assemblies/README.md",
    hint: "put it into Secrets Manager, and its ARN here",
    passing: "\
name: shop
app: web
settings:
  web: { greeting: '${token_url}' }
values: { token_url: 'https://issuer.example/token' }
service: {}
",
    failing: "\
name: shop
app: web
settings:
  web: { greeting: '${api_token}' }
values: { api_token: k2Jf93hQ }
service: {}
",
};

/// A value that can be a secret itself: by its name, or by what it looks like.
pub(crate) fn is_plain_secret(name: &str, text: &str) -> bool {
    let name = name.to_lowercase().replace('-', "_");
    let is_named = ENDINGS.iter().any(|ending| name.ends_with(ending));
    let elsewhere = text.starts_with("arn:") || text.starts_with('/') || text.contains("://");
    let no_text = text.is_empty() || text.parse::<f64>().is_ok() || text.parse::<bool>().is_ok();
    let is_other = text.starts_with("${") && text.ends_with('}');
    let is_key = text.contains("PRIVATE KEY-----") || is_access_key(text);
    is_key || (is_named && !elsewhere && !no_text && !is_other)
}

/// The id of a key of AWS: four letters that never change, sixteen that do.
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

/// A password among the values.
pub(crate) fn plain_text_secret(place: Place, name: &str) -> Finding {
    RULE.warning(
        place,
        format!("the value `{name}` looks like a secret in plain text"),
        "put it into Secrets Manager, and its ARN here",
    )
}
