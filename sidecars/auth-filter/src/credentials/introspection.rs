//! Introspection of opaque tokens (RFC 7662): the server that issued a token is asked about it.
//!
//! Responses are cached, and the number of requests at a time is limited, so that clients with invalid
//! tokens cannot overload that server. Valid and invalid tokens have separate caches: made-up tokens
//! evict no valid one.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chassis::http::client::{
    Client, ClientConfig, ClientLimits, PlainHttp, ProxySettings, SetupError, TrustStore,
};
use chassis::http::is_loopback;
use chassis::{HumanDuration, Secret, format_chain};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request, StatusCode, Uri};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::decision_cache::DecisionCache;
use crate::claims::TokenPolicy;
use crate::identity::Identity;
use crate::json::parse_object;
use crate::jws::Jws;
use crate::rejection::Rejection;

/// Settings for tokens that only their server understands.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IntrospectionSettings {
    /// URL of a server's introspection endpoint (RFC 7662) for bearer tokens that are no JWT, or for all
    /// without an issuer; `https`, or `http` on this host.
    #[schemars(url)]
    pub url: Option<String>,
    /// Client id of this filter at the server.
    pub client_id: String,
    /// Client secret of this filter at the server.
    pub client_secret: Secret,
    /// Issuer that `iss` of a response must be if it has one; also `x-auth-issuer`. Any if absent.
    pub issuer: Option<String>,
    /// Audience that `aud` of a response must contain; not checked if absent.
    pub audience: Option<String>,
    /// How long the server may take; without a response the request gets 503.
    pub timeout: HumanDuration,
    /// How long a valid token is cached, never longer than its `exp`: a revoked one works for so long.
    pub cache_ttl: HumanDuration,
    /// How long an invalid token is cached.
    pub negative_cache_ttl: HumanDuration,
    /// Maximum number of requests to the server at a time.
    pub max_requests: usize,
}

impl Default for IntrospectionSettings {
    fn default() -> Self {
        Self {
            url: None,
            client_id: String::new(),
            client_secret: Secret::default(),
            issuer: None,
            audience: None,
            timeout: HumanDuration::from_secs(2),
            cache_ttl: HumanDuration::from_secs(60),
            negative_cache_ttl: HumanDuration::from_secs(10),
            max_requests: 32,
        }
    }
}

impl IntrospectionSettings {
    /// Returns the first invalid setting, why, and what to do.
    pub(crate) fn problem(&self) -> Option<(&'static str, &'static str, &'static str)> {
        let url = self.url.as_ref()?;
        if parse_url(url).is_none() {
            let hint = "use https without user name and password, or http on this host";
            return Some(("introspection.url", "is not a URL to send tokens to", hint));
        }

        // RFC 7662 section 2.1 requires it: otherwise anyone could scan the server for tokens.
        let hint = "register this filter as a client of the server";
        if self.client_id.is_empty() {
            return Some(("introspection.client_id", "is required", hint));
        }
        if self.client_secret.is_empty() {
            return Some(("introspection.client_secret", "is required", hint));
        }

        if self.max_requests == 0 {
            let hint = "set how many requests the server can take at a time, such as 32";
            return Some(("introspection.max_requests", "is zero", hint));
        }
        let hint = "set how long the server may take, such as 2s";
        let is_zero = self.timeout.is_zero();
        is_zero.then_some(("introspection.timeout", "is zero", hint))
    }
}

/// A client of an introspection endpoint.
#[derive(Clone)]
pub struct Introspection(Arc<Shared>);

struct Shared {
    client: Client,
    url: Uri,
    authorization: HeaderValue,
    policy: TokenPolicy,
    settings: IntrospectionSettings,
    permits: Semaphore,
    cache: DecisionCache,
}

/// Why no client can be created.
#[derive(Debug, thiserror::Error)]
pub enum IntrospectionError {
    /// The URL is not `https` or on this host.
    #[error("`introspection.url` is not a URL to send tokens to")]
    Url,
    /// The CA certificates are unusable.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

impl Introspection {
    /// Creates a client with a cache of `cache_size` valid and as many invalid tokens. Of `policy` it
    /// takes the claims to keep and the leeway.
    pub fn new(
        settings: IntrospectionSettings,
        policy: TokenPolicy,
        trust: TrustStore,
        proxy: ProxySettings,
        cache_size: usize,
    ) -> Result<Self, IntrospectionError> {
        let url = settings.url.as_deref().and_then(parse_url);
        let url = url.ok_or(IntrospectionError::Url)?;
        let agent = concat!("auth-filter/", env!("CARGO_PKG_VERSION"));
        let client = Client::new(ClientConfig {
            trust,
            // The request contains the token and the secret.
            plain_http: PlainHttp::LoopbackOnly,
            proxy,
            limits: ClientLimits {
                max_response_bytes: MAX_RESPONSE_BYTES,
                ..ClientLimits::default()
            },
            user_agent: Some(HeaderValue::from_static(agent)),
            ..ClientConfig::default()
        })?;

        Ok(Self(Arc::new(Shared {
            client,
            url,
            authorization: basic(&settings.client_id, &settings.client_secret),
            policy,
            permits: Semaphore::new(settings.max_requests),
            cache: DecisionCache::new(cache_size),
            settings,
        })))
    }

    /// Returns whether a token is one to ask about: one that is no JWT, whose keys decide.
    pub(crate) fn is_opaque(token: &[u8]) -> bool {
        token.split(|byte| *byte == b'.').count() != 3
    }

    /// Returns the identity of a cached valid token.
    pub(crate) fn find_cached(&self, token: &[u8], now: SystemTime) -> Option<Arc<Identity>> {
        self.0.cache.get(token, now)?.ok()
    }

