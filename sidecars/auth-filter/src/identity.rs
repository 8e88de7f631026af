//! The authenticated identity of a request, independent of the kind of credential.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The kind of credential that authenticated a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    /// A bearer token of a trusted issuer.
    Token,
    /// An API key.
    ApiKey,
    /// A token of an Application Load Balancer about a user logged in there.
    Alb,
    /// A client certificate verified by the proxy in front.
    Certificate,
    /// The decision of the external service.
    External,
}

impl Credential {
    /// Returns the name used in metrics, logs and settings.
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

/// An authenticated identity. Only created by a successful check.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// The kind of credential.
    pub credential: Credential,
    /// The subject: `sub`, the id of an API key, or the name in a certificate.
    pub subject: Option<String>,
    /// The issuer: `iss`, or the source of the credential.
    pub issuer: String,
    /// The granted scopes.
    pub scopes: Vec<String>,
    /// The OAuth client, from `azp` or `client_id`.
    pub client: Option<String>,
    /// The claims that rules and headers use, by the names used there.
    pub claims: BTreeMap<String, Value>,
    /// When the credential expires, if it does.
    pub expires: Option<SystemTime>,
    /// What the token is bound to, if it has a `cnf` claim.
    pub confirmation: Option<Confirmation>,
    /// The headers that the external service adds to the request and to the response.
    pub(crate) passed: Option<Box<PassedHeaders>>,
    /// The identity headers, formatted on first use.
    pub(crate) headers: OnceLock<Vec<(HeaderName, HeaderValue)>>,
}

/// Headers of an authorizing response that are passed on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PassedHeaders {
    pub(crate) app: HeaderMap,
    pub(crate) client: HeaderMap,
}

/// What the sender of a token must prove to have (RFC 7800).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// The client certificate with this SHA-256, in base64url without padding (RFC 8705 section 3.1).
    Certificate(String),
    /// Something else, such as the key of a DPoP proof, which is not verified here.
    Other,
}

impl Confirmation {
    /// Reads the claim `cnf`; several methods in one claim are not supported.
    pub(crate) fn from_claim(claim: &Value) -> Self {
        match claim.as_object() {
            Some(members) if members.len() == 1 => match members.get("x5t#S256") {
                Some(Value::String(hash)) => Self::Certificate(hash.clone()),
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

impl Identity {
    /// Creates an identity without scopes and claims.
    pub fn new(credential: Credential, subject: Option<String>, issuer: String) -> Self {
        Self {
            credential,
            subject,
            issuer,
            scopes: Vec::new(),
            client: None,
            claims: BTreeMap::new(),
            expires: None,
            confirmation: None,
            passed: None,
            headers: OnceLock::new(),
        }
    }
}

/// Returns whether a claim matches: it equals the expected value or is a list that contains it. Of
/// a list of expected values, one must match.
pub(crate) fn claim_matches(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::Array(any), found) => any.iter().any(|expected| claim_matches(expected, found)),
        (expected, Value::Array(list)) => list.contains(expected),
        (expected, found) => expected == found,
    }
}

/// Returns whether a rule may expect this value: a string, number or boolean, or a list of them.
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
            // No prefix, word or type conversion: `"true"` is not `true`, and nested lists are not
            // searched.
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
