//! Reasons for rejecting a request, and the response to it. The client learns the category, never
//! the failed check.

use std::time::Duration;

use chassis::http::{Body, problem};
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use crate::claims::ClaimsError;
use crate::credentials::{AlbError, ApiKeyError, CertificateError, ExternalRejection};
use crate::jws::JwsError;
use crate::target::TargetError;

/// Why a request is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The target is ambiguous.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// There are several `Authorization` headers, or it is malformed.
    #[error("`Authorization` is malformed or duplicated twice")]
    Authorization,
    /// There is no bearer token.
    #[error("no bearer token")]
    NoToken,
    /// The token or its signature is invalid.
    #[error(transparent)]
    Token(#[from] JwsError),
    /// The issuer has no key with that id.
    #[error("the issuer has no such key")]
    UnknownKey,
    /// `iss` is not a trusted issuer.
    #[error("`iss` is not a trusted issuer")]
    UnknownIssuer,
    /// The claims are invalid.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// The API key is invalid.
    #[error(transparent)]
    ApiKey(#[from] ApiKeyError),
    /// The load balancer's token is invalid.
    #[error(transparent)]
    Alb(#[from] AlbError),
    /// The client certificate is not accepted.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The external service rejected the request.
    #[error("the external service responded with {}", .0.status)]
    Denied(ExternalRejection),
    /// The external service or the introspection endpoint did not respond, or not with a decision.
    #[error("the external service or the introspection endpoint made no decision")]
    NoAnswer,
    /// Too many credentials of this client have failed.
    #[error("too many credentials of this client have failed")]
    TooMany {
        /// How long the client stays blocked.
        wait: Duration,
    },
    /// A page of another origin sent a cookie with a token.
    #[error("a page of another origin sent the cookie with the token")]
    Origin,
    /// The credential is valid and no rule matches the request.
    #[error("no rule matches this request")]
    NoRule,
    /// The credential is valid and lacks a scope.
    #[error("the credential lacks one of the scopes: {}", .needed.join(" "))]
    Scope {
        /// All scopes the rule requires.
        needed: Vec<String>,
    },
    /// The credential is valid and lacks a required claim.
    #[error("required claim `{claim}` is missing or does not match")]
    Claim {
        /// The first claim that does not match.
        claim: String,
    },
    /// The credential is valid and satisfies none of the alternatives of the rule.
    #[error("the credential satisfies none of the alternatives in `any_of`")]
    NoAlternative,
    /// The server of an opaque token does not know it.
    #[error("the introspection endpoint does not know the token")]
    Inactive,
    /// The token is bound to another client certificate, or should be bound and is not.
    #[error("the token is not bound to the client certificate of this connection")]
    Confirmation,
    /// The keys of the issuer are not loaded yet, or are stale.
    #[error("no keys are available to verify tokens with")]
    NoKeys,
}

impl Rejection {
    /// Returns whether a credential was given and is invalid, as when guessing.
    pub fn is_credential_failure(&self) -> bool {
        match self {
            Self::Authorization
            | Self::Token(_)
            | Self::UnknownKey
            | Self::UnknownIssuer
            | Self::Confirmation
            | Self::Inactive
            | Self::Claims(_)
            | Self::ApiKey(_)
            | Self::Alb(_)
            | Self::Certificate(_) => true,
            Self::Denied(rejection) => rejection.status.is_client_error(),
            Self::Target(_)
            | Self::NoToken
            | Self::Origin
            | Self::NoRule
            | Self::Scope { .. }
            | Self::Claim { .. }
            | Self::NoAlternative
            | Self::NoKeys
            | Self::NoAnswer
            | Self::TooMany { .. } => false,
        }
    }

    /// Returns the response status.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Target(_)
            | Self::Authorization
            | Self::ApiKey(ApiKeyError::Duplicate)
            | Self::Alb(AlbError::Malformed)
            | Self::Certificate(CertificateError::Malformed) => StatusCode::BAD_REQUEST,
            Self::Alb(AlbError::NoKey) | Self::NoKeys | Self::NoAnswer => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::NoToken
            | Self::Token(_)
            | Self::UnknownKey
            | Self::UnknownIssuer
            | Self::Confirmation
            | Self::Inactive
            | Self::Claims(_)
            | Self::ApiKey(_)
            | Self::Alb(_)
            | Self::Certificate(_) => StatusCode::UNAUTHORIZED,
            Self::Origin
            | Self::NoRule
            | Self::Scope { .. }
            | Self::Claim { .. }
            | Self::NoAlternative => StatusCode::FORBIDDEN,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Denied(rejection) => rejection.status,
        }
    }

    /// Returns the low-cardinality reason for metrics and logs.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Target(TargetError::Host | TargetError::Authority) => "host",
            Self::Target(_) => "target",
            Self::Authorization => "authorization",
            Self::NoToken => "no_token",
            Self::Token(JwsError::Signature) => "signature",
            Self::Token(JwsError::Algorithm) => "algorithm",
            Self::Token(_) => "token",
            Self::UnknownKey => "unknown_key",
            Self::UnknownIssuer => "issuer",
            Self::Claims(error) => error.as_str(),
            Self::ApiKey(_) => "api_key",
            Self::Alb(_) => "alb",
            Self::Certificate(_) => "certificate",
            Self::Denied(_) => "denied",
            Self::NoAnswer => "no_answer",
            Self::TooMany { .. } => "too_many_failures",
            Self::Origin => "origin",
            Self::NoRule => "no_rule",
            Self::Scope { .. } => "scope",
            Self::Claim { .. } => "claim",
            Self::NoAlternative => "any_of",
            Self::Inactive => "inactive",
            Self::Confirmation => "confirmation",
            Self::NoKeys => "no_keys",
        }
    }

    fn code_and_message(&self) -> (&'static str, &'static str) {
        match self {
            Self::Target(_) => ("bad_target", "the request target or host is not acceptable"),
            Self::Authorization => (
                "invalid_request",
                "send one well-formed Authorization header",
            ),
            Self::NoToken => ("no_token", "a bearer token is required"),
            Self::Token(_)
            | Self::UnknownKey
            | Self::UnknownIssuer
            | Self::Confirmation
            | Self::Inactive
            | Self::Claims(_) => ("invalid_token", "the token is not valid here"),
            Self::ApiKey(_) | Self::Alb(_) | Self::Certificate(_) => {
                ("invalid_credential", "the credential is not valid here")
            }
            Self::Origin
            | Self::NoRule
            | Self::Claim { .. }
            | Self::NoAlternative
            | Self::Denied(_) => ("forbidden", "this request is not allowed"),
            Self::Scope { .. } => (
                "insufficient_scope",
                "the token does not allow this request",
            ),
            Self::NoKeys | Self::NoAnswer => ("not_ready", "tokens cannot be checked yet"),
            Self::TooMany { .. } => ("too_many_failures", "too many credentials have failed"),
        }
    }

    /// Builds the response. The challenge follows RFC 6750 section 3; the body does not name the
    /// failed check.
    pub fn response(&self) -> Response<Body> {
        let (code, message) = self.code_and_message();
        let mut response = problem(self.status(), code, message);
        if let Some((name, value)) = self.header() {
            response.headers_mut().insert(name, value);
        }
        if let Self::Denied(rejection) = self {
            for (name, value) in &rejection.headers {
                response.headers_mut().append(name, value.clone());
            }
        }
        response
    }

    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let challenge = match self {
            Self::NoKeys | Self::NoAnswer | Self::Alb(AlbError::NoKey) => {
                return Some((RETRY_AFTER, HeaderValue::from_static("1")));
            }
            Self::TooMany { wait } => {
                // Rounded up: a client that waits exactly this long is accepted.
                return Some((RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1)));
            }
            Self::Denied(_)
            | Self::Target(_)
            | Self::Origin
            | Self::NoRule
            | Self::Claim { .. }
            | Self::NoAlternative
            | Self::ApiKey(ApiKeyError::Duplicate)
            | Self::Alb(AlbError::Malformed)
            | Self::Certificate(CertificateError::Malformed) => return None,
            Self::NoToken | Self::ApiKey(_) | Self::Alb(_) | Self::Certificate(_) => {
                REALM.to_owned()
            }
            Self::Authorization => format!("{REALM}, error=\"invalid_request\""),
            // RFC 8705 section 3: a mismatched certificate is an invalid token.
            Self::Token(_)
            | Self::UnknownKey
            | Self::UnknownIssuer
            | Self::Confirmation
            | Self::Inactive
            | Self::Claims(_) => {
                format!("{REALM}, error=\"invalid_token\"")
            }
            // `rules.rs` allows no quotes or control characters in scopes, so none need escaping.
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
