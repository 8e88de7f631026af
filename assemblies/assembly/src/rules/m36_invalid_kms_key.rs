//! M36: `secret_keys` entry is not a KMS key ARN.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M36.
pub(crate) const RULE: Rule = Rule {
    id: "M36",
    name: "invalid-kms-key",
    title: "`secret_keys` entry is not a KMS key ARN",
    explanation: "An IAM policy identifies a key by its ARN only. A policy with an alias or a bare key id is accepted without a warning and allows nothing: the task fails when it starts.",
    source: "KMS developer guide: using aliases to control access; specifying KMS keys in IAM policy statements",
    hint: "write the ARN of the key",
    passing: "\
name: shop
app: web
ingress: [tls]
secrets:
  tls: { certificate: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:tls-a1b2c3' }
secret_keys: ['arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab']
service: {}
",
    // IAM does not resolve aliases in `Resource`.
    failing: Failing::Change(
        "secret_keys: ['arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab']",
        "secret_keys: [alias/shop]",
    ),
    ..MANIFEST
};

/// Returns whether a text is the ARN of a KMS key.
pub(crate) fn is_key_arn(text: &str) -> bool {
    // arn:PARTITION:kms:REGION:ACCOUNT:key/ID
    let parts: Vec<&str> = text.split(':').collect();
    matches!(parts[..], ["arn", _, "kms", region, account, key]
        if !region.is_empty() && account.len() == 12 && key.starts_with("key/") && key.len() > 4)
}

/// Reports an entry that is not the ARN of a key.
pub(crate) fn invalid_key(location: Location, text: &str) -> Finding {
    RULE.finding(
        location,
        format!("`{text}` is not the ARN of a KMS key"),
        "write `arn:aws:kms:REGION:ACCOUNT:key/ID`; `aws kms describe-key` prints it for an alias",
    )
}