    /// Returns the identity of a token, from the cache or from the server.
    pub(crate) async fn identity(
        &self,
        token: &[u8],
        now: SystemTime,
    ) -> Result<Arc<Identity>, Rejection> {
        if token.len() > Jws::MAX_BYTES {
            return Err(Rejection::Inactive);
        }
        if let Some(decision) = self.0.cache.get(token, now) {
            return decision;
        }

        let limit = self.0.settings.timeout.duration();
        let permit = timeout(limit, self.0.permits.acquire()).await;
        let Ok(Ok(_permit)) = permit else {
            tracing::warn!(
                "introspection takes too long: `max_requests` are waiting for the server"
            );
            return Err(Rejection::NoAnswer);
        };
        // Several requests with the same new token cause one request, if they had to wait.
        if let Some(decision) = self.0.cache.get(token, now) {
            return decision;
        }

        let decision = self.ask(token, now).await?;
        self.store(token, &decision, now);
        decision
    }

    /// Asks the server. The outer error is not a decision, and is not cached.
    async fn ask(
        &self,
        token: &[u8],
        now: SystemTime,
    ) -> Result<Result<Arc<Identity>, Rejection>, Rejection> {
        let limit = self.0.settings.timeout.duration();
        let response = self.0.client.fetch(self.request(token), limit).await;
        let response = response.map_err(|error| {
            let error = format_chain(&error);
            tracing::warn!(error, "the introspection endpoint did not respond");
            Rejection::NoAnswer
        })?;
        if response.status() != StatusCode::OK {
            let status = response.status().as_u16();
            tracing::warn!(status, "the introspection endpoint refused the request");
            return Err(Rejection::NoAnswer);
        }

        let active = parse_object(response.body());
        match active.as_ref().and_then(|members| members.get("active")) {
            Some(Value::Bool(false)) => Ok(Err(Rejection::Inactive)),
            Some(Value::Bool(true)) => {
                let identity = self.0.policy.introspection_claims(response.body(), now);
                Ok(identity.map(Arc::new).map_err(Rejection::Claims))
            }
            _ => {
                tracing::warn!("the introspection endpoint sent no `active`");
                Err(Rejection::NoAnswer)
            }
        }
    }

    fn request(&self, token: &[u8]) -> Request<Bytes> {
        let mut form = String::from("token_type_hint=access_token&token=");
        push_encoded(&mut form, token);

        let mut request = Request::post(self.0.url.clone()).body(Bytes::from(form));
        if let Ok(request) = &mut request {
            let headers = request.headers_mut();
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.insert(CONTENT_TYPE, form);
            headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
            headers.insert(AUTHORIZATION, self.0.authorization.clone());
        }
        // A method and a parsed URL make a request.
        request.unwrap_or_default()
    }

    fn store(&self, token: &[u8], decision: &Result<Arc<Identity>, Rejection>, now: SystemTime) {
        let settings = &self.0.settings;
        let until = match decision {
            Ok(identity) => {
                let longest = now + settings.cache_ttl.duration();
                identity.expires.map_or(longest, |exp| exp.min(longest))
            }
            Err(_) => now + settings.negative_cache_ttl.duration(),
        };
        if until > now {
            self.0.cache.insert(token, decision.clone(), until);
        }
    }
}

impl fmt::Debug for Introspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspection")
            .field("url", &self.0.url)
            .finish_non_exhaustive()
    }
}

/// Returns the value of `Authorization` for a client. Both parts are encoded first (RFC 6749 section
/// 2.3.1), so that a colon in the id cannot end it.
fn basic(id: &str, secret: &Secret) -> HeaderValue {
    let mut pair = String::new();
    push_encoded(&mut pair, id.as_bytes());
    pair.push(':');
    push_encoded(&mut pair, secret.expose().as_bytes());

    let text = format!("Basic {}", STANDARD.encode(pair));
    // Base64 is valid in a header.
    let mut value = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// Appends a value of `application/x-www-form-urlencoded`.
fn push_encoded(text: &mut String, value: &[u8]) {
    for byte in value {
        if byte.is_ascii_alphanumeric() || b"-._*".contains(byte) {
            text.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

fn parse_url(text: &str) -> Option<Uri> {
    let url: Uri = text.parse().ok()?;
    let is_safe = match url.scheme_str()? {
        "https" => true,
        "http" => is_loopback(url.host()?),
        _ => false,
    };
    // A user name and password would be logged with the URL.
    let has_credentials = url.authority()?.as_str().contains('@');
    (is_safe && !has_credentials).then_some(url)
}

/// Claims about one token; servers with longer responses are misconfigured or hostile.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_the_id_and_the_secret_before_joining_them() {
        let value = basic("a:b", &Secret::new("c d+%"));
        let expected = format!("Basic {}", STANDARD.encode("a%3Ab:c%20d%2B%25"));
        assert_eq!(value.to_str().unwrap(), expected);
        assert_eq!(format!("{value:?}"), "Sensitive");
    }

    #[test]
    fn sends_tokens_over_tls_or_within_this_host() {
        for url in ["https://issuer.test/introspect", "http://127.0.0.1:1/x"] {
            assert!(parse_url(url).is_some(), "{url}");
        }
        for url in [
            "http://issuer.test/introspect",
            "https://a:b@issuer.test/",
            "ftp://127.0.0.1/",
            "/introspect",
        ] {
            assert!(parse_url(url).is_none(), "{url}");
        }
    }

    #[test]
    fn a_jwt_is_not_opaque() {
        assert!(!Introspection::is_opaque(b"a.b.c"));
        for token in [&b"abc"[..], b"a.b", b"a.b.c.d", b"a.b.c.d.e"] {
            assert!(Introspection::is_opaque(token));
        }
    }
}
