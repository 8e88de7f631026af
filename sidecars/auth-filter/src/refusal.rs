//! Why a request is refused, and what its sender is told: the kind of fault, never the reason.

use chassis::http::{Body, problem};
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use crate::claims::ClaimsFault;
use crate::jws::JwsFault;
use crate::target::TargetFault;

/// Why a request is not let through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The target can be read in more than one way.
    #[error(transparent)]
    Target(#[from] TargetFault),
    /// There is more than one `Authorization` header, or it is malformed.
    #[error("`Authorization` is malformed or there twice")]
    Authorization,
    /// There is no bearer token.
    #[error("there is no bearer token")]
    NoToken,
    /// The token or its signature is no good.
    #[error(transparent)]
    Token(#[from] JwsFault),
    /// The issuer has no key of that name.
    #[error("the issuer has no such key")]
    UnknownKey,
    /// The claims do not hold.
    #[error(transparent)]
    Claims(#[from] ClaimsFault),
    /// The token is good and no rule is for this request.
    #[error("no rule is for this request")]
    NoRule,
    /// The token is good and lacks a scope.
    #[error("the token lacks a scope of: {}", .needed.join(" "))]
    Scope {
        /// All scopes the rule asks for.
        needed: Vec<String>,
    },
    /// The keys of the issuer could not be loaded yet, or not for too long.
    #[error("there are no keys to check tokens with")]
    NoKeys,
}

impl Refusal {
    /// The status of the answer.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Target(_) | Self::Authorization => StatusCode::BAD_REQUEST,
            Self::NoToken | Self::Token(_) | Self::UnknownKey | Self::Claims(_) => {
                StatusCode::UNAUTHORIZED
            }
            Self::NoRule | Self::Scope { .. } => StatusCode::FORBIDDEN,
            Self::NoKeys => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// A word for counters and logs; there are few of them.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Target(TargetFault::Host | TargetFault::Authority) => "host",
            Self::Target(_) => "target",
            Self::Authorization => "authorization",
            Self::NoToken => "no_token",
            Self::Token(JwsFault::Signature) => "signature",
            Self::Token(JwsFault::Algorithm) => "algorithm",
            Self::Token(_) => "token",
            Self::UnknownKey => "unknown_key",
            Self::Claims(fault) => fault.word(),
            Self::NoRule => "no_rule",
            Self::Scope { .. } => "scope",
            Self::NoKeys => "no_keys",
        }
    }

    /// The answer: RFC 6750 says which header, and nothing here says which check.
    pub fn response(&self) -> Response<Body> {
        let (code, message) = match self {
            Self::Target(_) => ("bad_target", "the request target or host is not acceptable"),
            Self::Authorization => ("invalid_request", "one well-formed Authorization is needed"),
            Self::NoToken => ("no_token", "a bearer token is needed"),
            Self::Token(_) | Self::UnknownKey | Self::Claims(_) => {
                ("invalid_token", "the token is not valid here")
            }
            Self::NoRule => ("forbidden", "this request is not allowed"),
            Self::Scope { .. } => (
                "insufficient_scope",
                "the token does not allow this request",
            ),
            Self::NoKeys => ("not_ready", "tokens cannot be checked yet"),
        };
        let mut response = problem(self.status(), code, message);
        if let Some((name, value)) = self.header() {
            response.headers_mut().insert(name, value);
        }
        response
    }

    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let challenge = match self {
            Self::NoKeys => return Some((RETRY_AFTER, HeaderValue::from_static("1"))),
            Self::Target(_) | Self::NoRule => return None,
            Self::NoToken => REALM.to_owned(),
            Self::Authorization => format!("{REALM}, error=\"invalid_request\""),
            Self::Token(_) | Self::UnknownKey | Self::Claims(_) => {
                format!("{REALM}, error=\"invalid_token\"")
            }
            // Scopes of rules have no quotes and no control characters: see `rules.rs`.
            Self::Scope { needed } => {
                format!(
                    "{REALM}, error=\"insufficient_scope\", scope=\"{}\"",
                    needed.join(" ")
                )
            }
        };
        HeaderValue::try_from(challenge)
            .ok()
            .map(|value| (WWW_AUTHENTICATE, value))
    }
}

const REALM: &str = "Bearer realm=\"auth-filter\"";
