//! Why a request is refused, and what its sender is told: the kind of error, never the reason.

use std::time::Duration;

use chassis::http::{Body, problem};
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use crate::claims::ClaimsError;
use crate::credentials::{AlbError, ApiKeyError, CertificateError, ExternalRejection};
use crate::jws::JwsError;
use crate::target::TargetError;

/// Why a request is not let through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The target can be read in more than one way.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// There is more than one `Authorization` header, or it is malformed.
    #[error("`Authorization` is malformed or there twice")]
    Authorization,
    /// There is no bearer token.
    #[error("there is no bearer token")]
    NoToken,
    /// The token or its signature is no good.
    #[error(transparent)]
    Token(#[from] JwsError),
    /// The issuer has no key of that name.
    #[error("the issuer has no such key")]
    UnknownKey,
    /// Nobody believed is named as the issuer.
    #[error("`iss` is none of the issuers")]
    UnknownIssuer,
    /// The claims do not hold.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// The API key is no good.
    #[error(transparent)]
    ApiKey(#[from] ApiKeyError),
    /// What the load balancer says is not to be believed.
    #[error(transparent)]
    Alb(#[from] AlbError),
    /// The client certificate is not to be believed.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The external service said no.
    #[error("the external service refused with {}", .0.status)]
    Denied(ExternalRejection),
    /// The external service did not answer, or not with a yes or a no.
    #[error("the external service gave no verdict")]
    NoAnswer,
    /// The client's credentials failed too often.
    #[error("too many credentials of this client have failed")]
    TooMany {
        /// How long it will not be heard.
        wait: Duration,
    },
    /// The token is good and no rule is for this request.
    #[error("no rule is for this request")]
    NoRule,
    /// The token is good and lacks a scope.
    #[error("the token lacks a scope of: {}", .needed.join(" "))]
    Scope {
        /// All scopes the rule asks for.
        needed: Vec<String>,
    },
    /// The identity is good and lacks a claim.
    #[error("a claim is lacking: `{claim}`")]
    Claim {
        /// The first claim that is not as the rule wants it.
        claim: String,
    },
    /// The keys of the issuer could not be loaded yet, or not for too long.
    #[error("there are no keys to check tokens with")]
    NoKeys,
}

impl Rejection {
    /// Whether a credential was given and did not hold, which is what guessing looks like.
    pub fn is_credential_failure(&self) -> bool {
        match self {
            Self::Authorization
            | Self::Token(_)
            | Self::UnknownKey
            | Self::UnknownIssuer
            | Self::Claims(_)
            | Self::ApiKey(_)
            | Self::Alb(_)
            | Self::Certificate(_) => true,
            Self::Denied(rejection) => rejection.status.is_client_error(),
            Self::Target(_)
            | Self::NoToken
            | Self::NoRule
            | Self::Scope { .. }
            | Self::Claim { .. }
            | Self::NoKeys
            | Self::NoAnswer
            | Self::TooMany { .. } => false,
        }
    }

    /// The status of the answer.
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
            | Self::Claims(_)
            | Self::ApiKey(_)
            | Self::Alb(_)
            | Self::Certificate(_) => StatusCode::UNAUTHORIZED,
            Self::NoRule | Self::Scope { .. } | Self::Claim { .. } => StatusCode::FORBIDDEN,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Denied(rejection) => rejection.status,
        }
    }

    /// A word for counters and logs; there are few of them.
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
            Self::NoRule => "no_rule",
            Self::Scope { .. } => "scope",
            Self::Claim { .. } => "claim",
            Self::NoKeys => "no_keys",
        }
    }

    fn code_and_message(&self) -> (&'static str, &'static str) {
        match self {
            Self::Target(_) => ("bad_target", "the request target or host is not acceptable"),
            Self::Authorization => ("invalid_request", "one well-formed Authorization is needed"),
            Self::NoToken => ("no_token", "a bearer token is needed"),
            Self::Token(_) | Self::UnknownKey | Self::UnknownIssuer | Self::Claims(_) => {
                ("invalid_token", "the token is not valid here")
            }
            Self::ApiKey(_) | Self::Alb(_) | Self::Certificate(_) => {
                ("invalid_credential", "the credential is not valid here")
            }
            Self::NoRule | Self::Claim { .. } | Self::Denied(_) => {
                ("forbidden", "this request is not allowed")
            }
            Self::Scope { .. } => (
                "insufficient_scope",
                "the token does not allow this request",
            ),
            Self::NoKeys | Self::NoAnswer => ("not_ready", "tokens cannot be checked yet"),
            Self::TooMany { .. } => ("too_many_failures", "too many credentials have failed"),
        }
    }

    /// The answer: RFC 6750 says which header, and nothing here says which check.
    pub fn response(&self) -> Response<Body> {
        let (code, message) = self.code_and_message();
        let mut response = problem(self.status(), code, message);
        if let Some((name, value)) = self.header() {
            response.headers_mut().insert(name, value);
        }
        response
    }

    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let challenge = match self {
            Self::NoKeys | Self::NoAnswer | Self::Alb(AlbError::NoKey) => {
                return Some((RETRY_AFTER, HeaderValue::from_static("1")));
            }
            Self::TooMany { wait } => {
                return Some((RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1)));
            }
            Self::Denied(rejection) => return rejection.header.clone(),
            Self::Target(_)
            | Self::NoRule
            | Self::Claim { .. }
            | Self::ApiKey(ApiKeyError::Duplicate)
            | Self::Alb(AlbError::Malformed)
            | Self::Certificate(CertificateError::Malformed) => return None,
            Self::NoToken | Self::ApiKey(_) | Self::Alb(_) | Self::Certificate(_) => {
                REALM.to_owned()
            }
            Self::Authorization => format!("{REALM}, error=\"invalid_request\""),
            Self::Token(_) | Self::UnknownKey | Self::UnknownIssuer | Self::Claims(_) => {
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
