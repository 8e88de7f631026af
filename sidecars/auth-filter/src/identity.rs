//! Who a request is from, whichever credential said so.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::SystemTime;

use http::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What vouched for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    /// A bearer token of a trusted issuer.
    Token,
    /// An API key.
    ApiKey,
    /// What an Application Load Balancer found out about a user who logged in there.
    Alb,
    /// A client certificate that the proxy in front has checked.
    Certificate,
    /// The service that was asked.
    External,
}

impl Credential {
    /// A word for counters and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::ApiKey => "api_key",
            Self::Alb => "alb",
            Self::Certificate => "certificate",
            Self::External => "external",
        }
    }
}

/// Who a request is from: only ever made by a check that held.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// What vouched for it.
    pub credential: Credential,
    /// Who it is about: `sub`, the id of an API key, the name in a certificate.
    pub subject: Option<String>,
    /// Who says so: `iss`, or the place the credential comes from.
    pub issuer: String,
    /// What it allows.
    pub scopes: Vec<String>,
    /// The program it was given to, from `azp` or `client_id`.
    pub client: Option<String>,
    /// The claims that rules and headers ask for, by the names they use.
    pub claims: BTreeMap<String, Value>,
    /// When the credential ends, where it says so.
    pub expires: Option<SystemTime>,
    /// The headers that say all this, written when they are first asked for.
    pub(crate) headers: OnceLock<Vec<(HeaderName, HeaderValue)>>,
}

impl Identity {
    /// An identity without scopes and claims.
    pub fn new(credential: Credential, subject: Option<String>, issuer: String) -> Self {
        Self {
            credential,
            subject,
            issuer,
            scopes: Vec::new(),
            client: None,
            claims: BTreeMap::new(),
            expires: None,
            headers: OnceLock::new(),
        }
    }
}

/// Whether a claim is what is expected of it: the value itself or a list with it; of a list of values,
/// any of them.
pub(crate) fn claim_matches(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Array(any), found) => any.iter().any(|expected| claim_matches(expected, found)),
        (expected, Value::Array(list)) => list.contains(expected),
        (expected, found) => expected == found,
    }
}

/// Whether a value can be expected of a claim: a text, number or truth, or a list of such.
pub(crate) fn is_valid_expectation(value: &Value) -> bool {
    let scalar = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
    match value {
        Value::Array(list) => !list.is_empty() && list.iter().all(scalar),
        value => scalar(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn matches_a_claim_by_value_list_member_or_alternative() {
        for (expected, found) in [
            (json!("a"), json!("a")),
            (json!(true), json!(true)),
            (json!("a"), json!(["b", "a"])),
            (json!(["a", "c"]), json!("c")),
            (json!(["a", "c"]), json!(["b", "c"])),
            (json!(7), json!(7)),
        ] {
            assert!(claim_matches(&expected, &found), "{expected} {found}");
        }

        for (expected, found) in [
            (json!("a"), json!("ab")),
            (json!("a"), json!("a b")),
            (json!(true), json!("true")),
            (json!(["a"]), json!([["a"]])),
            (json!("a"), json!({"a": true})),
            (json!(7), json!("7")),
        ] {
            assert!(!claim_matches(&expected, &found), "{expected} {found}");
        }
    }
}
