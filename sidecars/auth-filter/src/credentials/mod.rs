//! Credentials: the first one that a request carries decides; an invalid one is not replaced by
//! another.

mod alb;
mod api_key;
mod bearer;
mod certificate;
mod decision_cache;
mod external;
mod introspection;
mod token_sources;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderMap;
use http::request::Parts;

use crate::identity::{Credential, Identity};
use crate::issuers::Issuers;
use crate::rejection::Rejection;

pub use alb::{Alb, AlbError, AlbSettings};
pub use api_key::{ApiKey, ApiKeyError, ApiKeyListError, ApiKeys, Reloader};
pub(crate) use api_key::{fingerprint as api_key_fingerprint, parse as parse_api_keys};
pub(crate) use bearer::bearer_token;
pub use certificate::{CertificateBinding, CertificateError, CertificateRule, Certificates};
pub(crate) use certificate::{HEADER as CERTIFICATE_HEADER, is_from_this_task};
pub(crate) use external::header_names;
pub use external::{External, ExternalProtocol, ExternalRejection, ExternalSettings};
pub use introspection::{Introspection, IntrospectionError, IntrospectionSettings};
pub use token_sources::{TokenSourceSettings, TokenSources};

/// The accepted kinds of credential; others are ignored.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// Bearer tokens of trusted issuers.
    pub issuers: Option<Issuers>,
    /// Opaque tokens of a server that is asked about them.
    pub introspection: Option<Introspection>,
    /// Where bearer tokens may come from.
    pub token_sources: TokenSources,
    /// API keys.
    pub api_keys: Option<ApiKeys>,
    /// Tokens of load balancers about their users.
    pub alb: Option<Alb>,
    /// Client certificates forwarded by the proxy in front.
    pub certificates: Option<Certificates>,
    /// Whether tokens must be bound to the client certificate.
    pub binding: CertificateBinding,
    /// Decisions of an external service.
    pub external: Option<External>,
}

impl Credentials {
    /// Returns the identity of a cached token.
    pub(crate) fn find_cached(
        &self,
        request: &Parts,
        kinds: &[Credential],
    ) -> Option<Arc<Identity>> {
        if !self.takes_tokens() || !is_accepted(kinds, Credential::Token) {
            return None;
        }
        let token = self.token_sources.token(request).ok()?;
        let now = SystemTime::now();
        let identity = match (self.introspection_for(&token), &self.issuers) {
            (Some(introspection), _) => introspection.find_cached(&token, now),
            (None, Some(issuers)) => issuers.find_cached(&token, now),
            (None, None) => None,
        }?;
        // Rejected by the full check, which also counts the failure.
        self.binding.check(request, &identity).ok()?;
        Some(identity)
    }

    fn takes_tokens(&self) -> bool {
        self.issuers.is_some() || self.introspection.is_some()
    }

    /// Returns the server to ask about a token, unless the keys of an issuer decide about it.
    fn introspection_for(&self, token: &[u8]) -> Option<&Introspection> {
        let introspection = self.introspection.as_ref();
        introspection.filter(|_| self.issuers.is_none() || Introspection::is_opaque(token))
    }

    async fn token_identity(
        &self,
        token: &[u8],
        now: SystemTime,
    ) -> Result<Arc<Identity>, Rejection> {
        match (self.introspection_for(token), &self.issuers) {
            (Some(introspection), _) => introspection.identity(token, now).await,
            (None, Some(issuers)) => issuers.identity(token, now).await,
            (None, None) => Err(Rejection::NoToken),
        }
    }

    /// Authenticates a request with the first credential it carries among the accepted `kinds`; an
    /// empty list accepts all.
    pub(crate) async fn identify(
        &self,
        request: &Parts,
        kinds: &[Credential],
        client: Option<IpAddr>,
    ) -> Result<Arc<Identity>, Rejection> {
        let (headers, now) = (&request.headers, SystemTime::now());
        if self.takes_tokens() && is_accepted(kinds, Credential::Token) {
            // A malformed header is an error, not an absent token: the app might parse it
            // differently.
            match self.token_sources.token(request) {
                Ok(token) => {
                    let identity = self.token_identity(&token, now).await?;
                    self.binding.check(request, &identity)?;
                    return Ok(identity);
                }
                Err(Rejection::NoToken) => {}
                Err(rejection) => return Err(rejection),
            }
        }

        // From here on in a fixed order: local checks first, requests to other hosts last.
        if let Some(api_keys) = if_accepted(kinds, Credential::ApiKey, self.api_keys.as_ref())
            && let Some(key) =
                single_header(headers, api_keys.header()).ok_or(ApiKeyError::Duplicate)?
        {
            return Ok(api_keys.identity(key, now)?);
        }

        if let Some(alb) = if_accepted(kinds, Credential::Alb, self.alb.as_ref())
            && let Some(data) = single_header(headers, &alb::HEADER).ok_or(AlbError::Malformed)?
        {
            return Ok(alb.identity(data, now).await?.into());
        }

        if let Some(certificates) =
            if_accepted(kinds, Credential::Certificate, self.certificates.as_ref())
            && let Some(names) =
                single_header(headers, &certificate::HEADER).ok_or(CertificateError::Malformed)?
        {
            return Ok(certificates.identity(request, names)?.into());
        }

        match if_accepted(kinds, Credential::External, self.external.as_ref()) {
            Some(external) => Ok(external.identity(request, client).await?.into()),
            None => Err(Rejection::NoToken),
        }
    }
}

fn if_accepted<C>(kinds: &[Credential], kind: Credential, configured: Option<C>) -> Option<C> {
    configured.filter(|_| is_accepted(kinds, kind))
}

fn is_accepted(kinds: &[Credential], kind: Credential) -> bool {
    kinds.is_empty() || kinds.contains(&kind)
}

/// Returns the value of a header that may occur once; `None` if it occurs twice.
#[expect(
    clippy::option_option,
    reason = "present, absent or duplicated; the caller maps the outer `None` to its error"
)]
fn single_header<'h>(headers: &'h HeaderMap, name: &http::HeaderName) -> Option<Option<&'h [u8]>> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(http::HeaderValue::as_bytes);
    values.next().is_none().then_some(first)
}
